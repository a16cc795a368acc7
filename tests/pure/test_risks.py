"""What a plan would do to traffic that is there: a table of changes against a node as it stands.

eth0 10.0.0.1/24 fd00:aa::1/64 -- 10.0.0.254, the default route -- 192.0.2.10, the control plane
"""

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from workers.changes import Change, Owned, Plan, Verb
from workers.cni.weave import Router
from workers.host import Held, Host, Link
from workers.kernel.addresses import Address
from workers.kernel.firewall import Firewall
from workers.kernel.links import Bridge
from workers.kernel.routes import Route
from workers.kernel.tunnels import Tunnel
from workers.report import Lease
from workers.risks import Path, Scene, risks

CONTROL = "192.0.2.10"
DEFAULT = Route("0.0.0.0/0", 254, "10.0.0.254", "eth0", 0, 4)
CONNECTED = Route("10.0.0.0/24", 254, "", "eth0", 0, 2, src="10.0.0.1")
DEFAULT6 = Route("::/0", 254, "fd00:aa::ff", "eth0", 1024, 4)
VPN = Route("10.8.0.0/16", 254, "10.0.0.9", "eth0", 0, 4)
HOST = Host(
    {
        "eth0": Link(2, "eth0", "veth", "", 1500, True, addresses=(Held("10.0.0.1/24"),)),
        "obr_a": Link(3, "obr_a", "bridge", "", 1500, True, ours=True, network="a"),
    }
)
SCENE = Scene(
    host=HOST,
    leases=(Lease("a", "10.11.0.2", "c1", "eth0"), Lease("a", "10.11.0.3", "c2", "eth0")),
    paths=(Path(CONTROL, "the control plane", DEFAULT),),
    foreign=(DEFAULT, CONNECTED, VPN),
    peers={"10.0.0.2": "n2", "203.0.113.3": "n3"},
    owners={"10.11.4.0/22": "a", "10.11.8.0/22": "a", "10.14.0.0/22": "b"},
)
BRIDGE = Bridge("obr_a", "0a:58:0a:0b:00:01", 1500, 28257, "a")
GATEWAY = Address("obr_a", "10.11.0.1/22", 157, "a")
ROUTE = Route("10.11.4.0/22", 254, "10.0.0.2", "eth0", 0, 157)
ROUTE2 = replace(ROUTE, dst="10.11.8.0/22", via="10.0.0.3")
ROUTER = Router("10.32.0.0/12", ("10.0.0.2",))
TUNNEL = Tunnel("na_gre", "gre", "local 10.0.0.1", 1476, 28257)


def masquerading(*sources: str) -> Firewall:
    """As nft lists it: one network a, its sources."""
    rules = [f'ip saddr {one} ip daddr != @ranges4 masquerade comment "a"' for one in sources]
    return Firewall("netadmin", "\n".join(rules))


def add(one: Owned) -> Change:
    return Change(Verb.ADD, one)


def change(was: Any, **fields: Any) -> Change:
    return Change(Verb.CHANGE, dataclasses.replace(was, **fields), was)


def remove(one: Owned) -> Change:
    return Change(Verb.REMOVE, one)


def bridge(address: str, network: str = "x") -> Change:
    return add(Address(f"obr_{network}", address, 157, network))


def route(dst: str, **fields: Any) -> Change:
    return add(replace(ROUTE, dst=dst, network="x", **fields))


def through(way: Route, address: str = CONTROL, to: str = "the control plane", vital: bool = True) -> Scene:
    """The same node, which reaches somebody by this route."""
    return replace(SCENE, paths=(Path(address, to, way, vital),))


IDLE = replace(SCENE, leases=())
OVER_A = replace(ROUTE, dst="192.0.2.0/24")

TABLE = [
    # the control plane
    pytest.param([bridge("10.12.0.1/22")], SCENE, [], id="a network elsewhere harms nobody"),
    pytest.param(
        [bridge("192.0.2.1/24")], SCENE, [("cut", "control-path")], id="a bridge covers the control plane"
    ),
    pytest.param(
        [route("192.0.2.0/26")],
        SCENE,
        [("cut", "control-path")],
        id="a route of ours covers the control plane",
    ),
    pytest.param([route("192.0.2.0/26", table=101)], SCENE, [], id="one in a table that it does not go by"),
    pytest.param(
        [route("192.0.2.0/26", via="10.0.0.254")], SCENE, [], id="one by the same next hop changes nothing"
    ),
    pytest.param(
        [bridge("192.0.2.1/24")],
        through(replace(DEFAULT, dst="192.0.2.0/28")),
        [],
        id="one that is less specific than the way it takes now",
    ),
    pytest.param(
        [bridge("192.0.2.1/24")],
        through(replace(DEFAULT, dst="192.0.2.0/24", metric=100)),
        [("cut", "control-path")],
        id="as specific, and preferred to the one of a DHCP client",
    ),
    pytest.param(
        [bridge(f"{CONTROL}/30")],
        through(replace(DEFAULT, dst=f"{CONTROL}/32")),
        [("cut", "control-path")],
        id="the node takes the address for its own",
    ),
    pytest.param(
        [bridge("2001:db8::1/64")],
        through(DEFAULT6, "2001:db8::10"),
        [("cut", "control-path")],
        id="the same in IPv6",
    ),
    pytest.param(
        [bridge("192.0.2.1/24")],
        through(DEFAULT, to="the broker", vital=False),
        [("interrupt", "broker-path")],
        id="the broker is less than the control plane",
    ),
    pytest.param(
        [remove(OVER_A)],
        through(OVER_A),
        [("cut", "control-path"), ("note", "routes-gone")],
        id="its route goes",
    ),
    pytest.param(
        [remove(BRIDGE)],
        replace(through(Route("192.0.2.0/24", 254, "", "obr_a", 0, 2)), leases=()),
        [("cut", "control-path")],
        id="the bridge that it is behind goes",
    ),
    pytest.param(
        [remove(GATEWAY)],
        replace(through(Route("192.0.2.0/24", 254, "10.11.0.9", "obr_a", 0, 4, src="10.11.0.1")), leases=()),
        [("cut", "control-path")],
        id="the address that it is spoken to from goes",
    ),
    pytest.param(
        [change(OVER_A, via="10.0.0.3")],
        through(OVER_A),
        [("interrupt", "control-path-moves"), ("note", "routes-move")],
        id="its route gets another next hop",
    ),
    # containers
    pytest.param(
        [remove(BRIDGE)], SCENE, [("interrupt", "bridge-gone")], id="a bridge goes with containers on it"
    ),
    pytest.param([remove(BRIDGE)], IDLE, [], id="a bridge goes without containers"),
    pytest.param(
        [change(BRIDGE, mtu=1400)],
        SCENE,
        [("interrupt", "mtu-shrinks")],
        id="containers send too large packets",
    ),
    pytest.param([change(BRIDGE, mtu=9000)], SCENE, [("note", "mtu-grows")], id="containers keep their MTU"),
    pytest.param(
        [change(BRIDGE, mac="0a:58:0a:0c:00:01")],
        SCENE,
        [("interrupt", "mac-changes")],
        id="containers know their gateway by another MAC address",
    ),
    pytest.param([change(BRIDGE, mtu=1400)], IDLE, [], id="nobody is there to notice"),
    pytest.param(
        [bridge("10.11.16.1/22", "a"), remove(GATEWAY)],
        SCENE,
        [("interrupt", "gateway-gone")],
        id="a segment moves away from its containers",
    ),
    pytest.param(
        [change(masquerading("10.11.0.0/22"), text="")],
        SCENE,
        [("interrupt", "no-masquerading")],
        id="a network becomes public under its containers",
    ),
    pytest.param(
        [change(masquerading("10.11.0.0/22"), text=masquerading("10.11.0.0/22", "10.14.0.0/22").text)],
        SCENE,
        [],
        id="another network is masqueraded too",
    ),
    pytest.param(
        [remove(masquerading("10.11.0.0/22")), remove(BRIDGE)],
        SCENE,
        [("interrupt", "bridge-gone")],
        id="who loses the network does not lose masquerading as well",
    ),
    pytest.param([remove(ROUTER)], SCENE, [("interrupt", "router-reset")], id="the weave router goes"),
    pytest.param(
        [change(ROUTER, range="10.48.0.0/12")],
        SCENE,
        [("interrupt", "router-reset")],
        id="the weave router starts anew",
    ),
    pytest.param([change(ROUTER, peers=())], SCENE, [], id="the weave router gets other peers"),
    # peers
    pytest.param([remove(ROUTE)], SCENE, [("interrupt", "routes-gone")], id="containers lose a peer"),
    pytest.param([remove(ROUTE)], IDLE, [("note", "routes-gone")], id="nobody here used the peer"),
    pytest.param(
        [remove(replace(ROUTE, dst="10.14.0.0/22"))],
        SCENE,
        [("note", "routes-gone")],
        id="nobody of that network",
    ),
    pytest.param(
        [change(ROUTE, via="", device="na_gre"), change(ROUTE2, via="", device="na_gre")],
        SCENE,
        [("note", "routes-move")],
        id="routes that are replaced lose nothing",
    ),
    pytest.param(
        [change(TUNNEL, ends="external")], SCENE, [("interrupt", "tunnel-anew")], id="a tunnel is made again"
    ),
    pytest.param([change(TUNNEL, mtu=1400)], SCENE, [], id="a tunnel gets another MTU"),
    # other people
    pytest.param(
        [bridge("10.8.4.1/22")],
        SCENE,
        [("interrupt", "shadows-route")],
        id="a part of somebody's route is taken",
    ),
    pytest.param(
        [bridge("10.0.0.65/26")],
        SCENE,
        [("interrupt", "shadows-route")],
        id="a part of the underlay is taken",
    ),
    pytest.param(
        [bridge("10.0.0.0/30")],
        SCENE,
        [("interrupt", "node-path"), ("interrupt", "shadows-route")],
        id="a part of the underlay with a node in it",
    ),
    pytest.param(
        [bridge("10.0.0.1/16")],
        SCENE,
        [("interrupt", "hidden-by-route")],
        id="the underlay is more specific, and keeps its part",
    ),
    pytest.param(
        [bridge("203.0.113.1/24")],
        SCENE,
        [("interrupt", "node-path")],
        id="a node that is reached by the default route",
    ),
    pytest.param([bridge("fe80::1/64")], SCENE, [], id="link-local prefixes are on every device"),
]


@pytest.mark.parametrize(("changes", "scene", "expected"), TABLE)
def test_it_says_who_would_be_interrupted(
    changes: Sequence[Change], scene: Scene, expected: list[tuple[str, str]]
) -> None:
    assert [(risk.level, risk.code) for risk in risks(Plan(tuple(changes)), scene)] == expected


def test_it_names_change_address_and_way() -> None:
    [risk] = risks(Plan((bridge("192.0.2.1/24", "x"),)), SCENE)
    assert risk.network == "x"
    assert str(risk) == (
        "add address 192.0.2.1/24 dev obr_x: cuts the way to the control plane (192.0.2.10): 192.0.2.0/24 "
        "covers it, and it is reached by route 0.0.0.0/0 via 10.0.0.254 dev eth0 now. Declare the network "
        "otherwise, or reach the control plane another way first"
    )


def test_it_names_some_of_many_containers() -> None:
    leases = tuple(Lease("a", f"10.11.0.{n}", f"c{n}", "eth0") for n in range(2, 12))
    [risk] = risks(Plan((remove(BRIDGE),)), replace(SCENE, leases=leases))
    assert "10 containers (c2 (10.11.0.2), c3 (10.11.0.3), c4 (10.11.0.4) and 7 more)" in risk.why


def test_it_says_a_sort_once_for_a_network_with_how_many_it_concerns() -> None:
    gone = [remove(replace(ROUTE, dst=dst, table=table)) for dst in SCENE.owners for table in (254, 101)]
    found = risks(Plan(tuple(gone)), SCENE)
    assert [(risk.network, risk.why) for risk in found] == [
        ("a", "traffic to 2 segments of peers would find no way any more"),
        ("b", "traffic to 1 segment of peers would find no way any more"),
    ]


def test_five_thousand_routes_are_judged_in_time() -> None:
    """A node with as many peers still answers well within a second."""
    ours = [route(f"10.{100 + n // 256}.{n % 256}.0/24") for n in range(5000)]
    foreign = tuple(replace(VPN, dst=f"172.{16 + n // 256}.{n % 256}.0/24") for n in range(2000))
    start = time.process_time()
    assert risks(Plan(tuple(ours)), replace(SCENE, foreign=foreign)) == ()
    assert time.process_time() - start < 2
