"""What is reserved is handed out by no plugin, on no node; who joins or comes later goes round it."""

from pathlib import Path

import pytest

from lab.cluster import Cluster
from lab.containers import Container, NotAttached
from lab.waiting import until
from tests.lab.conftest import Declare
from tests.worker.podman import Podman

WITHIN = 15.0
IDS = ("web", f"default-{'0123456789abcdef' * 4}", "8b9a1f3c-52d7-8e4b-06c1-7f2e9d3a5b40")
"""Of a script's container, of one of nerdctl (the containerd namespace, then the container), and of an
allocation of Nomad."""


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
    node = cluster.nodes["n2"]
    containers = [Container(name, node.namespace, node.chain("backend1")) for name in IDS]
    expected = {one.name: ([one.address], "n2", "eth0", "store") for one in containers}
    until(lambda: _of_others(cluster) == expected, what="they are allocations", within=2)
    for container in containers:
        container.delete()
    until(lambda: not _of_others(cluster), what="they are gone", within=2)


def test_a_container_that_podman_attaches_is_an_allocation_within_two_seconds(
    cluster: Cluster, declare: Declare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare("backend1", type="routed_bridge", network="10.11.0.0/16", ips_per_node=256)
    node = cluster.nodes["n2"]
    podman = Podman(node.namespace, tmp_path / "podman", node.confs, monkeypatch)
    try:
        key = podman.start("w1", "backend1")
        expected = {key: (sorted(_leases(node.store / "backend1")), "n2", "eth0", "store")}
        until(lambda: _of_others(cluster) == expected, what="it is an allocation", within=2)
        podman("rm", "-f", "-t", "0", "w1")
        until(lambda: not _of_others(cluster), what="it is gone", within=2)
    finally:
        podman.close()


def _of_others(cluster: Cluster) -> dict[str, tuple[list[str], str, str, str]]:
    """Addresses, node, interface, and how it was learnt, of each container id in backend1."""
    rows = cluster.api.get("allocations/?network=backend1")["results"]
    return {
        row["container"]: (row["addresses"], row["node"], row["interface"], row["learnt"]) for row in rows
    }


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
