"""The control plane or the broker is away: nodes keep what they have, and what is declared still arrives."""

import time
from collections.abc import Iterator

import pytest

from lab import faults
from lab.cluster import Cluster
from lab.pings import Pinging
from lab.topology import flat
from lab.waiting import until
from tests.lab.conftest import CONVERGED_WITHIN, Declare

ROUTED = {"type": "routed_bridge", "network": "10.13.0.0/16", "ips_per_node": 1024}
ROUTES = {"10.13.4.0/22": "192.0.2.2"}
"""What n1 has then."""
LOOK_INTERVAL = 2
LATENCY = 0.5
"""Seconds that a request which declares something may take on a busy machine; with kombu's
defaults a wake-up to a broker that is away costs it 0.6 to 6."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(flat(2), look_interval=LOOK_INTERVAL) as cluster:
        yield cluster


def test_a_worker_that_starts_without_the_control_plane_keeps_and_repairs(
    cluster: Cluster, declare: Declare
) -> None:
    declare("backend3", **ROUTED)
    n1 = cluster.nodes["n1"]
    a, b = cluster.container("n1", "backend3"), cluster.container("n2", "backend3")
    with faults.no_control_plane(cluster.control):
        pinging = Pinging(a.namespace, b.address)
        n1.worker.stop()
        n1.worker.start()
        until(lambda: "started" in n1.worker.tail(5), what="the worker runs", within=CONVERGED_WITHIN)
        pings = pinging.stop()
        faults.delete_route(n1, "10.13.4.0/22")
        until(lambda: n1.routes() == ROUTES, what="n1 has its route again", within=CONVERGED_WITHIN)
    assert pings.lost == 0


def test_a_node_that_boots_without_the_control_plane_builds_its_network(
    cluster: Cluster, declare: Declare
) -> None:
    declare("backend3", **ROUTED)
    n1 = cluster.nodes["n1"]
    with faults.no_control_plane(cluster.control):
        cluster.reboot("n1")
        assert n1.routes() == {}
        until(lambda: n1.routes() == ROUTES, what="n1 has its routes", within=CONVERGED_WITHIN)
        a, b = cluster.container("n1", "backend3"), cluster.container("n2", "backend3")
        assert cluster.ping(a, b).lost == 0


def test_what_was_declared_while_a_worker_was_away_arrives(cluster: Cluster, declare: Declare) -> None:
    n1 = cluster.nodes["n1"]
    n1.worker.stop()
    cluster.declare("backend3", **ROUTED)
    n1.worker.start()
    cluster.converged("backend3", within=CONVERGED_WITHIN)
    assert n1.routes() == ROUTES


@pytest.mark.parametrize("fault", [faults.no_broker, faults.stalled_broker])
def test_without_the_broker_a_change_arrives_by_the_timer(
    cluster: Cluster, declare: Declare, fault: faults.Fault
) -> None:
    with fault(cluster.control):
        cluster.api.get("networks/")  # what a server does once is not what is measured
        start = time.monotonic()
        cluster.declare("backend3", **ROUTED)
        assert time.monotonic() - start < LATENCY
        cluster.converged("backend3", within=LOOK_INTERVAL + CONVERGED_WITHIN)
        cluster.withdraw("backend3")
        cluster.settled(within=LOOK_INTERVAL + CONVERGED_WITHIN)
    assert cluster.nodes["n1"].routes() == {}
