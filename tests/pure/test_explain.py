"""The way of a packet, where it needs no kernel: what is read, what is compared, what is decided."""

import itertools
from typing import Any

import pytest

from networks.models import Network
from networks.passages import carried
from tests import documents
from workers.explained import Hop, Leg
from workers.explaining import listing, routing
from workers.explaining.course import Course, course
from workers.explaining.sight import Node, Sight
from workers.host import Held, Host, Link
from workers.kernel import routes
from workers.kernel.lookup import Match
from workers.kernel.neighbours import Neighbour
from workers.kernel.netlink import NetlinkError
from workers.kernel.routes import Route
from workers.kernel.rules import Rule
from workers.objects import wanted

LISTING = """table inet netadmin {
	set ranges4 {
		type ipv4_addr
		flags interval
		elements = { 10.11.0.0/16, 10.20.0.7-10.20.0.9,
				224.0.0.0/4 }
	}
	set peers4 {
		type ipv4_addr
	}
	set peers6 {
		type ipv6_addr
		elements = { fd00:aa::2 }
	}
	chain tunnels {
		type filter hook prerouting priority raw; policy accept;
		udp dport 4790 ip saddr != @peers4 drop
	}
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr 10.11.0.0/22 ip daddr != @ranges4 masquerade comment "backend1"
	}
}
"""


@pytest.mark.parametrize(
    ("name", "member", "held"),
    [
        ("ranges4", "10.11.255.255", True),
        ("ranges4", "10.12.0.0", False),
        ("ranges4", "10.20.0.8", True),
        ("ranges4", "10.20.0.10", False),
        ("ranges4", "224.0.0.9", True),
        ("peers4", "10.0.0.2", False),
        ("peers6", "fd00:aa::2", True),
        ("peers6", "fd00:aa::3", False),
        ("gone", "10.11.0.1", False),
    ],
)
def test_a_set_holds_an_address(name: str, member: str, held: bool) -> None:
    assert listing.holds(LISTING, name, member) is held


@pytest.mark.parametrize(
    ("source", "destination", "masqueraded"),
    [
        ("10.11.0.2", "192.0.2.1", True),
        ("10.11.0.2", "10.11.4.2", False),
        ("10.11.4.2", "192.0.2.1", False),
    ],
)
def test_what_is_masqueraded_is_read_from_the_listing(
    source: str, destination: str, masqueraded: bool
) -> None:
    assert listing.masquerades(LISTING, source, destination) is masqueraded
    assert not listing.masquerades("", source, destination)


@pytest.mark.parametrize(
    ("fields", "concerned"),
    [
        ({}, True),
        ({"source": "10.11.0.0/22"}, True),
        ({"source": "10.12.0.0/22"}, False),
        ({"source": "10.12.0.0/22", "inverted": True}, True),
        ({"destination": "10.11.4.0/22"}, True),
        ({"incoming": "obr_backend1"}, True),
        ({"incoming": "eth0"}, False),
        ({"outgoing": "eth0"}, False),
        ({"mark": 7}, False),
    ],
)
def test_a_rule_concerns_a_packet(fields: dict[str, Any], concerned: bool) -> None:
    rule = Rule(100, "lookup", 77, **fields)
    assert rule.concerns("10.11.0.2", "10.11.4.2", "obr_backend1") is concerned


# -- the route


def _host() -> Host:
    eth0 = Link(2, "eth0", "veth", "", 1500, True, addresses=(Held("10.0.0.1/24"), Held("fd00:aa::1/64")))
    return Host({"eth0": eth0})


def _course(tunnel: str = "auto") -> Course:
    document = documents.document(documents.routed(tunnel=tunnel, tunnel_mode="vxlan"))
    objects, findings = wanted(document, _host(), documents.settings())
    leg = Leg(0, "10.11.0.2", "10.11.4.2", starts="container", out_of="backend1", over="backend1", peer="n2")
    return course(leg, document, _host(), objects, findings)


def _sight(found: Route | None, kind: str = "unicast", error: int = 101, **fields: Any) -> Sight:
    return Sight(
        node=Node(_host(), {}, "", protocol=157),
        match=Match(found, kind) if found else None,
        refusal=None if found else NetlinkError(error, "no"),
        forwarding="1",
        **fields,
    )


DECLARED = Route("10.11.4.0/22", 254, "10.0.0.2", "eth0", 0, 157)


def _other(**fields: Any) -> Route:
    base = {"dst": "10.11.4.0/22", "table": 254, "via": "10.0.0.2", "device": "eth0", "metric": 0}
    return Route(**{**base, "protocol": 157, **fields})


@pytest.mark.parametrize(
    ("sight", "why"),
    [
        pytest.param(_sight(DECLARED), "", id="as declared"),
        pytest.param(_sight(_other(protocol=4)), "", id="somebody else's that does its service"),
        pytest.param(
            _sight(_other(device="eth1")),
            "the route of n1 to 10.11.4.0/22 leads via 10.0.0.2 by eth1, not via 10.0.0.2 by eth0",
            id="another device",
        ),
        pytest.param(
            _sight(_other(via="10.0.0.3", protocol=186)),
            "on n1 a route of somebody else (proto bgp) wins: 10.11.4.0/22 via 10.0.0.3 by eth0",
            id="another's route",
        ),
        pytest.param(
            _sight(_other(dst="10.11.0.0/16", via="10.0.0.9", protocol=3)),
            "n1 has no route to 10.11.4.0/22; it takes 10.11.0.0/16 via 10.0.0.9 dev eth0 proto boot",
            id="only a wider one",
        ),
        pytest.param(
            _sight(_other(dst="10.11.4.2/32", protocol=99)),
            "on n1 10.11.4.2/32, of somebody else (proto 99), is narrower than the declared 10.11.4.0/22",
            id="a narrower one",
        ),
        pytest.param(
            _sight(_other(via="10.0.0.2,10.0.0.3", protocol=12)),
            "on n1 a route of somebody else (proto bird) wins: "
            "10.11.4.0/22 via 10.0.0.2,10.0.0.3 by eth0",
            id="several next hops",
        ),
        pytest.param(
            _sight(_other(dst="0.0.0.0/0", table=77, via="10.0.0.9", protocol=3)),
            "n1 takes 0.0.0.0/0 via 10.0.0.9 dev eth0 proto boot of table 77",
            id="one of another table",
        ),
        pytest.param(_sight(None), "n1 has no route to 10.11.4.0/22", id="none"),
        pytest.param(
            _sight(None, error=13),
            "on n1 a route or rule of type prohibit drops packets to 10.11.4.0/22",
            id="one that prohibits",
        ),
        pytest.param(
            _sight(None, error=22, judged=True, rp_filter=1),
            "the reverse path filter of obr_backend1 on n1 drops packets from 10.11.0.2, "
            "since it is reached by another device",
            id="reverse path filter",
        ),
        pytest.param(_sight(None, error=5), "n1 refuses packets to 10.11.4.0/22 (no)", id="anything else"),
    ],
)  # fmt: skip
def test_a_route_is_compared_with_the_declared_one(sight: Sight, why: str) -> None:
    found = [hop for hop in routing.hops(_course(), sight) if hop.kind == "route"]
    assert [(hop.declared, hop.same, hop.why) for hop in found] == [
        ("10.11.4.0/22 via 10.0.0.2 dev eth0", not why, why)
    ]
    assert bool(found[0].remedy) == bool(why) or "of table" in why, "there the rule has the remedy"


def test_a_next_hop_that_does_not_answer_is_named() -> None:
    failed = _sight(DECLARED, neighbours={("eth0", "10.0.0.2"): Neighbour("", "failed")})
    last = list(routing.hops(_course(), failed))[-1]
    assert (last.kind, last.why) == ("neighbour", "the next hop 10.0.0.2 does not answer on eth0 of n1")


def test_a_peer_that_cannot_be_reached_is_said_with_what_the_node_reports() -> None:
    document = documents.document(
        documents.routed(
            tunnel="never", peers=(documents.peer(1), documents.peer(2, gateways=("192.0.2.2",)))
        )
    )
    objects, findings = wanted(document, _host(), documents.settings())
    leg = Leg(0, "10.11.0.1", "10.11.4.2", starts="bridge", out_of="backend1", over="backend1", peer="n2")
    found = course(leg, document, _host(), objects, findings)
    hop = next(one for one in routing.hops(found, _sight(None)) if one.kind == "route")
    assert isinstance(hop, Hop)
    assert (hop.declared, hop.same) == ("no way", False)
    assert "the next hop 192.0.2.2 of n2 is on no subnet that this node is connected to" in hop.why


# -- the control plane and the worker decide alike

ENDS = [(), ("10.0.0.2",), ("fd00:aa::2",), ("10.0.0.2", "fd00:aa::2"), ("192.0.2.2",)]
MODES = ["ipip", "gre", "ip6ip6", "ip6gre", "vxlan"]


@pytest.mark.parametrize("tunnel", ["auto", "always", "never"])
@pytest.mark.parametrize("mode", MODES)
def test_the_rows_tell_the_way_that_the_worker_builds(tunnel: str, mode: str) -> None:
    declared = Network(name="net", tunnel=tunnel, tunnel_mode=mode)
    underlay = {"10.0.0.1/24": 1500, "fd00:aa::1/64": 1500}
    for own, theirs, gateways, six in itertools.product(ENDS[1:4], ENDS, ENDS, (False, True)):
        subnets = ("fd10::100/120",) if six else ("10.11.4.0/22",)
        mine = documents.peer(1, addresses=own, gateways=own, subnets=("fd10::/120",))
        peer = documents.peer(2, addresses=theirs, gateways=gateways, subnets=subnets)
        network = documents.routed(
            peers=(mine, peer), tunnel=tunnel, tunnel_mode=mode, subnets=("10.11.0.0/22", "fd10::/120")
        )
        hops = routes.hops(network, "n1", _host())
        found = carried(
            declared,
            {"addresses": own},
            {"addresses": theirs, "gateways": gateways},
            underlay,
            6 if six else 4,
        )
        built = "none" if not hops else "tunnel" if hops[0].way else "direct"
        assert found.kind == built, (own, theirs, gateways, six)
        if hops:
            assert found.to == (hops[0].way.remote if hops[0].way else hops[0].via)
