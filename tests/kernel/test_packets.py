"""What a container sees: the real CNI plugins attach it with our file, and its packets cross.

container 10.11.0.2 -- obr_backend1 [n1] eth0 10.0.0.1 -- wire 10.0.0.2 [outside]
                                                          10.11.4.1 on lo: a peer's segment
"""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.containers import Chain, Container
from lab.namespaces import Namespace
from lab.pings import ping
from tests.documents import bridge, document, loopback, peer, routed, routed6
from tests.kernel.node import Node
from workers.document import DesiredNetwork

PLUGINS = Path("/usr/lib/cni")
OUTSIDE = """
link set lo up
addr add 10.0.0.2/24 dev wire
addr add fd00:aa::2/64 dev wire nodad
link set wire up
addr add 10.11.4.1/32 dev lo
addr add fd10::101/128 dev lo
route add 10.11.0.0/22 via 10.0.0.1
route add 10.10.10.0/24 via 10.0.0.1
route add fd10::/120 via fd00:aa::1
"""
HOPS = ("10.0.0.2", "fd00:aa::2")
BOTH = routed(
    ranges=("10.11.0.0/16", "fd10::/112"),
    subnets=("10.11.0.0/22", "fd10::/120"),
    peers=(peer(2, addresses=HOPS, gateways=HOPS, subnets=("10.11.4.0/22", "fd10::100/120")),),
)


@pytest.fixture
def outside(node: Node) -> Iterator[Namespace]:
    with Namespace("outside") as outside:
        node.ip(f"link set wire netns {outside.path}")
        outside.run(["ip", "-batch", "-"], stdin=OUTSIDE)
        yield outside


def attach(node: Node, network: str, name: str = "c1") -> Container:
    return Container(name, node.namespace, Chain(node.directory / f"{network}.conflist", PLUGINS))


def _source_seen(container: Container, outside: Namespace, address: str) -> str:
    """The source address with which a datagram to ``address`` arrives outside."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with outside.entered():
        server = socket.socket(family, socket.SOCK_DGRAM)
    with container.namespace.entered():
        client = socket.socket(family, socket.SOCK_DGRAM)
    with server, client:
        server.bind((address, 0))
        server.settimeout(5)
        client.sendto(b"hello", (address, server.getsockname()[1]))
        return str(server.recvfrom(16)[1][0])


@pytest.mark.parametrize(
    ("network", "address", "seen"),
    [
        pytest.param(BOTH, "10.0.0.2", "10.0.0.1", id="IPv4, elsewhere: as the node"),
        pytest.param(BOTH, "10.11.4.1", "10.11.0.2", id="IPv4, a peer's segment: as itself"),
        pytest.param(BOTH, "fd00:aa::2", "fd00:aa::1", id="IPv6, elsewhere: as the node"),
        pytest.param(BOTH, "fd10::101", "fd10::2", id="IPv6, a peer's segment: as itself"),
        pytest.param(bridge(), "10.0.0.2", "10.0.0.1", id="a local bridge: as the node"),
        pytest.param(bridge(public=True), "10.0.0.2", "10.10.10.2", id="a public network: as itself"),
    ],
)
def test_a_container_is_seen(
    node: Node, outside: Namespace, network: DesiredNetwork, address: str, seen: str
) -> None:
    node.converge(document(network))
    container = attach(node, network.name)
    try:
        assert _source_seen(container, outside, address) == seen
    finally:
        container.delete()


@pytest.mark.parametrize("network", [BOTH, routed6(peers=BOTH.peers)], ids=["both families", "IPv6 only"])
def test_the_first_packet_to_the_first_container_arrives(
    node: Node, outside: Namespace, network: DesiredNetwork
) -> None:
    """A bridge that just got its first port has no link-local address yet to ask neighbours from."""
    node.converge(document(network))
    container = attach(node, network.name)
    try:
        (six,) = (str(one.ip) for one in container.interfaces if one.version == 6)
        assert ping(outside, six, count=3, within=0.5).lost == 0
    finally:
        container.delete()


def test_it_has_the_mtu_of_the_network_and_the_routes_of_the_file(node: Node) -> None:
    node.converge(document(routed(mtu=1400)))
    container = attach(node, "backend1")
    try:
        shown = container.namespace.run(["ip", "link", "show", "eth0"])
        assert "mtu 1400" in shown
        routes = container.namespace.run(["ip", "route"])
        assert "default via 10.11.0.1" in routes
        assert "10.11.0.0/16 via 10.11.0.1" in routes
        assert str(container.interfaces[0]) == "10.11.0.2/22"
    finally:
        container.delete()


def test_the_plugins_leave_nothing_that_we_would_repair_or_report(node: Node) -> None:
    wanted = document(BOTH, bridge(), loopback())
    node.converge(wanted)
    containers = [attach(node, "backend1"), attach(node, "backend1", "c2"), attach(node, "local1", "c3")]
    made = node.plan(wanted)
    assert (made.changes, made.findings) == ((), ())
    assert node.link("obr_backend1")["address"] == "0a:58:0a:0b:00:01"
    for container in containers:
        container.delete()
    assert not node.plan(wanted)


def test_the_loopback_file_is_good_for_the_plugin(node: Node) -> None:
    node.converge(document(loopback()))
    container = attach(node, "lo")
    assert "UP" in container.namespace.run(["ip", "link", "show", "lo"])
    container.delete()


def test_containers_keep_their_leases_in_the_store_of_the_node(node: Node) -> None:
    node.converge(document(routed()))
    container = attach(node, "backend1")
    assert (node.settings.cni_store / "backend1" / "10.11.0.2").exists()
    container.delete()
    assert not (node.settings.cni_store / "backend1" / "10.11.0.2").exists()


def test_no_packet_is_lost_while_something_else_is_built_and_removed(node: Node, outside: Namespace) -> None:
    base = document(BOTH)
    node.converge(base)
    container = attach(node, "backend1")
    ping = container.namespace.popen(
        ["ping", "-q", "-c", "400", "-i", "0.002", "-W", "2", "10.11.4.1"], stdout=-1, text=True
    )
    try:
        rounds = 0
        while ping.poll() is None:
            rounds += 1
            node.converge(document(BOTH, bridge(f"more{rounds}"), routed6(), ranges=base.ranges))
            node.converge(base)
        said, _ = ping.communicate()
    finally:
        ping.kill()
        ping.wait()
        container.delete()
    assert "400 received" in said
    assert rounds > 3
