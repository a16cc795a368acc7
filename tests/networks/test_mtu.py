"""The MTU of a network: what its nodes' underlays carry, less what its tunnels cost."""

from collections.abc import Iterable
from typing import Any

import pytest

from networks import declare, desired, membership
from networks.declaration import Declaration
from networks.models import Network
from networks.mtu import Member, computed
from nodes.models import Node
from tests import factories
from workers import document as wire
from workers.report import Interface

ONE, OTHER = "10.0.0.0/24", "10.0.1.0/24"


def a_member(*addresses: str, mtu: int = 1500, more: Iterable[str] = ()) -> Member:
    """On /24 and /64 subnets; ``more``: addresses with prefix length of other interfaces."""
    held = {f"{address}/{64 if ':' in address else 24}": mtu for address in addresses}
    return Member(addresses, addresses, {**held, **dict.fromkeys(more, 9000)})


N1, N2, FAR = a_member("10.0.0.1"), a_member("10.0.0.2"), a_member("10.0.1.3")
DUAL1, DUAL2 = a_member("10.0.0.1", "fd00:aa::1"), a_member("10.0.0.2", "fd00:aa::2")
SILENT = Member(("10.0.5.5",), ("10.0.5.5",), {})
SIX = {"network": "fd10::/112"}
BOTH = {"network": "10.11.0.0/16 fd10::/112"}


@pytest.mark.parametrize(
    ("keywords", "members", "mtu"),
    [
        pytest.param({}, [], None, id="nobody has reported"),
        pytest.param({}, [SILENT], None, id="nobody has reported yet"),
        pytest.param({}, [N1, N2], 1500, id="auto, side by side"),
        pytest.param({}, [N1, a_member("10.0.0.2", mtu=1400)], 1400, id="the least of them"),
        pytest.param({}, [N1, N2, FAR], 1480, id="auto, two racks"),
        pytest.param({}, [N1, N2, SILENT], 1500, id="who has not reported is not counted"),
        pytest.param({"tunnel": "never"}, [N1, FAR], 1500, id="never"),
        pytest.param({"tunnel": "always"}, [N1, N2], 1480, id="always, ipip"),
        pytest.param({"tunnel": "always", "tunnel_mode": "gre"}, [N1, N2], 1476, id="always, gre"),
        pytest.param({"tunnel": "always", "tunnel_mode": "vxlan"}, [N1, N2], 1464, id="always, vxlan"),
        pytest.param({"tunnel": "always", **SIX}, [DUAL1, DUAL2], 1460, id="ipip between IPv6 addresses"),
        pytest.param({"tunnel": "always"}, [DUAL1, DUAL2], 1480, id="IPv4 inside takes IPv4 ends"),
        pytest.param({"tunnel": "always", **BOTH}, [DUAL1, DUAL2], 1460, id="the dearer of two families"),
        pytest.param({"tunnel": "always", "tunnel_mode": "ip6gre"}, [DUAL1, DUAL2], 1456, id="ip6gre"),
        pytest.param(SIX, [DUAL1, DUAL2], 1500, id="auto, IPv6 side by side"),
        pytest.param(SIX, [N1, N2], 1460, id="auto, IPv6 inside without IPv6 next hops: it may be either"),
    ],
)
def test_it_is(keywords: dict[str, str], members: list[Member], mtu: int | None) -> None:
    network = Network(**{"name": "b", "type": "routed_bridge", "network": "10.11.0.0/16", **keywords})
    assert computed(network, members) == mtu


def test_a_next_hop_in_a_mesh_that_both_are_connected_to_needs_no_tunnel() -> None:
    mesh = [
        Member(("192.0.2.10",), ("10.12.0.1",), {"192.0.2.10/24": 1500, "10.12.0.1/24": 1420}),
        Member(("198.51.100.20",), ("10.12.0.2",), {"198.51.100.20/24": 1500, "10.12.0.2/24": 1420}),
    ]
    network = Network(name="b", type="routed_bridge", network="10.11.0.0/16")
    assert computed(network, mesh) == 1500


def test_what_is_no_address_in_a_report_is_passed_over() -> None:
    odd = Member(("10.0.0.1",), ("10.0.0.1",), {"10.0.0.1/24": 1500, "nonsense": 1500, "10.0.0.1/99": 1500})
    network = Network(name="b", type="routed_bridge", network="10.11.0.0/16")
    assert computed(network, [odd, N2]) == 1500


@pytest.mark.django_db
def test_a_report_with_a_smaller_underlay_reaches_every_node_of_the_network() -> None:
    factories.the_nodes()
    factories.a_network(nodes=factories.IN_SCOPE)
    assert _documents() == {"n1": 0, "n2": 0, "n3": 0}
    for name in factories.IN_SCOPE:
        factories.reported(name, interfaces=(_interface(name),))
    assert _documents() == {"n1": 1500, "n2": 1500, "n3": 1500}
    versions = _versions()
    factories.reported("n2", interfaces=(_interface("n2", mtu=1400),))
    assert _documents() == {"n1": 1400, "n2": 1400, "n3": 1400}
    assert all(_versions()[name] != versions[name] for name in factories.IN_SCOPE)


@pytest.mark.django_db
def test_a_report_that_says_nothing_new_of_the_underlay_changes_no_document() -> None:
    factories.the_nodes()
    factories.a_network(nodes=factories.IN_SCOPE)
    factories.reported("n1", interfaces=(_interface("n1"),))
    versions = _versions()
    factories.reported("n2", interfaces=(_interface("n2", rx_bytes=1),))
    assert _versions() == versions


@pytest.mark.django_db
def test_it_follows_what_is_declared_and_who_is_there() -> None:
    factories.the_nodes()
    factories.a_network(nodes=factories.IN_SCOPE)
    for name, mtu in zip(factories.IN_SCOPE, (1500, 1500, 1400), strict=True):
        factories.reported(name, interfaces=(_interface(name, mtu=mtu),))
    declare.change("backend1", Declaration({"tunnel": "always", "tunnel_mode": "vxlan"}), by="oscar")
    assert _documents()["n1"] == 1364
    membership.remove("n3", by="ada")
    assert _documents()["n1"] == 1464
    declare.change("backend1", Declaration({"mtu": 1300}), by="oscar")
    assert _documents()["n1"] == 1300
    assert Network.objects.get(name="backend1").effective_mtu == 1300


@pytest.mark.django_db
@pytest.mark.parametrize("mtu", [-1, 0, 2**40])
def test_an_impossible_mtu_of_a_node_is_not_believed(mtu: int) -> None:
    factories.a_node("n1")
    factories.a_network()
    factories.reported("n1", interfaces=(_interface("n1", mtu=mtu),))
    assert _documents() == {"n1": 0}


@pytest.mark.django_db
@pytest.mark.parametrize("mode", ["ipip", "gre", "ip6ip6", "ip6gre", "vxlan"])
def test_every_tunnel_mode_can_be_declared(mode: str) -> None:
    factories.a_node("n1")
    assert factories.a_network(tunnel_mode=mode).tunnel_mode == mode


def _interface(node: str, mtu: int = 1500, **fields: Any) -> Interface:
    address = Node.objects.get(name=node).addresses[0]
    counters = {"rx_bytes": 0, "tx_bytes": 0, "rx_packets": 0, "tx_packets": 0, **fields}
    return Interface("eth0", "", "", mtu, True, False, (f"{address}/24", "fe80::1/64"), **counters)


def _documents() -> dict[str, int]:
    """The MTU of backend1 in each node's document."""
    found = {}
    for node in Node.objects.all():
        networks = {one.name: one for one in wire.parse(desired.document(node)[1]).networks}
        if "backend1" in networks:
            found[node.name] = networks["backend1"].mtu
    return found


def _versions() -> dict[str, str]:
    return dict(Node.objects.values_list("name", "desired_version"))
