"""What each underlay carries and what it does not, before any network of ours is on it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import permutations

import pytest

from lab.namespaces import Namespace
from lab.pings import ping
from lab.topology import IPV6, Member, Topology, flat, racks
from lab.underlay import UPLINK, Underlay

ICMP = 28
"""Bytes of the IPv4 and ICMP headers."""


@contextmanager
def _laid(topology: Topology) -> Iterator[dict[str, Namespace]]:
    """The machines of a topology, by name, wired and bare."""
    with ExitStack() as ends, Underlay(topology) as underlay:
        machines = {m.name: ends.enter_context(Namespace(m.name)) for m in topology.members}
        for member in topology.members:
            underlay.connect(member, machines[member.name])
        yield machines


def _pings(topology: Topology, machines: dict[str, Namespace], size: int = 56) -> dict[tuple[str, str], int]:
    """Answers to one packet between each two nodes."""
    pairs = permutations(topology.members, 2)
    return {(a.name, b.name): ping(machines[a.name], b.address, size=size).received for a, b in pairs}


@pytest.mark.parametrize(
    "topology",
    [
        pytest.param(flat(3), id="flat"),
        pytest.param(flat(3, IPV6), id="IPv6 only"),
        pytest.param(flat(3, filtering=True), id="filtering"),
        pytest.param(racks(2, 2), id="two racks"),
        pytest.param(racks(1, 1, 1), id="three racks"),
        pytest.param(racks(1, 1, middle=1400), id="a smaller middle"),
    ],
)
def test_nodes_and_the_control_plane_reach_each_other(topology: Topology) -> None:
    with _laid(topology) as machines:
        assert set(_pings(topology, machines).values()) == {1}
        for machine in machines.values():
            assert ping(machine, str(topology.control.ip)).received == 1


def test_racks_divide_the_addresses_and_the_numbers_go_on() -> None:
    addresses = {member.name: str(member.interface) for member in racks(2, 2).members}
    assert addresses == {
        "n1": "192.0.2.1/25",
        "n2": "192.0.2.2/25",
        "n3": "192.0.2.129/25",
        "n4": "192.0.2.130/25",
    }


def test_a_rack_is_one_hop_away_from_the_other() -> None:
    with _laid(racks(2, 2)) as machines:
        inside = machines["n1"].run(["ip", "route", "get", "192.0.2.2"])
        across = machines["n1"].run(["ip", "route", "get", "192.0.2.129"])
    assert "via" not in inside
    assert "via 192.0.2.126" in across


def test_an_underlay_without_ipv4_has_none() -> None:
    with _laid(flat(2, IPV6)) as machines:
        assert machines["n1"].run(["ip", "-4", "address", "show", "dev", UPLINK]) == ""


@pytest.mark.parametrize(("filtering", "received"), [(False, 3), (True, 0)])
def test_packets_of_others_pass_unless_it_filters(filtering: bool, received: int) -> None:
    topology = flat(2, filtering=filtering)
    n1, n2 = topology.members
    with _laid(topology) as machines:
        _holds(machines, n1, "10.11.0.1", n2, "10.11.4.1")
        assert ping(machines["n1"], "10.11.4.1", count=3).received == received
        foreign_source = ["ping", "-n", "-c", "1", "-W", "1", "-I", "10.11.0.1", n2.address]
        assert machines["n1"].call(foreign_source).returncode == int(filtering)


def _holds(machines: dict[str, Namespace], a: Member, inner_a: str, b: Member, inner_b: str) -> None:
    """Each has one more address, and a route to that of the other."""
    for one, own, other, its in ((a, inner_a, b, inner_b), (b, inner_b, a, inner_a)):
        batch = f"address add {own}/32 dev lo\nroute add {its} via {other.address} src {own}\n"
        machines[one.name].run(["ip", "-batch", "-"], stdin=batch)


def test_large_packets_are_refused_in_the_middle() -> None:
    topology = racks(1, 1, middle=1400)
    with _laid(topology) as machines:
        assert set(_pings(topology, machines, size=1400 - ICMP).values()) == {1}
        full = ["ping", "-n", "-M", "do", "-c", "1", "-W", "1", "-s", str(1500 - ICMP), "192.0.2.129"]
        said = machines["n1"].call(full)
    assert said.returncode == 1
    assert "Frag needed and DF set (mtu = 1400)" in said.stdout + said.stderr
