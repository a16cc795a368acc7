"""Services get addresses: asked for through the API, carried out by workers, seen in the kernel."""

import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from lab import faults
from lab.cluster import Cluster
from lab.namespaces import Namespace
from lab.node import Node
from lab.pings import ping
from lab.rest import Api, Refused
from lab.waiting import until, until_empty
from tests.lab.conftest import Declare
from workers import holdings
from workers.kernel import namespaces

WITHIN = 20.0
CLIENTS, CYCLES = 8, 25


@pytest.fixture
def backend1(cluster: Cluster, declare: Declare) -> Iterator[None]:
    declare("backend1", type="routed_bridge", network="10.11.0.0/16", ips_per_node=256)
    yield
    for row in services(cluster):
        with suppress(Refused):
            cluster.api.delete(f"allocations/{row['id']}/")
    until_empty(lambda: services(cluster), what="all services are released", within=WITHIN)


def services(cluster: Cluster) -> list[Any]:
    return list(cluster.api.get("allocations/?learnt=request&page_size=1000")["results"])


def ask(api: Api, service: str, node: str = "n1", resource: str = "ip#0", **values: Any) -> Any:
    """Ask for an address of backend1, and wait until it is there."""
    body = {"service": service, "resource": resource, "node": node, "network": "backend1", **values}
    row = api.call("POST", "allocations/?wait=10", body)[0]
    return until(lambda: attached(api, row["id"]), what=f"{service} is attached", within=WITHIN)


def attached(api: Api, key: int) -> Any:
    row = api.get(f"allocations/{key}/")
    return row if row["state"] == "attached" and row["healthy"] else None


def released(api: Api, row: Any) -> None:
    api.call("DELETE", f"allocations/{row['id']}/?wait=10")
    until(lambda: is_gone(api, row["id"]), what=f"{row['service']} is released", within=WITHIN)


def is_gone(api: Api, key: int) -> bool:
    try:
        api.get(f"allocations/{key}/")
    except Refused as refused:
        return refused.status == 404
    return False


def own_namespaces(cluster: Cluster, node: str) -> list[str]:
    directory = cluster.nodes[node].directory / "netns"
    return sorted(path.name for path in directory.iterdir()) if directory.exists() else []


def leases(cluster: Cluster, node: str) -> list[str]:
    return sorted(path.name for path in (cluster.nodes[node].store / "backend1").glob("10.*"))


def left_over(cluster: Cluster) -> dict[str, Any]:
    """What attachments leave on the nodes, by node and kind; empty: nothing."""
    found: dict[str, Any] = {}
    for name, node in cluster.nodes.items():
        veths = [link["ifname"] for link in node.ip("-details", "link", "show", "type", "veth")]
        ours = [link for link in veths if link.startswith("veth")]
        there = {
            "leases": leases(cluster, name),
            "interfaces": ours,
            "namespaces": own_namespaces(cluster, name),
            "host ports": mapped(node),
        }
        found |= {f"{name} {kind}": things for kind, things in there.items() if things}
    return found


def mapped(node: Node) -> str:
    """The whole table of host ports; a node that maps none has none."""
    shown = node.namespace.call(["nft", "list", "table", "inet", "netadmin_ports"])
    return shown.stdout


def entered(path: str) -> Namespace:
    with open(path) as file:
        return Namespace("service", file.fileno())


def test_services_of_two_nodes_reach_each_other(cluster: Cluster, backend1: None) -> None:
    a, b = ask(cluster.api, "prod/svc/a", "n1"), ask(cluster.api, "prod/svc/b", "n2")
    assert a["addresses"][0].startswith("10.11.0.")
    assert b["addresses"][0].startswith("10.11.1.")
    [name] = own_namespaces(cluster, "n1")
    with entered(str(cluster.nodes["n1"].directory / "netns" / name)) as namespace:
        assert ping(namespace, b["addresses"][0], count=3).lost == 0
    for row in (a, b):
        released(cluster.api, row)
    until_empty(lambda: left_over(cluster), what="nothing is left over", within=WITHIN)


def test_one_call_is_answered_when_it_is_attached(cluster: Cluster, backend1: None) -> None:
    body = {"service": "prod/svc/a", "resource": "ip#0", "node": "n1", "network": "backend1"}
    row, etag = cluster.api.call("POST", "allocations/?wait=20", body)
    assert (row["state"], etag) == ("attached", f'"{row["version"]}"')
    assert cluster.api.call("DELETE", f"allocations/{row['id']}/?wait=20")[0] is None
    assert is_gone(cluster.api, row["id"])


def test_a_container_that_was_restarted_is_attached_again_with_its_address(
    cluster: Cluster, backend1: None
) -> None:
    path = cluster.nodes["n1"].directory / "netns" / "web"
    path.parent.mkdir(exist_ok=True)
    body = {
        "service": "prod/svc/web", "resource": "ip#0", "node": "n1", "network": "backend1", "netns": "web",
    }  # fmt: skip
    row = cluster.api.call("POST", "allocations/?wait=0.5", body)[0]
    waiting = until(
        lambda: (shown := cluster.api.get(f"allocations/{row['id']}/"))["why"] and shown,
        what="it waits",
        within=WITHIN,
    )
    assert waiting["state"] == "requested"
    assert "is not there" in waiting["why"]
    namespaces.make(path)
    before = until(lambda: attached(cluster.api, row["id"]), what="it is attached", within=WITHIN)
    namespaces.remove(path)
    namespaces.make(path)

    def is_there() -> bool:
        with entered(str(path)) as namespace:
            shown = namespace.call(["ip", "-brief", "address", "show", "eth12"]).stdout
        return before["addresses"][0] in shown

    until(is_there, what="it is attached again, with the same address", within=WITHIN)
    released(cluster.api, row)
    namespaces.remove(path)


def test_a_changed_one_is_attached_anew(cluster: Cluster, backend1: None, declare: Declare) -> None:
    declare("backend2", type="routed_bridge", network="10.12.0.0/16", ips_per_node=256)
    row = ask(cluster.api, "prod/svc/web")
    cluster.api.patch(f"allocations/{row['id']}/?wait=10", network="backend2")

    def moved() -> Any:
        now = attached(cluster.api, row["id"])
        return now if now and now["addresses"][0].startswith("10.12.0.") else None

    now = until(moved, what="it has an address of the other network", within=WITHIN)
    assert now["id"] == row["id"]
    assert leases(cluster, "n1") == []
    released(cluster.api, row)


def test_a_port_of_a_node_leads_to_one(cluster: Cluster, backend1: None) -> None:
    a = ask(cluster.api, "prod/svc/a", expose=["80/tcp:8080"])
    with pytest.raises(Refused, match="leads to prod/svc/a ip#0"):
        ask(cluster.api, "prod/svc/b", expose=["81/tcp:8080"])
    released(cluster.api, a)
    released(cluster.api, ask(cluster.api, "prod/svc/b", expose=["81/tcp:8080"]))


def test_a_change_of_ports_is_answered_when_they_are_mapped(cluster: Cluster, backend1: None) -> None:
    node = cluster.nodes["n1"]
    row = ask(cluster.api, "prod/svc/a")
    for port in (8080, 8081, 8082):
        path = f"allocations/{row['id']}/?wait=20"
        row = cluster.api.call("PATCH", path, {"expose": [f"80/tcp:{port}"]})[0]
        assert f"tcp . {port} : {row['addresses'][0]} . 80" in mapped(node)
        assert f"tcp . {port - 1} :" not in mapped(node)
    released(cluster.api, row)


def test_eight_clients_attach_and_detach_and_nothing_is_shared_or_left(
    cluster: Cluster, backend1: None
) -> None:
    """Compared is all that attachments leave, the whole table of host ports among it."""
    assert left_over(cluster) == {}
    held: dict[str, int] = {}
    lock = threading.Lock()
    took: list[float] = []

    def run(client: int) -> None:
        for cycle in range(CYCLES):
            node = f"n{1 + (client + cycle) % 2}"
            expose = [f"80/tcp:{18080 + client}"]
            started = time.monotonic()
            row = ask(cluster.api, f"load/svc/c{client}", node, expose=expose)
            with lock:
                took.append(time.monotonic() - started)
                [address] = row["addresses"]
                assert address not in held, f"{address} is held by {held[address]} and {client}"
                held[address] = client
            assert f"tcp . {18080 + client} : {address} . 80" in mapped(cluster.nodes[node])
            with lock:
                del held[address]
            released(cluster.api, row)

    with ThreadPoolExecutor(CLIENTS) as pool:
        for future in [pool.submit(run, client) for client in range(CLIENTS)]:
            future.result()
    assert len(took) == CLIENTS * CYCLES
    print(f"attached after {statistics.median(took) * 1000:.0f} ms in the median")  # noqa: T201
    assert services(cluster) == []
    until_empty(lambda: left_over(cluster), what="nothing is left over", within=WITHIN)


def test_a_lease_of_which_its_node_cannot_tell_yet_is_nobody_elses(cluster: Cluster, backend1: None) -> None:
    """Beside it a container of others, so that it is seen when the leases of the node were reported."""
    body = {"service": "prod/svc/web", "resource": "ip#0", "node": "n1", "network": "backend1"}
    with faults.no_statements(cluster.nodes["n1"]) as passing:
        cluster.api.call("POST", "allocations/", body)
        until(lambda: leases(cluster, "n1"), what="it has a lease", within=WITHIN)
        [address] = leases(cluster, "n1")
        other = cluster.container("n1", "backend1")
        theirs = (other.name, "attached", other.address)
        until(lambda: theirs in holders(cluster), what="the leases were reported", within=WITHIN)
        assert holders(cluster) == {("prod/svc/web", "requested", ""), theirs}
        passing.set()
        ours = ("prod/svc/web", "attached", address)
        until(lambda: holders(cluster) == {ours, theirs}, what="each has one", within=WITHIN)
        passing.clear()
        [row] = services(cluster)
        cluster.api.delete(f"allocations/{row['id']}/")
        until(lambda: address not in leases(cluster, "n1"), what="the lease is gone", within=WITHIN)
        cluster.detach(other)
        until(lambda: theirs not in holders(cluster), what="that was reported", within=WITHIN)
        assert holders(cluster) == {("prod/svc/web", "releasing", address)}
        with pytest.raises(Refused, match="prod/svc/web"):
            ask(cluster.api, "prod/svc/next", wanted=[address])
        passing.set()
        until(lambda: is_gone(cluster.api, row["id"]), what="it is released", within=WITHIN)
    until_empty(lambda: left_over(cluster), what="nothing is left over", within=WITHIN)


def holders(cluster: Cluster) -> set[tuple[str, str, str]]:
    """Service or container, state and addresses of every allocation of backend1; each is there once, none is
    that of an attachment by its id on the node, and no address is counted twice."""
    rows = cluster.api.get("allocations/?network=backend1")["results"]
    found = [(row["service"] or row["container"], row["state"], " ".join(row["addresses"])) for row in rows]
    shown = cluster.api.get("networks/backend1/")
    assert len(set(found)) == len(found)
    assert not any(holdings.ID.fullmatch(holder) or state == "lost" for holder, state, _ in found)
    assert shown["used"] + shown["leases"] <= len(found)
    return set(found)


def test_a_worker_that_is_killed_loses_and_doubles_nothing(cluster: Cluster, backend1: None) -> None:
    node = cluster.nodes["n1"]
    rows = []
    for number in range(12):
        body = {
            "service": f"prod/svc/s{number}", "resource": "ip#0", "node": "n1", "network": "backend1",
        }  # fmt: skip
        rows.append(cluster.api.call("POST", "allocations/", body)[0])
        if number % 4 == 3:
            node.worker.kill()
            node.worker.start()
    for row in rows:
        until(
            lambda key=row["id"]: attached(cluster.api, key),
            what=f"{row['service']} is attached",
            within=WITHIN,
        )  # type: ignore[misc]
    addresses = [cluster.api.get(f"allocations/{row['id']}/")["addresses"][0] for row in rows]
    assert len(set(addresses)) == len(rows)
    assert leases(cluster, "n1") == sorted(addresses)
    for number, row in enumerate(rows):
        cluster.api.delete(f"allocations/{row['id']}/")
        if number % 4 == 3:
            node.worker.kill()
            node.worker.start()
    until_empty(lambda: services(cluster), what="all are released", within=WITHIN)
    until_empty(lambda: left_over(cluster), what="nothing is left over", within=WITHIN)
