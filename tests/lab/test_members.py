"""Nodes come and go: segments stay, peers follow."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.cluster import Cluster
from lab.topology import flat
from lab.waiting import until
from tests.lab.conftest import CONVERGED_WITHIN, Declare

ROUTED = {"type": "routed_bridge", "network": "10.14.0.0/16", "ips_per_node": 1024}
FIRST = {"n1": "10.14.0.0/22", "n2": "10.14.4.0/22", "n3": "10.14.8.0/22"}
LOOK_INTERVAL = 3
"""Seconds; a removed node has no wake-ups and learns of it by its timer."""


@pytest.fixture(scope="module")
def _three_of_thirteen() -> Iterator[Cluster]:
    with Cluster(flat(13), joined=len(FIRST), look_interval=LOOK_INTERVAL) as cluster:
        yield cluster


@pytest.fixture
def cluster(_three_of_thirteen: Cluster) -> Iterator[Cluster]:
    """Three members, and machines that may become one; they are gone again behind the test."""
    cluster = _three_of_thirteen
    yield cluster
    for row in cluster.api.get("nodes/")["results"][len(FIRST) :]:
        cluster.remove(row["name"])
    for name in list(cluster.nodes)[len(FIRST) :]:
        cluster.scrap(name)


def _segments(cluster: Cluster) -> dict[str, str]:
    """Node to segment, as the control plane has them."""
    return {row["node"]: row["subnet"] for row in cluster.api.get("networks/backend4/")["segments"]}


def test_a_node_that_joins_later_gets_the_lowest_free_segment(cluster: Cluster, declare: Declare) -> None:
    declare("backend4", **ROUTED)
    before = {name: node.routes() for name, node in cluster.nodes.items()}
    n4 = cluster.join("n4")
    cluster.converged("backend4", within=CONVERGED_WITHIN)
    assert _segments(cluster) == {**FIRST, "n4": "10.14.12.0/22"}
    assert n4.routes() == {
        "10.14.0.0/22": "192.0.2.1",
        "10.14.4.0/22": "192.0.2.2",
        "10.14.8.0/22": "192.0.2.3",
    }
    for name, routes in before.items():
        assert cluster.nodes[name].routes() == {**routes, "10.14.12.0/22": "192.0.2.4"}
    a, b = cluster.container("n4", "backend4"), cluster.container("n1", "backend4")
    assert cluster.ping(a, b).lost == 0


def test_peers_drop_the_routes_to_a_removed_node_and_it_cleans_up(cluster: Cluster, declare: Declare) -> None:
    n4 = cluster.join("n4")
    declare("backend4", **ROUTED)
    cluster.remove("n4")
    cluster.converged("backend4", within=CONVERGED_WITHIN)
    assert _segments(cluster) == FIRST
    for name in FIRST:
        assert cluster.nodes[name].routes().keys() == set(FIRST.values()) - {FIRST[name]}
    until(
        lambda: n4.links() == {"lo", "eth0"},
        what="n4 has cleaned up",
        within=LOOK_INTERVAL + CONVERGED_WITHIN,
    )
    assert n4.routes() == {}
    assert list(n4.confs.iterdir()) == []
    assert "netadmin" not in n4.namespace.run(["nft", "list", "ruleset"])


def test_a_freed_segment_is_reused_last(cluster: Cluster, declare: Declare) -> None:
    cluster.join("n4")
    declare("backend4", **ROUTED)
    cluster.remove("n4")
    cluster.join("n5")
    cluster.converged("backend4", within=CONVERGED_WITHIN)
    assert _segments(cluster) == {**FIRST, "n5": "10.14.16.0/22"}


def test_ten_nodes_that_join_at_once_get_ten_segments(cluster: Cluster, declare: Declare) -> None:
    declare("backend4", **ROUTED)
    newcomers = [member.name for member in cluster.topology.members[len(FIRST) :]]
    with ThreadPoolExecutor(len(newcomers)) as pool:
        list(pool.map(cluster.join, newcomers))
    cluster.converged("backend4", within=60)
    segments = _segments(cluster)
    assert segments.items() >= FIRST.items()
    assert sorted(segments.values()) == sorted(f"10.14.{4 * slot}.0/22" for slot in range(13))
    for name, node in cluster.nodes.items():
        assert node.routes().keys() == set(segments.values()) - {segments[name]}
    a, b = cluster.container("n4", "backend4"), cluster.container("n13", "backend4")
    assert cluster.ping(a, b).lost == 0
