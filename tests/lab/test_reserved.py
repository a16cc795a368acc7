"""What is reserved is handed out by no plugin, on no node; who joins or comes later goes round it."""

from pathlib import Path

import pytest

from lab.cluster import Cluster
from lab.containers import NotAttached
from lab.waiting import until
from tests.lab.conftest import Declare

WITHIN = 15.0


def _leases(directory: Path) -> set[str]:
    """Addresses that are taken in the node's store, whoever has them."""
    return {path.name for path in directory.glob("*.*.*.*")}


def test_plugins_go_round_what_is_reserved_on_every_node(cluster: Cluster, declare: Declare) -> None:
    declare("backend1", type="routed_bridge", network="10.11.0.0/24", ips_per_node=8)
    for name in cluster.nodes:
        cluster.api.call("POST", "networks/backend1/available-ips/", {"count": 3, "node": name})
    kept = {row["addresses"][0] for row in cluster.api.get("allocations/?state=reserved")["results"]}
    assert len(kept) == 9
    held = until(
        lambda: (
            kept == {lease for node in cluster.nodes.values() for lease in _leases(node.store / "backend1")}
        ),
        what="the nodes hold them",
        within=WITHIN,
    )
    assert held
    for name in cluster.nodes:
        given = [cluster.container(name, "backend1") for _ in range(2)]
        assert not {container.address for container in given} & kept
        with pytest.raises(NotAttached, match="no IP addresses available"):
            cluster.container(name, "backend1")
        for container in given:
            container.delete()
    rows = cluster.api.get("allocations/?state=reserved")["results"]
    cluster.api.call("POST", "networks/backend1/release-ips/", {"ids": [row["id"] for row in rows]})
    until(
        lambda: not any(_leases(node.store / "backend1") & kept for node in cluster.nodes.values()),
        what="they are given back",
        within=WITHIN,
    )


def test_a_container_of_others_is_an_allocation_within_two_seconds(
    cluster: Cluster, declare: Declare
) -> None:
    declare("backend1", type="routed_bridge", network="10.11.0.0/16", ips_per_node=256)
    container = cluster.container("n2", "backend1")
    [row] = until(
        lambda: cluster.api.get(f"allocations/?address={container.address}")["results"],
        what="it is an allocation",
        within=2,
    )
    assert (row["node"], row["container"], row["learnt"]) == ("n2", container.name, "store")
    assert row["interface"] == "eth0"
    container.delete()
    until(
        lambda: not cluster.api.get(f"allocations/?address={container.address}")["results"],
        what="it is gone",
        within=2,
    )


def test_a_lease_that_a_killed_container_left_is_named_and_freed_on_request(
    cluster: Cluster, declare: Declare
) -> None:
    declare("backend1", type="routed_bridge", network="10.11.0.0/16", ips_per_node=256)
    container = cluster.container("n2", "backend1")
    cluster.containers.remove(container)
    container.namespace.close()  # killed: nobody calls DEL
    check = ("net", "ip", "check", "--node", "n2")

    def named() -> bool:
        return f"{container.address} " in cluster.control.manage(*check)

    until(named, what="it is named", within=30)  # not while it may still be starting
    assert "would be freed" in cluster.control.manage(*check)
    assert container.address in _leases(cluster.nodes["n2"].store / "backend1")
    shown = cluster.control.manage(*check, "--release")
    assert any(container.address in line and line.endswith("  freed") for line in shown.splitlines())
    assert container.address not in _leases(cluster.nodes["n2"].store / "backend1")
