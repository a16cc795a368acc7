"""The way of a packet on real kernels: what is named when something on it is not as declared.

container 10.11.0.2 -- obr_net [n1] eth0 10.0.0.1 --+-- eth0 10.0.0.2 [n2] obr_net -- container 10.11.4.2
"""

import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.containers import Chain, Container
from tests.kernel import explaining
from tests.kernel.cluster import Declared, Underlay, an_underlay
from tests.kernel.node import Node
from workers.explained import Crossing, Echo, Explained, Hop, Leg

PLUGINS = Path("/usr/lib/cni")
DIRECT = Declared(mode="vxlan", tunnel="never")
TUNNEL = Declared(mode="vxlan", tunnel="always", ends=("4",))
THERE = Leg(0, "10.11.0.2", "10.11.4.2", starts="container", sender="c1", out_of="net", over="net", peer="n2")
COMES = Leg(1, "10.11.0.2", "10.11.4.2", ends="container", receiver="c2", into="net", over="net", peer="n1")
OUTSIDE = Leg(0, "10.11.0.2", "10.0.0.2", starts="container", sender="c1", out_of="net")
BRIDGES = Leg(0, "10.11.0.1", "10.11.4.1", starts="bridge", out_of="net", over="net", peer="n2")
SIX = Leg(0, "fd11::1", "fd11::101", starts="bridge", out_of="net", over="net", peer="n2")


class Cluster:
    """Two nodes with a container each, brought to what is declared."""

    def __init__(self, underlay: Underlay, declared: Declared) -> None:
        self.underlay, self.declared = underlay, declared
        underlay.converge(declared)
        self.containers = [self._attach(number) for number in underlay.nodes]

    def _attach(self, number: int) -> Container:
        node = self.underlay.nodes[number]
        return Container(f"c{number}", node.namespace, Chain(node.directory / "net.conflist", PLUGINS))

    @property
    def n1(self) -> Node:
        return self.underlay.nodes[1]

    @property
    def n2(self) -> Node:
        return self.underlay.nodes[2]

    def explained(self, number: int, *legs: Leg, echoes: tuple[Echo, ...] = ()) -> Explained:
        return explaining.explained(self.underlay, number, self.declared, *legs, echoes=echoes)

    def hops(self, number: int, leg: Leg) -> tuple[Hop, ...]:
        (passage,) = self.explained(number, leg).passages
        return passage.hops

    def different(self, number: int, leg: Leg) -> tuple[str, str]:
        """Kind and sentence of the first hop that is not as declared; empty: all are."""
        return next(((hop.kind, hop.why) for hop in self.hops(number, leg) if not hop.same), ("", ""))


@pytest.fixture
def underlay(tmp_path: Path) -> Iterator[Underlay]:
    with an_underlay(tmp_path) as underlay:
        yield underlay


@pytest.fixture
def make(underlay: Underlay) -> Iterator[Callable[[Declared], Cluster]]:
    made = []

    def make(declared: Declared) -> Cluster:
        made.append(Cluster(underlay, declared))
        return made[-1]

    yield make
    for cluster in made:
        for container in cluster.containers:
            container.namespace.close()


Make = Callable[[Declared], Cluster]


def test_a_direct_way_is_told_hop_by_hop(make: Make) -> None:
    cluster = make(DIRECT)
    hops = [*cluster.hops(1, THERE), *cluster.hops(2, COMES)]
    assert [hop.why for hop in hops] == [""] * len(hops)
    assert [(hop.kind, hop.found) for hop in hops if hop.kind not in ("neighbour",)] == [
        ("address", "c1 eth0"),
        ("bridge", "obr_net 10.11.0.1/22 mtu 1500 up"),
        ("switch", "net/ipv4/conf/obr_net/forwarding=1"),
        ("rule", "table main"),
        ("route", "10.11.4.0/22 via 10.0.0.2 dev eth0"),
        ("forward", "passed on"),
        ("firewall", "leaves as 10.11.0.2"),
        ("switch", "net/ipv4/conf/eth0/forwarding=1"),
        ("rule", "table main"),
        ("route", "10.11.4.0/22 dev obr_net"),
        ("forward", "passed on"),
        ("bridge", "obr_net 10.11.4.1/22 mtu 1500 up"),
        ("address", "c2 eth0"),
    ]


def test_a_tunnelled_way_is_told_hop_by_hop(make: Make) -> None:
    cluster = make(TUNNEL)
    hops = [*cluster.hops(1, THERE), *cluster.hops(2, COMES)]
    assert [hop.why for hop in hops] == [""] * len(hops)
    assert [(hop.kind, hop.found) for hop in hops if hop.kind in ("route", "tunnel", "guard")] == [
        ("route", "10.11.4.0/22 to 10.0.0.2 dev na_vxlan"),
        ("tunnel", "na_vxlan vxlan port 4790 external gpe mtu 1464 up"),
        ("tunnel", "na_vxlan vxlan port 4790 external gpe mtu 1464 up"),
        ("guard", "in set peers4"),
        ("route", "10.11.4.0/22 dev obr_net"),
    ]


def test_ipv6_is_told_too(make: Make) -> None:
    hops = make(DIRECT).hops(1, SIX)
    assert [hop.why for hop in hops] == [""] * len(hops)
    assert ("route", "fd11::100/120 via fd00:aa::2 dev eth0") in [(hop.kind, hop.found) for hop in hops]


def test_what_leaves_the_networks_is_masqueraded(make: Make) -> None:
    hops = make(DIRECT).hops(1, OUTSIDE)
    assert [hop.why for hop in hops] == [""] * len(hops)
    assert ("firewall", "masqueraded as 10.0.0.1") in [(hop.kind, hop.found) for hop in hops]


def test_what_comes_from_outside_is_told_from_where_it_arrives(make: Make) -> None:
    leg = Leg(0, "10.0.0.9", "10.11.4.2", ends="container", receiver="c2", into="net")
    hops = make(DIRECT).hops(2, leg)
    assert [hop.why for hop in hops] == [""] * len(hops)
    assert hops[0].found == "net/ipv4/conf/eth0/forwarding=1"


@pytest.mark.parametrize(
    ("fault", "kind", "why"),
    [
        ("route del 10.11.4.0/22", "route", "n1 has no route to 10.11.4.0/22"),
        (
            "route replace 10.11.4.0/22 via 10.0.0.3 proto 157",
            "route",
            "the route of n1 to 10.11.4.0/22 leads via 10.0.0.3 by eth0, not via 10.0.0.2 by eth0",
        ),
        (
            "route replace 10.11.4.0/22 via 10.0.0.3 proto static",
            "route",
            "on n1 a route of somebody else (proto static) wins: 10.11.4.0/22 via 10.0.0.3 by eth0",
        ),
        (
            "route add 10.11.4.0/24 via 10.0.0.3 proto bird",
            "route",
            "on n1 10.11.4.0/24, of somebody else (proto bird), is narrower than the declared 10.11.4.0/22",
        ),
        (
            "route add blackhole 10.11.4.2/32",
            "route",
            "on n1 a route or rule of type blackhole drops packets to 10.11.4.0/22",
        ),
        (
            "rule add priority 100 from 10.11.0.0/16 lookup 77",
            "rule",
            "on n1 rule 100: from 10.11.0.0/16 lookup 77 sends the packet to table 77, not to table main",
        ),
        (
            "rule add priority 100 to 10.11.4.0/22 prohibit",
            "rule",
            "rule 100: from all to 10.11.4.0/22 prohibit refuses the packet on n1",
        ),
        ("link set obr_net down", "bridge", "obr_net on n1 is down"),
        ("link set obr_net mtu 1400", "bridge", "obr_net on n1 has MTU 1400 where 1500 is declared"),
        ("link del obr_net", "bridge", "n1 has no bridge obr_net"),
        (
            "addr del 10.11.0.1/22 dev obr_net",
            "bridge",
            "obr_net on n1 does not have its address 10.11.0.1/22",
        ),
    ],
)
def test_what_is_different_where_a_packet_leaves_is_named(
    make: Make, fault: str, kind: str, why: str
) -> None:
    cluster = make(DIRECT)
    cluster.n1.ip("route add default via 10.0.0.9 table 77")
    assert cluster.different(1, THERE) == ("", "")
    cluster.n1.ip(fault)
    assert cluster.different(1, THERE) == (kind, why)


@pytest.mark.parametrize(
    ("fault", "kind", "why"),
    [
        (
            "nft delete element inet netadmin peers4 { 10.0.0.1 }",
            "guard",
            "n2 drops what n1 sends by the tunnel: 10.0.0.1 is not in set peers4",
        ),
        (
            "nft delete table inet netadmin",
            "guard",
            "n2 keeps nobody out of na_vxlan: its firewall table has no guard",
        ),
        ("ip link set na_vxlan down", "tunnel", "na_vxlan on n2 is down"),
        ("ip link set na_vxlan mtu 1300", "tunnel", "na_vxlan on n2 has MTU 1300 where 1464 is declared"),
        ("ip link del na_vxlan", "tunnel", "n2 has no tunnel na_vxlan"),
        (
            "sysctl -q -w net.ipv4.conf.na_vxlan.forwarding=0",
            "switch",
            "n2 does not pass on packets: net/ipv4/conf/na_vxlan/forwarding is 0",
        ),
        (
            "ip route replace 10.11.0.0/22 dev na_vxlan scope link encap ip id 1 dst 10.0.0.3 proto 157",
            "",
            "",
        ),
        ("ip addr flush dev obr_net", "route", "n2 has no route to 10.11.4.0/22; it takes "),
    ],
)
def test_what_is_different_where_a_packet_arrives_is_named(
    make: Make, fault: str, kind: str, why: str
) -> None:
    cluster = make(TUNNEL)
    cluster.n2.ip("route add default via 10.0.0.9")
    assert cluster.different(2, COMES) == ("", "")
    cluster.n2.namespace.run(fault.split() if not fault.startswith("nft") else ["nft", fault[4:]])
    found = cluster.different(2, COMES)
    assert (found[0], found[1][: len(why)]) == (kind, why)


def test_another_tunnel_end_is_named(make: Make) -> None:
    cluster = make(TUNNEL)
    cluster.n1.ip(
        "route replace 10.11.4.0/22 dev na_vxlan proto 157 encap ip id 1 src 10.0.0.1 dst 10.0.0.7 ttl 64"
    )
    kind, why = cluster.different(1, THERE)
    assert (kind, why) == (
        "route",
        "the route of n1 to 10.11.4.0/22 leads to 10.0.0.7 by na_vxlan, not to 10.0.0.2 by na_vxlan",
    )


def test_a_reverse_path_filter_that_drops_is_named(make: Make) -> None:
    cluster = make(DIRECT)
    cluster.n2.namespace.run(["sysctl", "-q", "-w", "net.ipv4.conf.eth0.rp_filter=1"])
    assert cluster.different(2, COMES) == ("", "")
    cluster.n2.ip("route replace 10.11.0.0/22 dev obr_net proto static")
    kind, why = cluster.different(2, COMES)
    assert kind == "route"
    assert why.startswith("the reverse path filter of eth0 on n2 drops packets from 10.11.0.2")


def test_a_table_that_masquerades_too_much_is_named(make: Make) -> None:
    cluster = make(DIRECT)
    cluster.n1.nft("delete element inet netadmin ranges4 { 10.11.0.0/16 }")
    assert cluster.different(1, THERE) == (
        "firewall",
        "n1 masquerades packets to 10.11.4.2, and its peers do not know who sends",
    )


def test_a_container_that_went_is_named(make: Make) -> None:
    cluster = make(DIRECT)
    cluster.containers[1].delete()
    assert cluster.different(2, COMES) == ("address", "c2 does not hold 10.11.4.2 on n2 any more")
    stranger = dataclasses.replace(COMES, receiver="")
    hops = cluster.hops(2, stranger)
    assert (hops[-1].declared, hops[-1].found, hops[-1].same) == ("nobody", "nobody", True)


def crossing(cluster: Cluster, destination: str, source: str = "10.11.0.1", size: int = 1464) -> Crossing:
    echo = Echo(source, destination, size)
    (found,) = cluster.explained(1, BRIDGES, echoes=(echo,)).crossings
    return found


def test_echoes_say_whether_packets_cross_and_how_large_they_may_be(make: Make) -> None:
    cluster = make(TUNNEL)
    found = crossing(cluster, "10.11.4.2")
    assert (found.received, found.largest, found.said) == (found.sent, 1464, "")
    assert 0 < found.rtt < 1000
    cluster.underlay.switch.run(["ip", "link", "set", "n2", "mtu", "1300"])
    found = crossing(cluster, "10.11.4.2")
    assert found.received
    assert found.largest == 1264
    cluster.n2.ip("link set eth0 down")
    found = crossing(cluster, "10.11.4.2")
    assert (found.received, found.largest) == (0, 0)


def test_what_comes_back_at_once_is_not_waited_for(make: Make) -> None:
    cluster = make(TUNNEL)
    echoes = (Echo("10.11.0.1", "10.11.4.2", 1464), Echo("10.11.0.1", "10.11.0.2", 1464))
    start = time.monotonic()
    found = cluster.explained(1, BRIDGES, echoes=echoes).crossings
    assert time.monotonic() - start < 0.25
    assert [(one.sent, one.received) for one in found] == [(1, 1), (1, 1)]


def test_a_container_that_does_not_answer_is_named_after_the_echoes(make: Make) -> None:
    cluster = make(DIRECT)
    cluster.containers[1].namespace.run(["ip", "link", "set", "eth0", "down"])
    echo = Echo("10.11.4.1", "10.11.4.2", 1400)
    passages = cluster.explained(2, COMES, echoes=(echo,)).passages
    last = passages[0].hops[-1]
    assert (last.kind, last.why) == ("address", "c2 eth0 holds 10.11.4.2 and does not answer on obr_net")


def test_the_bridge_of_a_node_is_an_end_of_its_own(make: Make) -> None:
    cluster = make(DIRECT)
    comes = Leg(1, "10.11.0.1", "10.11.4.1", ends="bridge", into="net", over="net", peer="n1")
    hops = [*cluster.hops(1, BRIDGES), *cluster.hops(2, comes)]
    assert [hop.why for hop in hops] == [""] * len(hops)
    assert ("rule", "table local") in [(hop.kind, hop.found) for hop in hops]
    cluster.n2.ip("rule add priority 100 from 10.99.0.0/16 lookup 77")
    assert cluster.different(2, comes) == ("", ""), "now the kernel keeps local and main apart"
    cluster.n2.ip("addr del 10.11.4.1/22 dev obr_net")
    assert cluster.different(2, comes)[0] == "route"


def test_a_chain_of_others_that_drops_what_is_passed_on_is_named(make: Make) -> None:
    cluster = make(DIRECT)
    cluster.n2.nft("add table ip filter")
    cluster.n2.nft("add chain ip filter FORWARD { type filter hook forward priority filter; policy drop; }")
    hop = next(hop for hop in cluster.hops(2, COMES) if not hop.same)
    assert (hop.kind, hop.why) == (
        "forward",
        "chain ip filter FORWARD on n2 drops what it does not know, obr_net too",
    )
    assert "iptables -I FORWARD -i obr_net -j ACCEPT" in hop.remedy
    for rule in ("iifname obr_net accept", "oifname obr_net accept"):
        cluster.n2.nft(f"add rule ip filter FORWARD {rule}")
    assert cluster.different(2, COMES) == ("", "")


def test_ipv6_has_its_own_rules_and_lower_metrics(make: Make) -> None:
    cluster = make(DIRECT)
    cluster.n1.ip("route add fd11::100/120 via fd00:aa::3 metric 10 proto static")
    assert cluster.different(1, SIX) == (
        "route",
        "on n1 a route of somebody else (proto static) wins: fd11::100/120 via fd00:aa::3 by eth0",
    )
    cluster.n1.ip("route del fd11::100/120 metric 10")
    cluster.n1.ip("-6 rule add priority 100 to fd11::/112 prohibit")
    assert cluster.different(1, SIX)[0] == "rule"
