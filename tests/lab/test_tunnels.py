"""Tunnels where the underlay asks for them: what is routed, what is wrapped, and that packets cross.

In mode vxlan, which every kernel of today has; the other modes are tested in tests/kernel.
"""

from collections.abc import Iterator
from itertools import permutations
from typing import Any

import pytest

from lab.cluster import Cluster
from lab.containers import Container
from lab.node import Node
from lab.pings import Pinging, ping
from lab.topology import IPV6, flat, racks
from tests.lab.conftest import CONVERGED_WITHIN, Declare

NET4, NET6 = "10.11.0.0/16", "fd00:11::/48"
PROBED_WITHIN = 15.0
"""Seconds until a new pair between which packets are lost is called so."""
ICMP = {4: 28, 6: 48}
"""Bytes of the IP and ICMP headers."""

two_racks = pytest.mark.parametrize("cluster", [racks(2, 1)], indirect=True, ids=["two racks"])
filtering = pytest.mark.parametrize("cluster", [flat(2, filtering=True)], indirect=True, ids=["filtering"])
ipv6_only = pytest.mark.parametrize("cluster", [flat(2, IPV6)], indirect=True, ids=["IPv6 only"])
narrow = pytest.mark.parametrize("cluster", [racks(1, 1, middle=1400)], indirect=True, ids=["narrow"])


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Of the topology that a test is marked with; tests of the same one share it."""
    with Cluster(request.param) as cluster:
        yield cluster


def _network(network: str = NET4, **fields: Any) -> dict[str, Any]:
    return {
        "type": "routed_bridge",
        "network": network,
        "ips_per_node": 1024,
        "tunnel_mode": "vxlan",
        **fields,
    }


def _wrapped(node: Node) -> set[str]:
    """Destinations that the node reaches through a tunnel."""
    return {to for to, hop in node.routes().items() if hop.startswith("na_")}


def _mtu(node: Node, device: str) -> int:
    (link,) = node.ip("link", "show", "dev", device)
    return int(link["mtu"])


def _crosses(source: Container, target: Container, size: int) -> bool:
    """Whether packets of ``size`` bytes with DF cross, by every address of the target."""
    return all(
        ping(source.namespace, str(to.ip), count=3, size=size - ICMP[to.version]).lost == 0
        for to in target.interfaces
    )


@two_racks
def test_auto_wraps_only_what_goes_to_another_rack(cluster: Cluster, declare: Declare) -> None:
    declare("backend1", **_network(tunnel="auto"))
    n1, n2, n3 = cluster.nodes.values()
    assert n1.routes()["10.11.4.0/22"] == "192.0.2.2"
    assert _wrapped(n1) == _wrapped(n2) == {"10.11.8.0/22"}
    assert _wrapped(n3) == {"10.11.0.0/22", "10.11.4.0/22"}


@two_racks
def test_full_packets_cross_within_a_rack_and_between_racks(cluster: Cluster, declare: Declare) -> None:
    declare("backend2", **_network(tunnel="auto"))
    containers = [cluster.container(name, "backend2") for name in cluster.nodes]
    size = _mtu(cluster.nodes["n1"], "obr_backend2")
    assert size < 1500
    for source, target in permutations(containers, 2):
        assert _crosses(source, target, size)


@two_racks
def test_explain_tells_the_way_through_the_tunnel(cluster: Cluster, declare: Declare) -> None:
    declare("backend4", **_network(tunnel="auto"))
    a, b = cluster.container("n1", "backend4"), cluster.container("n3", "backend4")
    operation = cluster.api.post("explain/?wait=12", source=a.address, destination=b.address)
    result = operation["result"]
    assert result["state"] == "crosses", result
    found = [(hop["node"], hop["kind"]) for hop in result["hops"] if hop["way"] == "there"]
    assert ("n1", "tunnel") in found
    assert found.index(("n3", "tunnel")) < found.index(("n3", "guard")) < found.index(("n3", "route"))
    n3 = cluster.nodes["n3"].member.address
    assert f"10.11.8.0/22 to {n3} dev na_vxlan" in [hop["found"] for hop in result["hops"]]


@two_racks
def test_a_policy_is_changed_under_way_and_no_packet_is_lost(cluster: Cluster, declare: Declare) -> None:
    declare("backend3", **_network(tunnel="auto"))
    a, b = cluster.container("n1", "backend3"), cluster.container("n2", "backend3")
    wrapped = []
    pinging = Pinging(a.namespace, b.address)
    try:
        for tunnel in ("always", "auto"):
            cluster.change("backend3", tunnel=tunnel)
            cluster.converged("backend3", within=CONVERGED_WITHIN)
            wrapped.append(_wrapped(cluster.nodes["n1"]))
    finally:
        pings = pinging.stop()
    assert wrapped == [{"10.11.4.0/22", "10.11.8.0/22"}, {"10.11.8.0/22"}]
    assert pings.lost == 0


@filtering
def test_only_always_crosses_a_filtering_underlay(cluster: Cluster, withdrawn: None) -> None:
    cluster.declare("backend1", **_network(tunnel="auto"))
    for pair in cluster.probed("backend1", "down", within=PROBED_WITHIN):
        assert pair["code"] == "blocked"
        assert pair["why"].startswith(f"{pair['peer']} answers at 192.0.2.")
        assert "declare tunnel=always" in pair["remedy"]
    shown = cluster.api.get("networks/backend1/")
    assert (shown["status"], shown["convergence"]) == ("cut", {"nodes": 2, "converged": 0})
    a, b = cluster.container("n1", "backend1"), cluster.container("n2", "backend1")
    assert _wrapped(cluster.nodes["n1"]) == set()
    assert cluster.ping(a, b).received == 0
    cluster.change("backend1", tunnel="always")
    cluster.converged("backend1", within=CONVERGED_WITHIN)
    assert _wrapped(cluster.nodes["n1"]) == {"10.11.4.0/22"}
    assert cluster.ping(a, b).lost == 0
    assert cluster.api.get("networks/backend1/")["status"] == "up"
    for name in cluster.nodes:
        probed = cluster.api.get(f"events/?kind=node&verb=probed&name={name}")["results"]
        assert len(probed) == 2, "it went down, and it came up"


@ipv6_only
def test_both_families_cross_an_underlay_without_ipv4(cluster: Cluster, declare: Declare) -> None:
    declare("backend1", **_network(f"{NET4} {NET6}", tunnel="always"))
    a, b = (cluster.container(name, "backend1") for name in cluster.nodes)
    assert {interface.version for interface in b.interfaces} == {4, 6}
    size = _mtu(cluster.nodes["n1"], "obr_backend1")
    assert _crosses(a, b, size)
    assert _crosses(b, a, size)


@narrow
def test_a_declared_mtu_fits_a_narrow_underlay(cluster: Cluster, withdrawn: None) -> None:
    """What a node computes from its own interface is too large for the middle."""
    cluster.declare("backend1", **_network(tunnel="auto"))
    for pair in cluster.probed("backend1", "mtu", within=PROBED_WITHIN):
        assert pair["largest"] == 1400 - 36
        assert "declare mtu=1364" in pair["remedy"]
    assert cluster.api.get("networks/backend1/")["status"] == "mtu"
    shown = cluster.control.manage("net", "status", "--verbose", "--name", "backend1")
    assert "n1         -         mtu 1364" in shown
    a, b = cluster.container("n1", "backend1"), cluster.container("n2", "backend1")
    assert _crosses(a, b, 1300)
    assert not _crosses(a, b, _mtu(cluster.nodes["n1"], "obr_backend1"))
    cluster.change("backend1", mtu=1340)
    cluster.converged("backend1", within=CONVERGED_WITHIN)
    assert _crosses(cluster.container("n1", "backend1"), cluster.container("n2", "backend1"), 1340)
