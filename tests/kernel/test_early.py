"""What a new document adds is in the kernel before anybody looks; all else waits for the look."""

from collections.abc import Callable

import pytest

from tests.documents import document, peer, peers, routed, routed6
from tests.kernel.node import Node
from workers.changes import Plan
from workers.document import Document
from workers.reconcile import Outcome, reconcile

FOUR = document(routed(peers=peers(1, 2, 3, 4)), version="v2")
ODD = routed(
    "odd",
    device="eth0",
    adopted=True,
    ranges=("10.12.0.0/16",),
    subnets=("10.12.0.0/22",),
    peers=(peer(1), peer(2, subnets=("10.12.4.0/22",))),
)
FOURTH = "10.11.12.0/22 10.0.0.4 eth0"


@pytest.fixture
def seen(node: Node) -> Outcome:
    """Three nodes are built."""
    return _run(node, document(routed()))


def _run(
    node: Node,
    wanted: Document,
    last: Outcome | None = None,
    before_look: Callable[[], None] = lambda: None,
    before_apply: Callable[[Plan], None] = lambda todo: None,
) -> Outcome:
    observed = last.observed if last else None
    return reconcile(
        wanted, node.settings, node.kernel, before_look, before_apply, lambda seconds: None, observed
    )


def test_a_new_peer_is_reached_before_the_look_and_after_what_comes_before_a_change(
    node: Node, seen: Outcome
) -> None:
    there: list[tuple[str, bool]] = []
    outcome = _run(
        node,
        FOUR,
        seen,
        lambda: there.append(("look", FOURTH in node.routes())),
        lambda todo: there.append((str(todo.changes[0]), FOURTH in node.routes())),
    )
    added = "add route 10.11.12.0/22 via 10.0.0.4 dev eth0 proto 157"
    assert there == [(added, False), ("look", True)]
    assert [str(change) for change in outcome.changes] == [added]
    assert not outcome.left


def test_what_was_wanted_before_is_left_to_the_look(node: Node, seen: Outcome) -> None:
    node.ip("route del 10.11.4.0/22")
    plans: list[int] = []
    outcome = _run(node, FOUR, seen, before_apply=lambda todo: plans.append(len(todo.changes)))
    assert (plans, len(outcome.changes)) == ([1, 1], 2)
    assert not outcome.left


def test_a_route_of_others_is_not_taken_and_named(node: Node, seen: Outcome) -> None:
    node.ip("route add 10.11.12.0/22 via 10.0.0.9")
    outcome = _run(node, FOUR, seen)
    assert (outcome.changes, outcome.left) == ((), ())
    assert [finding.code for finding in outcome.findings] == ["conflict"]
    assert node.routes(proto="boot") == ["10.11.12.0/22 10.0.0.9 eth0"]


def test_a_host_that_is_another_by_now_is_put_right(node: Node, seen: Outcome) -> None:
    """By what was seen last the peer is on eth0."""
    node.ip("link add eth1 type veth peer name wire1")
    node.ip("link set wire1 up")
    node.ip("link set eth1 up")
    node.ip("addr add 10.0.0.129/25 dev eth1")
    far = peer(4, addresses=("10.0.0.200",), gateways=("10.0.0.200",))
    outcome = _run(node, document(routed(peers=(*peers(), far)), version="v2"), seen)
    assert "10.11.12.0/22 10.0.0.200 eth1" in node.routes()
    assert not outcome.left


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param(document(routed(), ODD), id="a network whose bridge is none"),
        pytest.param(document(routed(), routed6()), id="a network that is new"),
        pytest.param(document(routed()), id="nothing new"),
        pytest.param(document(routed(peers=peers(1, 2))), id="a peer that went"),
    ],
)
def test_it_looks_first_where_something_else_has_to_be_built(
    node: Node, seen: Outcome, wanted: Document
) -> None:
    before = node.routes()
    looks: list[list[str]] = []
    _run(node, wanted, seen, lambda: looks.append(node.routes()))
    assert looks[0] == before


def test_a_peer_behind_a_tunnel_waits_for_the_firewall_that_lets_it_in(node: Node) -> None:
    far = [peer(number, gateways=(f"10.9.0.{number}",)) for number in (4, 5)]
    seen = _run(node, document(routed(peers=(*peers(), far[0]), tunnel_mode="vxlan")))
    plans: list[list[str]] = []
    wanted = document(routed(peers=(*peers(), *far), tunnel_mode="vxlan"), version="v2")
    _run(node, wanted, seen, before_apply=lambda todo: plans.append([str(one) for one in todo.changes]))
    ((firewall, route),) = plans
    assert firewall.startswith("change firewall")
    assert route.startswith("add route 10.11.16.0/22 encap 10.0.0.5")
