"""What every tunnel mode must do, on real kernels: functions that a test calls with a mode.

The machine's kernel has VXLAN; the other modes run in the guest kernel (tests/umlinux).
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab.namespaces import Namespace
from lab.pings import Pinging, ping
from lab.waiting import until
from tests.kernel.cluster import Declared, Underlay, an_underlay
from tests.kernel.explaining import explained
from tests.kernel.node import Node
from tests.kernel.probing import probing
from workers import reconcile
from workers.changes import Change
from workers.document import OVERHEADS
from workers.explained import Hop, Leg
from workers.kernel.door import Kernel

HEADERS = {"4": 28, "6": 48}
"""IP and ICMP of an echo request."""
ENDS = {"ipip": ("4",), "gre": ("4",), "ip6ip6": ("6",), "ip6gre": ("6",), "vxlan": ("4",)}
"""Families of the nodes' own addresses that a mode is tried over."""


def packets_cross(directory: Path, mode: str, ends: tuple[str, ...], count: int = 3) -> None:
    """Both families, each way between all nodes, and a full-size packet with DF but not one byte more;
    the nodes' own probes find the same."""
    with an_underlay(directory, count) as underlay:
        network = Declared(mode=mode, ends=ends, members=range(1, count + 1))
        underlay.converge(network)
        mtu = 1500 - OVERHEADS[mode][int(ends[0])]
        for source in underlay.nodes:
            for target in underlay.nodes:
                if source != target:
                    _crosses(underlay.nodes[source].namespace, network, target, mtu)
        with probing(underlay) as n1:
            n1.aim(network)
            assert {(pair.state, pair.largest) for pair in n1.pairs()} == {("up", mtu)}
        assert len(_devices(underlay.nodes[1])) == (2 if mode == "ipip" and ends == ("4",) else 1)


def strangers_are_refused(directory: Path, mode: str, ends: tuple[str, ...]) -> None:
    """A node that is no member of the network builds the same tunnel and sends; nothing arrives."""
    with an_underlay(directory, 3) as underlay:
        members, intruder = Declared(mode=mode, ends=ends), Declared(mode=mode, ends=ends, members=(1, 3))
        underlay.converge_one(1, members)
        underlay.converge_one(2, members)
        underlay.converge_one(3, intruder)
        node, there = underlay.nodes[1], underlay.nodes[3].namespace
        target = members.bridge_addresses(1)[0]
        before = _received(node)
        ping(there, target, count=3, within=0.2)
        assert _received(node) == before
        assert ping(node.namespace, members.bridge_addresses(2)[0], count=2).lost == 0
        node.nft("flush chain inet netadmin tunnels")
        before = _received(node)
        ping(there, target, count=3, within=0.2)
        assert _received(node) == before + 3, "it was the guard that refused"


def a_switch_loses_nothing(directory: Path, mode: str, ends: tuple[str, ...]) -> None:
    """never -> always -> never on both nodes, one after the other, under a ping every millisecond.

    Another network keeps the tunnel open on both, so that who switches last already listens.
    """
    with an_underlay(directory) as underlay:
        other = Declared("other", mode, ends=ends, prefix=12)
        direct = Declared(mode=mode, tunnel="never")
        tunnelled = Declared(mode=mode, tunnel="always", ends=ends)
        underlay.converge(other, direct)
        there = direct.bridge_addresses(2)
        pinging = [Pinging(underlay.nodes[1].namespace, address, interval=0.001) for address in there]
        try:
            for _ in range(4):
                changes = underlay.converge(other, tunnelled)
                assert all("na_" in " ".join(done) for done in changes.values())
                underlay.converge(other, direct)
        finally:
            pings = [one.stop() for one in pinging]
        assert [one.lost for one in pings] == [0, 0]
        assert min(one.sent for one in pings) > 10


def nothing_is_left(directory: Path, mode: str, ends: tuple[str, ...]) -> None:
    """A peer that goes takes its route along, the last tunnelled network the device."""
    with an_underlay(directory, 3) as underlay:
        node = underlay.nodes[1]
        underlay.converge(Declared(mode=mode, ends=ends, members=(1, 2, 3)))
        before = node.routes()
        underlay.converge_one(1, Declared(mode=mode, ends=ends, members=(1, 2)))
        assert len(node.routes()) == len(before) - 2
        assert _devices(node)
        with node.namespace.entered():
            direct = underlay.document(1, Declared(mode=mode, tunnel="never"))
            made = node.plan(direct)
            assert node.carry_out(made) == []
            assert _devices(node) == []
            assert str(made.changes[-1]).startswith("remove tunnel na_"), "after the last route has left it"
            assert "chain tunnels" in node.nft("list ruleset"), "guarded as long as it is there"
            (change,) = node.converge(direct)
        assert change.startswith("change firewall")
        assert "chain tunnels" not in node.nft("list ruleset")


def the_way_is_explained(directory: Path, mode: str, ends: tuple[str, ...]) -> None:
    """There and back in both families: all as declared; the first thing that is not, is named."""
    with an_underlay(directory) as underlay:
        network = Declared(mode=mode, ends=ends)
        underlay.converge(network)
        for source, target in zip(network.bridge_addresses(1), network.bridge_addresses(2), strict=True):
            leaves = Leg(0, source, target, starts="bridge", out_of="net", over="net", peer="n2")
            comes = Leg(1, source, target, ends="bridge", into="net", over="net", peer="n1")
            hops = [*_hops(underlay, 1, network, leaves), *_hops(underlay, 2, network, comes)]
            assert [hop.why for hop in hops] == [""] * len(hops)
            kinds = [hop.kind for hop in hops]
            assert (kinds.count("tunnel"), kinds.count("guard")) == (2, 1)
            (route, *_) = (hop for hop in hops if hop.kind == "route")
            device = route.found.split()[-1]
            underlay.nodes[1].ip(f"link set {device} down")
            first = next(hop for hop in _hops(underlay, 1, network, leaves) if not hop.same)
            assert first.kind == "route", "it went with its device"
            underlay.converge_one(1, network)
            underlay.nodes[2].nft("flush set inet netadmin peers" + ends[0])
            first = next(hop for hop in _hops(underlay, 2, network, comes) if not hop.same)
            assert first.kind == "guard"
            underlay.converge_one(2, network)


def _hops(underlay: Underlay, number: int, network: Declared, leg: Leg) -> tuple[Hop, ...]:
    (passage,) = explained(underlay, number, network, leg).passages
    return passage.hops


def tampering_is_repaired(directory: Path, mode: str, ends: tuple[str, ...]) -> None:
    """Whatever somebody does to the device, the next look undoes it."""
    with an_underlay(directory) as underlay:
        network = Declared(mode=mode, ends=ends)
        underlay.converge(network)
        node, address = underlay.nodes[1], network.bridge_addresses(2)[0]
        for device in _devices(node):
            for tampering in (f"link set {device} mtu 1300", f"link set {device} down", f"link del {device}"):
                node.ip(tampering)
                assert underlay.converge_one(1, network)
                assert ping(node.namespace, address).lost == 0


def _crosses(source: Namespace, network: Declared, target: int, mtu: int) -> None:
    for version, address in zip(network.inside, network.bridge_addresses(target), strict=True):
        full = mtu - HEADERS[version]
        assert ping(source, address, count=2).lost == 0, f"{address} small"
        assert ping(source, address, count=2, size=full).lost == 0, f"{address} full"
        assert ping(source, address, count=1, size=full + 1, within=0.2).received == 0, f"{address} too large"


def _received(node: Node) -> int:
    """Packets that came out of tunnels."""
    shown = node.ip_json("-s link show")
    return sum(link["stats64"]["rx"]["packets"] for link in shown if link["ifname"].startswith("na_"))


def _devices(node: Node) -> list[str]:
    return [link["ifname"] for link in node.ip_json("link show") if link["ifname"].startswith("na_")]


def workers_switch_together(
    directory: Path, mode: str, ends: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """never -> always -> never as workers do it: each by itself, one a little later than the other."""
    monkeypatch.setattr(reconcile, "SETTLE", 0.5)
    with an_underlay(directory) as underlay, ThreadPoolExecutor(2) as workers:
        direct, tunnelled = (Declared(mode=mode, tunnel=policy, ends=ends) for policy in ("never", "always"))
        underlay.converge(direct)
        versions = [address for address in direct.bridge_addresses(2) if (":" in address) == ("6" in ends)]
        pinging = [Pinging(underlay.nodes[1].namespace, address) for address in versions]
        try:
            for network in (tunnelled, direct, tunnelled, direct):
                first = workers.submit(_work, underlay, 1, network)
                until(lambda: _devices(underlay.nodes[1]), what="n1 listens", within=5)
                second = workers.submit(_work, underlay, 2, network)
                assert (first.result(), second.result()) == ((), ())
        finally:
            pings = [one.stop() for one in pinging]
        assert [one.lost for one in pings] == [0] * len(pings)
        assert _devices(underlay.nodes[1]) == _devices(underlay.nodes[2]) == []


def _work(underlay: Underlay, number: int, network: Declared) -> tuple[Change, ...]:
    """One run of a node's worker; what it could not do."""
    node = underlay.nodes[number]
    with node.namespace.entered(), Kernel() as kernel:
        return reconcile.reconcile(underlay.document(number, network), node.settings, kernel).left
