"""Explain on a cluster: workers answer of their own kernels, and the first difference is named."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lab.cluster import Cluster
from tests.lab.conftest import CONVERGED_WITHIN, Declare

NETWORK = {"type": "routed_bridge", "network": "10.11.0.0/16", "ips_per_node": 1024}
FOREIGN = "10.11.4.0/24"


def explained(cluster: Cluster, source: str, destination: str, **more: Any) -> dict[str, Any]:
    """What came of it, once all nodes have answered or are not waited for any more."""
    operation = cluster.api.post("explain/?wait=12", source=source, destination=destination, **more)
    assert operation["done"], operation["progress"]
    result: dict[str, Any] = operation["result"]
    return result


def first(result: dict[str, Any]) -> tuple[str, str, str]:
    """Node, kind and sentence of the first difference; empty: there is none."""
    found = result["first_difference"]
    if found is None:
        return ("", "", "")
    hop = result["hops"][found["index"]]
    return hop["node"], hop["kind"], found["sentence"]


@contextmanager
def on_node(cluster: Cluster, name: str, add: str, remove: str) -> Iterator[None]:
    """Somebody else's doing on a node, undone behind the block."""
    namespace = cluster.nodes[name].namespace
    namespace.run(add.split())
    try:
        yield
    finally:
        namespace.run(remove.split())


def test_between_containers_all_is_as_declared_and_packets_cross(cluster: Cluster, declare: Declare) -> None:
    declare("backend1", **NETWORK)
    a, b = cluster.container("n1", "backend1"), cluster.container("n2", "backend1")
    result = explained(cluster, a.address, b.address)
    assert result["state"] == "crosses", result
    assert result["verdict"].startswith("As declared, and packets cross (")
    assert [(end["node"], end["network"]) for end in result["ends"]] == [
        ("n1", "backend1"),
        ("n2", "backend1"),
    ]
    ways = {(hop["way"], hop["node"], hop["kind"]) for hop in result["hops"]}
    for node in ("n1", "n2"):
        for way in ("there", "back"):
            assert {(way, node, "bridge"), (way, node, "route"), (way, node, "address")} <= ways
    assert all(hop["same"] for hop in result["hops"])
    echoes = {(one["node"], one["destination"]): one["state"] for one in result["echoes"]}
    assert echoes == {
        (node, address): "crosses" for node in ("n1", "n2") for address in (a.address, b.address)
    }


def test_the_command_tells_it_as_a_table_with_a_mark_at_the_first_difference(
    cluster: Cluster, declare: Declare
) -> None:
    declare("backend1", **NETWORK)
    printed = cluster.control.manage("net", "explain", "n1", "n2", "--network", "backend1")
    assert "10.11.0.1 (bridge of n1, backend1) -> 10.11.4.1 (bridge of n2, backend1)" in printed
    assert "verdict: As declared, and packets cross (" in printed
    assert ">>>" not in printed
    with on_node(
        cluster, "n1", f"ip route add {FOREIGN} via 192.0.2.3 proto static", f"ip route del {FOREIGN}"
    ):
        printed = cluster.control.manage("net", "explain", "n1", "n2")
    (marked,) = (line for line in printed.splitlines() if line.startswith(">>>"))
    assert "10.11.4.0/24 via 192.0.2.3 dev eth0 proto static" in marked
    assert marked.endswith("10.11.4.0/22 via 192.0.2.2 dev eth0")


def test_a_policy_rule_of_somebody_else_is_named(cluster: Cluster, declare: Declare) -> None:
    declare("backend1", **NETWORK)
    rule = "priority 90 to 10.11.4.0/22 blackhole"
    with on_node(cluster, "n1", f"ip rule add {rule}", f"ip rule del {rule}"):
        result = explained(cluster, "n1", "n2", network="backend1")
    assert first(result) == (
        "n1",
        "rule",
        "rule 90: from all to 10.11.4.0/22 blackhole refuses the packet on n1",
    )
    assert result["verdict"].endswith("packets are lost between n1 and n2 (Invalid argument)")


def test_a_difference_on_the_way_back_is_named_too(cluster: Cluster, declare: Declare) -> None:
    declare("backend1", **NETWORK)
    add = "ip route add 10.11.0.0/24 via 192.0.2.3 proto static"
    with on_node(cluster, "n2", add, "ip route del 10.11.0.0/24"):
        result = explained(cluster, "n1", "n2", network="backend1")
    node, kind, sentence = first(result)
    assert (node, kind) == ("n2", "route")
    assert result["verdict"].startswith(f"On the way back, {sentence}; ")


def test_a_node_whose_worker_does_not_answer_is_said_and_the_rest_is_told(
    cluster: Cluster, declare: Declare
) -> None:
    declare("backend1", **NETWORK)
    worker = cluster.nodes["n1"].worker
    worker.stop()
    try:
        cluster.nodes["n1"].namespace.run(["ip", "route", "del", "10.11.4.0/22"])
        result = explained(cluster, "n1", "n2", network="backend1")
    finally:
        worker.start()
    assert result["unheard"] == {"n1": "late"}
    assert result["state"] == "unknown"
    unknown = {(hop["node"], hop["declared"]) for hop in result["hops"] if hop["same"] is None}
    assert ("n1", "10.11.4.0/22 via 192.0.2.2") in unknown
    assert result["verdict"] == (
        "n1 has not answered, so that part of the way is not known; packets are lost between n1 and n2"
    )
    cluster.settled(within=CONVERGED_WITHIN)


def test_an_address_that_nobody_holds_is_a_fact_and_not_a_refusal(cluster: Cluster, declare: Declare) -> None:
    declare("backend1", **NETWORK)
    result = explained(cluster, "n1", "10.11.8.77")
    assert result["verdict"] == "As declared, but nobody holds 10.11.8.77, so nothing answers"


def test_what_leaves_the_cluster_is_told_with_its_new_source(cluster: Cluster, declare: Declare) -> None:
    declare("backend1", **NETWORK)
    a = cluster.container("n1", "backend1")
    result = explained(cluster, a.address, "192.0.2.254")
    assert [(end["kind"], end["holder"]) for end in result["ends"]][1] == ("outside", "outside")
    assert "masqueraded as 192.0.2.1" in [hop["found"] for hop in result["hops"]]
    assert result["verdict"].startswith("As declared, and packets cross")
