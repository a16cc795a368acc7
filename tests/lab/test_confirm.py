"""A declaration that cuts nodes off from the control plane: they come back by themselves, and say so.

The control plane is 192.0.2.254. A bridge on 192.0.2.252/30 draws packets to it onto itself.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from lab import faults
from lab.cluster import Cluster
from lab.pings import Pinging
from lab.topology import flat
from lab.waiting import until, until_empty
from tests.lab.conftest import CONVERGED_WITHIN

CONFIRM = 4
BACK_WITHIN = CONFIRM + 6.0
"""Seconds; the confirm time, and what an apply, a look and a report take on a busy machine."""
SHADOW = {"type": "bridge", "network": "192.0.2.252/30"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(flat(2), look_interval=2) as cluster:
        cluster.api.patch("cluster/", confirm_seconds=CONFIRM)
        cluster.declare("backend1", type="routed_bridge", network="10.11.0.0/16", ips_per_node=1024)
        cluster.settled(within=60)
        yield cluster


def shown(cluster: Cluster, name: str) -> Any:
    return cluster.api.get(f"nodes/{name}/")


def refuses(cluster: Cluster, *names: str) -> None:
    """Wait until these nodes went back and told it."""
    for name in names:
        until(
            lambda: shown(cluster, name)["refused"],  # noqa: B023
            what=f"{name} refuses",
            within=BACK_WITHIN,
        )


def test_every_node_comes_back_tells_and_tries_again_when_told(cluster: Cluster) -> None:
    a, b = cluster.container("n1", "backend1"), cluster.container("n2", "backend1")
    pinging = Pinging(a.namespace, b.address)
    cluster.declare("shadow", **SHADOW)
    refuses(cluster, "n1", "n2")
    pings = pinging.stop()
    assert pings.sent > 100
    assert pings.lost == 0, "a network that is not concerned loses no packet"

    for name, node in cluster.nodes.items():
        assert "obr_shadow" not in node.links()
        row = shown(cluster, name)
        assert row["status"] == "problem"
        assert row["refused"] == row["desired_version"] != row["applied_version"]
        (finding,) = [one for one in row["findings"] if one["code"] == "rolled-back"]
        assert finding["network"] == "shadow"
    convergence = cluster.api.get("networks/shadow/")["convergence"]
    assert (convergence["nodes"], convergence["converged"]) == (2, 0)
    status = cluster.control.manage("net", "status", "--name", "shadow")
    assert f"was rolled back, as {cluster.control.url} could not be reached for {CONFIRM} s" in status
    assert "manage.py node retry n1" in status
    verbs = {event["verb"] for event in cluster.api.get("events/?kind=node&name=n1")["results"]}
    assert "rolled back" in verbs

    before = shown(cluster, "n1")["refused"]
    cluster.api.post("nodes/n1/retry/")
    until(lambda: shown(cluster, "n1")["refused"] not in ("", before), what="again", within=2 * BACK_WITHIN)
    assert shown(cluster, "n2")["refused"] == shown(cluster, "n2")["desired_version"]

    cluster.withdraw("shadow")
    cluster.settled(within=CONVERGED_WITHIN)
    for name in cluster.nodes:
        assert shown(cluster, name)["refused"] == ""
        # What is to be now may be what was in force all the time: the report of it is still to come.
        until_empty(lambda name=name: _rolled_back(cluster, name), what="no finding", within=CONVERGED_WITHIN)


def _rolled_back(cluster: Cluster, name: str) -> list[str]:
    return [one["code"] for one in shown(cluster, name)["findings"] if one["code"] == "rolled-back"]


def test_a_worker_that_is_killed_while_it_is_cut_off_comes_back(cluster: Cluster) -> None:
    n1 = cluster.nodes["n1"]
    cluster.declare("shadow2", **SHADOW, nodes=["n1"])
    until(lambda: "obr_shadow2" in n1.links(), what="the bridge that cuts it off", within=CONVERGED_WITHIN)
    n1.worker.kill()
    n1.worker.start()
    refuses(cluster, "n1")
    assert "obr_shadow2" not in n1.links()
    cluster.withdraw("shadow2")
    cluster.settled(within=CONVERGED_WITHIN)


def test_a_control_plane_that_restarts_after_a_good_change_takes_nothing_back(cluster: Cluster) -> None:
    n1 = cluster.nodes["n1"]
    version = shown(cluster, "n1")["desired_version"]
    cluster.declare("good", type="bridge", network="10.10.9.0/24")
    until(lambda: "obr_good" in n1.links(), what="the good change", within=CONVERGED_WITHIN)
    with faults.no_control_plane(cluster.control):
        until(
            lambda: "check NETADMIN_URL" in n1.worker.tail(10),
            what="n1 misses the control plane",
            within=CONVERGED_WITHIN,
        )
    until(lambda: cluster.current() == {"n1", "n2"}, what="both report", within=60)
    assert shown(cluster, "n1")["desired_version"] != version
    assert "obr_good" in n1.links()
    assert "rolled back" not in n1.worker.tail(5)
