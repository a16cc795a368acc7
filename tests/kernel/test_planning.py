"""The answer to a plan, on a real kernel: what it says is what an apply then does, and it changes nothing.

eth0 10.0.0.1/24, peers 10.0.0.2 and 10.0.0.3; the control plane is on 10.0.0.12
"""

import dataclasses
import json
from typing import Any

import pytest

from tests.kernel.node import Node
from tests.worker.documents import backend, body, bridge
from workers import document, planning
from workers.asked import Ground
from workers.document import Document, DocumentError
from workers.planned import Planned
from workers.reconcile import reconcile

CONTROL = "http://10.0.0.12:8000"
TUNNELS = {**backend(), "tunnel": "always", "tunnel_mode": "vxlan"}


def drafted(*networks: dict[str, Any]) -> Document:
    return document.parse(body(*networks))


def asked(node: Node, *networks: dict[str, Any], of: str = "n1", before: Document | None = None) -> Planned:
    """What the node answers about a draft of these networks."""
    raw = json.loads(body(*networks, node=of))
    settings = dataclasses.replace(node.settings, url=CONTROL)
    ground = Ground(settings, node.kernel, before, raw["peers"])
    return planning.plan({"head": raw["head"]}, ground)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param([], [backend()], id="a network is new"),
        pytest.param([backend()], [], id="a network goes"),
        pytest.param([backend()], [{**backend(), "mtu": 1400, "public": True}], id="keywords change"),
        pytest.param([backend(peers=3)], [backend(peers=40)], id="peers come"),
        pytest.param([backend()], [TUNNELS], id="from direct into tunnels"),
        pytest.param([TUNNELS], [backend()], id="and back"),
        pytest.param([backend("a")], [bridge("b", "10.12.0.0/24")], id="one goes, another comes"),
    ],
)
def test_an_apply_then_does_what_was_said(
    node: Node, before: list[dict[str, Any]], after: list[dict[str, Any]]
) -> None:
    first = drafted(*before)
    reconcile(first, node.settings, node.kernel)
    state = node.state()
    planned = asked(node, *after, before=first)
    assert node.state() == state
    outcome = reconcile(drafted(*after), node.settings, node.kernel)
    assert [str(step) for step in planned.steps] == [str(change) for change in outcome.changes]
    assert planned.total == len(outcome.changes)
    assert asked(node, *after).total == 0


def test_steps_beyond_a_bound_are_counted(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "MOST_STEPS", 5)
    planned = asked(node, backend(peers=40))
    assert len(planned.steps) == 5
    assert {count.kind: count.number for count in planned.counts}["route"] == 39


def test_routes_that_go_are_said_to_be_of_their_network(node: Node) -> None:
    first = drafted(backend())
    reconcile(first, node.settings, node.kernel)
    planned = asked(node, before=first)
    assert {step.network for step in planned.steps if step.kind == "route"} == {"backend1"}
    assert [(risk.code, risk.network) for risk in planned.risks] == [("routes-gone", "backend1")]


@pytest.mark.parametrize("cidr", ["10.0.0.8/29", "10.0.0.0/25"])
def test_the_control_planes_address_is_looked_up_in_the_kernel(node: Node, cidr: str) -> None:
    worst = asked(node, bridge("x", cidr)).risks[0]
    assert (worst.level, worst.code) == ("cut", "control-path")
    assert "10.0.0.0/24 dev eth0" in worst.why


def test_a_more_specific_way_to_it_is_kept(node: Node) -> None:
    node.ip("route add 10.0.0.12/32 dev eth0")
    levels = {risk.level for risk in asked(node, bridge("x", "10.0.0.8/29")).risks}
    assert levels == {"interrupt"}, "only the others of the underlay"


def test_a_link_of_somebody_else_is_in_the_way(node: Node) -> None:
    node.ip("link add obr_backend1 type veth peer name other")
    planned = asked(node, backend())
    assert [finding.code for finding in planned.findings] == ["conflict"]
    assert "bridge obr_backend1" in planned.findings[0].subject


def test_a_draft_for_another_node_is_refused(node: Node) -> None:
    with pytest.raises(DocumentError, match="is for node 'n2', not 'n1'"):
        asked(node, backend(), of="n2")


def test_a_peer_list_that_is_not_what_the_draft_names_is_refused(node: Node) -> None:
    raw = json.loads(body(backend()))
    shared = {digest: peers[:-1] for digest, peers in raw["peers"].items()}
    with pytest.raises(DocumentError, match="does not match its digest"):
        planning.plan({"head": raw["head"]}, Ground(node.settings, node.kernel, None, shared))
