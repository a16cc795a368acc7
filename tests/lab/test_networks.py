"""Declared once, built by every node: what the kernels, the files and the packets say."""

import json
import socket
from collections.abc import Callable, Iterator
from itertools import permutations

import pytest

from lab.cluster import Cluster
from lab.containers import Container
from lab.node import Node
from lab.pings import ping
from lab.waiting import until
from tests.lab.conftest import CONVERGED_WITHIN, Declare

ROUTED = {"type": "routed_bridge", "network": "10.11.0.0/16", "ips_per_node": 1024}
LOCAL = {"type": "bridge", "network": "10.10.10.0/24"}
FULL = 1500 - 28
"""Payload of an ICMP packet that fills an Ethernet frame."""


def _addresses(node: Node, device: str) -> list[str]:
    (link,) = node.ip("-4", "address", "show", "dev", device)
    return [f"{address['local']}/{address['prefixlen']}" for address in link["addr_info"]]


def _source_seen(source: Container, target: Container) -> str:
    """The address from which the target sees a datagram of the source."""
    with target.namespace.entered():
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with source.namespace.entered():
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with receiver, sender:
        receiver.settimeout(5)
        receiver.bind((target.address, 0))
        sender.sendto(b"who am I", receiver.getsockname())
        return str(receiver.recvfrom(64)[1][0])


def test_every_node_gets_its_segment_and_routes_to_the_others(cluster: Cluster, declare: Declare) -> None:
    declare("backend1", **ROUTED)
    n1, n2, n3 = cluster.nodes.values()
    assert _addresses(n1, "obr_backend1") == ["10.11.0.1/22"]
    assert _addresses(n2, "obr_backend1") == ["10.11.4.1/22"]
    assert _addresses(n3, "obr_backend1") == ["10.11.8.1/22"]
    assert n1.routes() == {"10.11.4.0/22": "192.0.2.2", "10.11.8.0/22": "192.0.2.3"}
    assert n2.routes() == {"10.11.0.0/22": "192.0.2.1", "10.11.8.0/22": "192.0.2.3"}
    assert n3.routes() == {"10.11.0.0/22": "192.0.2.1", "10.11.4.0/22": "192.0.2.2"}


def test_full_packets_cross_between_containers_of_all_nodes(cluster: Cluster, declare: Declare) -> None:
    declare("backend2", **ROUTED)
    containers = [cluster.container(name, "backend2") for name in cluster.nodes]
    assert [container.address for container in containers] == ["10.11.0.2", "10.11.4.2", "10.11.8.2"]
    for source, target in permutations(containers, 2):
        assert ping(source.namespace, target.address, count=3, size=FULL).lost == 0


def test_containers_see_each_other_by_their_own_addresses(cluster: Cluster, declare: Declare) -> None:
    declare("backend1", **ROUTED)
    a, b = cluster.container("n1", "backend1"), cluster.container("n2", "backend1")
    assert _source_seen(a, b) == a.address


def test_containers_reach_what_lies_outside(cluster: Cluster, declare: Declare) -> None:
    """The fabric has no route back: only a masqueraded packet is answered."""
    declare("backend1", **ROUTED)
    declare("local1", **LOCAL)
    outside = str(cluster.topology.control.ip)
    for network in ("backend1", "local1"):
        assert ping(cluster.container("n1", network).namespace, outside, count=3).lost == 0


def test_a_local_bridge_is_the_same_on_each_node(cluster: Cluster, declare: Declare) -> None:
    declare("local2", **LOCAL)
    containers = [cluster.container(name, "local2") for name in ("n1", "n1", "n2")]
    assert [container.address for container in containers] == ["10.10.10.2", "10.10.10.3", "10.10.10.2"]
    assert cluster.ping(containers[0], containers[1]).lost == 0
    for node in cluster.nodes.values():
        assert _addresses(node, "obr_local2") == ["10.10.10.1/24"]
        assert node.routes() == {}


def test_a_second_look_has_an_empty_plan(cluster: Cluster, declare: Declare) -> None:
    declare("backend1", **ROUTED)
    declare("local1", **LOCAL)
    for node in cluster.nodes.values():
        assert node.plan() == []


def test_a_change_is_followed(cluster: Cluster, declare: Declare) -> None:
    declare("backend1", **ROUTED)
    before = cluster.container("n1", "backend1"), cluster.container("n2", "backend1")
    cluster.change("backend1", mtu=1400)
    cluster.converged("backend1", within=CONVERGED_WITHIN)
    for node in cluster.nodes.values():
        (link,) = node.ip("link", "show", "dev", "obr_backend1")
        assert link["mtu"] == 1400
    assert cluster.ping(*before).lost == 0
    (inside,) = json.loads(
        cluster.container("n1", "backend1").namespace.run(["ip", "-json", "link", "show", "eth0"])
    )
    assert inside["mtu"] == 1400


def test_other_segments_are_followed(cluster: Cluster, declare: Declare) -> None:
    declare("backend1", **ROUTED)
    cluster.change("backend1", ips_per_node=256)
    cluster.converged("backend1", within=CONVERGED_WITHIN)
    n1, n2, _ = cluster.nodes.values()
    assert _addresses(n2, "obr_backend1") == ["10.11.1.1/24"]
    assert n1.routes() == {"10.11.1.0/24": "192.0.2.2", "10.11.2.0/24": "192.0.2.3"}
    a, b = cluster.container("n1", "backend1"), cluster.container("n2", "backend1")
    assert cluster.ping(a, b).lost == 0


def test_a_network_on_named_nodes_is_nowhere_else(cluster: Cluster, declare: Declare) -> None:
    declare("pair", **ROUTED, nodes=["n1", "n3"])
    n1, n2, n3 = cluster.nodes.values()
    assert n1.routes() == {"10.11.4.0/22": "192.0.2.3"}
    assert n3.routes() == {"10.11.0.0/22": "192.0.2.1"}
    assert "obr_pair" not in n2.links()
    assert not (n2.confs / "pair.conflist").exists()


def test_a_withdrawn_network_leaves_nothing(cluster: Cluster, declare: Declare) -> None:
    def state(node: Node) -> tuple[object, ...]:
        files = {path.name: path.read_text() for path in node.confs.iterdir()}
        return node.links(), node.routes(), files, node.namespace.run(["nft", "list", "ruleset"])

    before = {name: state(node) for name, node in cluster.nodes.items()}
    declare("backend1", **ROUTED)
    declare("local1", **LOCAL)
    assert all(state(node) != before[name] for name, node in cluster.nodes.items())
    cluster.withdraw("local1")
    cluster.withdraw("backend1")
    cluster.settled(within=CONVERGED_WITHIN)
    for name, node in cluster.nodes.items():
        assert state(node) == before[name]


MADE_BY_OTHERS = """
ip link add theirs type bridge
ip address add 198.51.100.1/24 dev theirs
ip link set theirs up
ip route add 203.0.113.0/24 via 192.0.2.2
ip route add 203.0.113.0/25 via 192.0.2.3 proto static
ip rule add from 203.0.113.9 table 99
nft add table inet theirs
nft add chain inet theirs input { type filter hook input priority 10 ; policy accept ; }
nft add rule inet theirs input tcp dport 9 counter drop
"""
REMOVED_BY_OTHERS = """
nft delete table inet theirs
ip rule delete from 203.0.113.9 table 99
ip route delete 203.0.113.0/25
ip route delete 203.0.113.0/24
ip link delete theirs
"""


@pytest.fixture
def theirs(cluster: Cluster) -> Iterator[Callable[[], tuple[object, ...]]]:
    """What somebody else has on n1; called, it tells what there is of it."""
    n1 = cluster.nodes["n1"]
    file = n1.confs / "theirs.conflist"
    for command in MADE_BY_OTHERS.strip().splitlines():
        n1.namespace.run(command.split())
    file.write_text('{"cniVersion": "1.0.0", "name": "theirs", "plugins": [{"type": "loopback"}]}')
    yield lambda: (
        n1.ip("-4", "address", "show", "dev", "theirs"),
        [route for route in n1.ip("route", "show") if route["dst"].startswith("203.")],
        n1.ip("rule", "show"),
        n1.namespace.run(["nft", "list", "table", "inet", "theirs"]),
        file.read_text(),
    )
    for command in REMOVED_BY_OTHERS.strip().splitlines():
        n1.namespace.run(command.split())
    file.unlink()


def test_what_is_not_ours_is_left_alone(
    cluster: Cluster, theirs: Callable[[], tuple[object, ...]], declare: Declare
) -> None:
    before = theirs()
    declare("backend1", **ROUTED)
    assert theirs() == before
    cluster.withdraw("backend1")
    cluster.settled(within=CONVERGED_WITHIN)
    assert theirs() == before


def test_a_foreign_route_in_the_way_is_a_conflict_with_its_name(cluster: Cluster, declare: Declare) -> None:
    n1 = cluster.nodes["n1"]
    n1.namespace.run(["ip", "route", "add", "10.11.4.0/22", "via", "192.0.2.3", "proto", "static"])
    cluster.declare("backend1", **ROUTED)
    finding = until(
        lambda: cluster.api.get("nodes/n1/")["findings"],
        what="n1 reports the conflict",
        within=CONVERGED_WITHIN,
    )[0]
    assert finding["code"] == "conflict"
    assert "10.11.4.0/22" in finding["subject"]
    (kept,) = n1.ip("route", "show", "10.11.4.0/22")
    assert (kept["gateway"], kept["protocol"]) == ("192.0.2.3", "static")
    n1.namespace.run(["ip", "route", "delete", "10.11.4.0/22", "proto", "static"])
    cluster.converged("backend1", within=CONVERGED_WITHIN)
    assert n1.routes()["10.11.4.0/22"] == "192.0.2.2"


def test_leases_appear_in_net_status(cluster: Cluster, declare: Declare) -> None:
    declare("backend1", **ROUTED)
    containers = [cluster.container(name, "backend1") for name in cluster.nodes]

    def listed() -> bool:
        shown = cluster.control.manage("net", "status", "--verbose", "--name", "backend1")
        return all(f"{c.address} " in shown for c in containers)

    until(listed, what="the leases are listed", within=CONVERGED_WITHIN)
