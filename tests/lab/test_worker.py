"""A worker restarted, killed, disturbed: the network goes on and is made whole."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lab import faults
from lab.cluster import Cluster
from lab.node import Node
from lab.pings import Pinging
from lab.waiting import until
from tests.lab.conftest import CONVERGED_WITHIN, Declare

ROUTED = {"type": "routed_bridge", "network": "10.12.0.0/16", "ips_per_node": 1024}
REPAIRED_WITHIN = 5.0
"""Seconds on a machine that is busy with other things; the timer alone would take 27 to 30."""


def _state(node: Node) -> tuple[object, ...]:
    """All that a worker makes, without what the kernel numbers or counts."""
    bridges = [
        (link["ifname"], link["address"], link["mtu"], [a["local"] for a in link["addr_info"] if a])
        for link in node.ip("address", "show", "type", "bridge", "scope", "global")
    ]
    files = {path.name: path.read_text() for path in node.confs.iterdir()}
    firewall = node.namespace.run(["nft", "-s", "list", "ruleset"])
    return node.links(), bridges, node.routes(), files, firewall


def test_a_restart_loses_no_packet_and_changes_nothing(cluster: Cluster, declare: Declare) -> None:
    declare("backend2", **ROUTED)
    n1 = cluster.nodes["n1"]
    a, b = cluster.container("n1", "backend2"), cluster.container("n2", "backend2")
    before, told, heard = _state(n1), _changes_told(cluster, "n1"), cluster.heard("n1")
    pinging = Pinging(a.namespace, b.address)
    assert n1.worker.stop() == 0
    n1.worker.start()
    until(lambda: cluster.heard("n1") > heard, what="n1 has looked and reported", within=CONVERGED_WITHIN)
    pings = pinging.stop()
    assert pings.sent > 10
    assert pings.lost == 0
    assert _state(n1) == before
    assert _changes_told(cluster, "n1") == told


def _changes_told(cluster: Cluster, name: str) -> list[int]:
    """The events in which a node tells what it has changed."""
    events = cluster.api.get(f"events/?kind=node&name={name}&page_size=1000")["results"]
    return [event["id"] for event in events if event["verb"] in ("applied", "repaired")]


def _children(pid: int) -> tuple[int, str]:
    """Page faults of the children that have ended, and those that live: nothing without a fork (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    living = "".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children"))
    return int(fields[8]), living


def test_an_apply_starts_no_process(cluster: Cluster, declare: Declare) -> None:
    worker = cluster.nodes["n1"].worker
    before = _children(worker.pid)
    declare("backend2", **ROUTED)
    declare("local2", type="bridge", network="10.10.12.0/24")
    assert _children(worker.pid) == before


def test_traffic_loses_no_packet_while_other_networks_come_and_go(cluster: Cluster, declare: Declare) -> None:
    declare("backend2", **ROUTED)
    a, b = cluster.container("n1", "backend2"), cluster.container("n2", "backend2")
    pinging = Pinging(a.namespace, b.address)
    declare("other", type="routed_bridge", network="10.99.0.0/16", ips_per_node=256)
    cluster.change("other", mtu=1400)
    cluster.settled(within=CONVERGED_WITHIN)
    cluster.withdraw("other")
    cluster.settled(within=CONVERGED_WITHIN)
    pings = pinging.stop()
    assert pings.sent > 20
    assert pings.lost == 0


def _declare(cluster: Cluster) -> None:
    cluster.declare("backend2", **ROUTED)


def _withdraw(cluster: Cluster) -> None:
    cluster.withdraw("backend2")


@pytest.mark.parametrize("event", [1, 2, 3, 4, 5])
def test_killed_at_any_point_of_an_apply_the_next_start_converges(cluster: Cluster, event: int) -> None:
    """Links, addresses and routes of a network that comes or goes are six to nine events."""
    n1 = cluster.nodes["n1"]
    without = _state(n1)
    _declare(cluster)
    cluster.settled(within=CONVERGED_WITHIN)
    whole = _state(n1)
    for change, expected in ((_withdraw, without), (_declare, whole), (_withdraw, without)):
        with faults.kill_during_apply(n1, event) as killed:
            change(cluster)
            assert killed.wait(CONVERGED_WITHIN)
        n1.worker.start()
        cluster.settled(within=CONVERGED_WITHIN)
        assert _state(n1) == expected
        assert n1.plan() == []


@pytest.mark.parametrize(
    "fault",
    [
        lambda node: faults.delete_route(node, "10.12.4.0/22"),
        lambda node: faults.delete_link(node, "obr_backend2"),
        faults.flush_firewall,
        lambda node: (node.confs / "backend2.conflist").unlink(),
    ],
    ids=["route", "bridge", "firewall", "file"],
)
def test_what_others_remove_is_back_at_once(
    cluster: Cluster, declare: Declare, fault: Callable[[Node], object]
) -> None:
    declare("backend2", **ROUTED)
    n1 = cluster.nodes["n1"]
    whole = _state(n1)
    fault(n1)
    until(lambda: _state(n1) == whole, what="everything is as it was", within=REPAIRED_WITHIN)
