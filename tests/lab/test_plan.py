"""A draft is planned on real kernels: what three nodes say they would do is what they then do."""

import time
from typing import Any

import pytest

from lab.cluster import Cluster
from lab.namespaces import CommandFailed
from lab.node import Node
from tests.lab.conftest import Declare

ROUTED = {"type": "routed_bridge", "network": "10.11.0.0/16", "ips_per_node": 1024}
AT_ONCE = 0.5
"""Seconds in which three nodes that have nothing else to do answer."""


def plan(cluster: Cluster, name: str, verb: str = "change", **draft: Any) -> dict[str, Any]:
    """The operation, done."""
    found: dict[str, Any] = cluster.api.post(f"networks/{name}/plan/?wait=10&force=true&verb={verb}", **draft)
    assert found["done"], found["progress"]
    return found


def answers(cluster: Cluster, operation: dict[str, Any]) -> dict[str, Any]:
    """Node to its answer."""
    rows = cluster.api.get(f"operations/{operation['id']}/nodes/")["results"]
    assert {row["state"] for row in rows} == {"answered"}, rows
    return {row["node"]: row["answer"] for row in rows}


def sentences(answer: dict[str, Any]) -> list[str]:
    return [
        f"{step['verb']} {step['object']}" + (f" (was {step['was']})" if step["was"] else "")
        for step in answer["steps"]
    ]


def levels(answer: dict[str, Any]) -> set[tuple[str, str]]:
    return {(risk["level"], risk["code"]) for risk in answer["risks"]}


def kernel(node: Node) -> list[str]:
    """Everything a worker could change; link-local addresses come by themselves."""
    shown = [
        node.namespace.run(command.split())
        for command in (
            "ip link show", "ip address show", "ip -4 route show table all", "ip -6 route show table all",
            "ip rule show", "nft list ruleset", f"find {node.confs} {node.store} -ls",
        )
    ]  # fmt: skip
    lines = (line.strip() for text in shown for line in text.splitlines())
    return [line for line in lines if "fe80:" not in line and "ff00::" not in line]


def applied(cluster: Cluster, within: float = 15) -> dict[str, list[str]]:
    """What each node reports that its last apply carried out."""
    cluster.settled(within=within)
    return {name: cluster.api.get(f"nodes/{name}/report/")["last_plan"] for name in cluster.nodes}


def test_nodes_then_do_exactly_what_they_said_and_nothing_before(cluster: Cluster, declare: Declare) -> None:
    before = {name: kernel(node) for name, node in cluster.nodes.items()}
    planned = answers(cluster, plan(cluster, "backend1", **ROUTED))
    for name, node in cluster.nodes.items():
        assert kernel(node) == before[name]
    assert "add route 10.11.4.0/22 via 192.0.2.2 dev eth0 proto 157" in sentences(planned["n1"])
    assert all(answer["risks"] == [] for answer in planned.values())
    declare("backend1", **ROUTED)
    assert applied(cluster) == {name: sentences(answer) for name, answer in planned.items()}


def test_a_change_and_a_withdrawal_are_told_as_they_then_go(cluster: Cluster, declare: Declare) -> None:
    declare("backend1", **ROUTED)
    a = cluster.container("n1", "backend1")
    planned = answers(cluster, plan(cluster, "backend1", mtu=1400, public=True))
    assert levels(planned["n1"]) == {("interrupt", "mtu-shrinks"), ("interrupt", "no-masquerading")}
    assert a.address in str(planned["n1"]["risks"])
    assert levels(planned["n2"]) == set()
    cluster.change("backend1", mtu=1400, public=True)
    assert applied(cluster) == {name: sentences(answer) for name, answer in planned.items()}
    planned = answers(cluster, plan(cluster, "backend1", "withdraw"))
    assert ("interrupt", "bridge-gone") in levels(planned["n1"])
    assert ("note", "routes-gone") in levels(planned["n2"])
    cluster.withdraw("backend1")
    assert applied(cluster) == {name: sentences(answer) for name, answer in planned.items()}


def test_a_draft_that_takes_the_control_planes_address_cuts_every_node_off(cluster: Cluster) -> None:
    end = str(cluster.topology.control.ip)
    operation = plan(cluster, "local1", type="bridge", network=f"{end}/28".replace(end, _base(end)))
    for answer in answers(cluster, operation).values():
        assert ("cut", "control-path") in levels(answer)
        assert f"cuts the way to the control plane ({end})" in str(answer["risks"])
    assert operation["result"]["summary"]["worst"] == "cut"
    assert operation["result"]["summary"]["cut"] == ["n1", "n2", "n3"]
    [group] = operation["result"]["groups"]
    assert group["nodes"] == ["n1", "n2", "n3"]


def test_somebody_elses_object_in_the_way_is_a_conflict_of_that_node(cluster: Cluster) -> None:
    n2 = cluster.nodes["n2"].namespace
    n2.run(["ip", "link", "add", "obr_backend1", "type", "veth", "peer", "name", "wire"])
    n2.run(["ip", "route", "add", "10.11.0.0/22", "via", "192.0.2.3"])
    try:
        planned = answers(cluster, plan(cluster, "backend1", **ROUTED))
    finally:
        n2.run(["ip", "link", "del", "obr_backend1"])
        n2.run(["ip", "route", "del", "10.11.0.0/22"])
    assert planned["n1"]["findings"] == planned["n3"]["findings"] == []
    subjects = {finding["subject"] for finding in planned["n2"]["findings"] if finding["code"] == "conflict"}
    assert subjects >= {"route 10.11.0.0/22 via 192.0.2.1 dev eth0 proto 157"}
    assert any(subject.startswith("bridge obr_backend1") for subject in subjects)


def test_the_command_shows_each_node_and_ends_with_what_is_to_do(cluster: Cluster, declare: Declare) -> None:
    keywords = "--kw=network#backend1.type=routed_bridge", "--kw=network#backend1.network=10.11.0.0/16"
    with pytest.raises(CommandFailed, match="exit status 2") as ended:
        cluster.control.manage("net", "plan", *keywords)
    told = str(ended.value)
    assert "plan of backend1: 3 of 3 nodes would change" in told
    assert "\n  + route 10.11.4.0/22 via 192.0.2.2 dev eth0 proto 157\n" in told
    declare("backend1", **ROUTED)
    assert "0 of 3 nodes would change" in cluster.control.manage("net", "plan", "backend1")


def test_three_nodes_answer_at_once(cluster: Cluster) -> None:
    took = []
    for _ in range(5):
        start = time.monotonic()
        operation = plan(cluster, "backend1", **ROUTED)
        took.append(time.monotonic() - start)
        assert operation["progress"]["answered"] == 3
    assert min(took) < AT_ONCE


def test_a_worker_that_is_stopped_is_not_waited_for_once_it_is_silent(cluster: Cluster) -> None:
    worker = cluster.nodes["n3"].worker
    worker.stop()
    cluster.api.patch("cluster/", look_interval=1)
    try:
        time.sleep(3.5)  # three looks that it missed
        start = time.monotonic()
        operation = plan(cluster, "backend1", **ROUTED)
        assert time.monotonic() - start < 5
        assert operation["progress"] == {
            "asked": 3, "waiting": 0, "answered": 2, "failed": 0, "late": 0, "silent": 1
        }  # fmt: skip
        silent = [group for group in operation["result"]["groups"] if group["state"] == "silent"]
        assert [group["nodes"] for group in silent] == [["n3"]]
    finally:
        worker.start()
        cluster.api.patch("cluster/", look_interval=cluster.look_interval)
        cluster.settled(within=30)


def _base(address: str) -> str:
    """The /28 that an address is in."""
    head, _, last = address.rpartition(".")
    return f"{head}.{int(last) // 16 * 16}"


@pytest.fixture(autouse=True)
def _declared(declare: Declare) -> None:
    """What a test declares is withdrawn behind it."""
