"""Many clients at once, each on a connection of its own: nobody gets what another has, nothing is lost."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from threading import Barrier
from threading import Event as Flag
from typing import Any

import pytest
from django.db import connection

from networks import desired
from networks.models import Address, Allocation, HostPort, Network, Segment
from nodes.models import Event, Node, Report
from tests import factories
from tests.conftest import Client, of_node, of_user
from workers import holdings
from workers import report as wire

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)

MANY = 10
NODES, NETWORKS = "/api/v1/nodes/", "/api/v1/networks/"
BACKEND1 = {"name": "backend1", "type": "routed_bridge", "network": "10.11.0.0/16", "ips_per_node": 1024}


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """The answers to all of these, asked at the same moment."""
    start = Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        start.wait()
        try:
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@pytest.fixture
def ada() -> Client:
    return of_user("ada")


@pytest.fixture(autouse=True)
def _no_connection_stays() -> Iterator[None]:
    yield
    connection.close()


def test_nodes_that_join_at_once_never_share_a_segment(ada: Client) -> None:
    factories.a_network()

    def join(number: int) -> int:
        return ada.post(NODES, {"name": f"n{number}", "addresses": [f"192.0.2.{number}"]}).status_code

    assert at_once(*(partial(join, number) for number in range(1, MANY + 1))) == [201] * MANY
    subnets = set(Segment.objects.values_list("subnet", flat=True))
    assert subnets == {f"10.11.{4 * slot}.0/22" for slot in range(MANY)}
    assert sorted(Node.objects.values_list("position", flat=True)) == list(range(MANY))
    for node in Node.objects.all():
        assert desired.document(node)[0] == node.desired_version


def test_the_last_segment_goes_to_one_node(ada: Client) -> None:
    factories.a_network(network="10.11.0.0/22")

    def join(number: int) -> int:
        return ada.post(NODES, {"name": f"n{number}", "addresses": [f"192.0.2.{number}"]}).status_code

    answers = Counter(at_once(*(partial(join, number) for number in range(1, MANY + 1))))
    assert answers == {201: 1, 409: MANY - 1}
    assert Node.objects.count() == 1


def test_of_two_changes_of_one_version_one_is_refused(ada: Client) -> None:
    version = ada.post(NETWORKS, BACKEND1)["ETag"]

    def change(number: int) -> int:
        body = {"comment": f"by {number}"}
        return ada.patch(f"{NETWORKS}backend1/", body, HTTP_IF_MATCH=version).status_code

    answers = at_once(*(partial(change, number) for number in range(MANY)))
    assert Counter(answers) == {200: 1, 412: MANY - 1}
    network = Network.objects.get(name="backend1")
    assert (network.version, network.comment) == (2, f"by {answers.index(200)}")
    assert Event.objects.filter(verb="changed").count() == 1


def test_a_range_goes_to_one_network(ada: Client) -> None:
    def declare(number: int) -> int:
        return ada.post(NETWORKS, {**BACKEND1, "name": f"b{number}"}).status_code

    answers = Counter(at_once(*(partial(declare, number) for number in range(MANY))))
    assert answers == {201: 1, 400: MANY - 1}
    assert Network.objects.filter(network="10.11.0.0/16").count() == 1


def test_a_name_goes_to_one_network(ada: Client) -> None:
    answers = Counter(at_once(*[lambda: ada.post(NETWORKS, BACKEND1).status_code] * MANY))
    assert answers == {201: 1, 409: MANY - 1}


def test_a_network_is_put_once_however_many_put_it(ada: Client) -> None:
    answers = Counter(at_once(*[lambda: ada.put(f"{NETWORKS}backend1/", BACKEND1).status_code] * MANY))
    assert answers == {201: 1, 200: MANY - 1}
    assert Event.objects.filter(kind="network", name="backend1").count() == 1
    assert Network.objects.get(name="backend1").version == 1


def send(client: Client, said: wire.Report) -> int:
    url = f"{NODES}{said.node}/report/"
    return client.post(url, wire.dump(said), content_type="application/json").status_code


@pytest.mark.parametrize("leased", [True, False])
def test_the_newest_of_many_reports_stays(leased: bool) -> None:
    """Also the very first ones of a node, when there is no row of a report yet to be locked."""
    factories.a_network()
    client = of_node(factories.a_node())
    leases = [(factories.a_lease(address=f"10.11.0.{number}"),) * leased for number in range(MANY)]
    sent = [factories.a_report(leases=leases[number], routes=number) for number in range(MANY)]
    assert at_once(*(partial(send, client, said) for said in reversed(sent))) == [204] * MANY
    assert Report.objects.get().routes == MANY - 1
    assert {str(row.address) for row in Address.objects.all()} == {lease.address for lease in leases[-1]}


def test_reports_and_declarations_do_not_get_in_each_others_way(ada: Client) -> None:
    """Reports bring leases of networks and lock nodes, declarations lock networks and change nodes:
    in the wrong order each would wait for the other."""
    clients = [of_node(node) for node in factories.the_nodes()]
    factories.a_network()

    def say(node: int) -> list[int]:
        lease = factories.a_lease
        return [
            send(
                clients[node],
                factories.a_report(
                    f"n{node + 1}",
                    leases=(
                        lease(address=f"10.11.{4 * node}.{turn}"),
                        lease("other", f"10.12.{4 * node}.{turn}"),
                    ),
                ),
            )
            for turn in range(2, 8)
        ]

    def declare(_: int) -> list[int]:
        other = {**BACKEND1, "name": "other", "network": "10.12.0.0/16"}
        answers = []
        for turn in range(3):
            answers += [
                ada.put(f"{NETWORKS}other/", other).status_code,
                ada.patch(f"{NETWORKS}backend1/", {"mtu": 1400 + turn}).status_code,
                ada.delete(f"{NETWORKS}other/?force=true").status_code,
            ]
        return answers

    answers = at_once(*(partial(say, node) for node in range(4)), partial(declare, 0))
    assert answers == [[204] * 6] * 4 + [[201, 200, 204] * 3]


def test_a_node_that_is_removed_while_it_reports_is_gone(ada: Client) -> None:
    factories.a_network()
    factories.a_node("n2")
    client = of_node(factories.a_node())

    def say() -> list[int]:
        return [
            send(client, factories.a_report(leases=(factories.a_lease(address=f"10.11.4.{turn}"),)))
            for turn in range(2, 12)
        ]

    said, removed = at_once(say, lambda: ada.delete(f"{NODES}n1/?force=true").status_code)
    assert removed == 204
    assert said == [204] * said.count(204) + [410] * said.count(410)
    assert not Report.objects.exists()
    assert not Allocation.objects.exists()


ALLOCATIONS = "/api/v1/allocations/"
ASK = {"service": "prod/svc/web", "resource": "ip#0", "node": "n1", "network": "backend1"}


def test_a_resource_asked_for_by_many_is_one(ada: Client) -> None:
    factories.the_nodes()
    factories.a_network()
    answers = at_once(*[lambda: ada.post(ALLOCATIONS, ASK)] * MANY)
    assert [answer.status_code for answer in answers] == [202] * MANY
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert Event.objects.filter(verb="requested").count() == 1


@pytest.mark.parametrize("wanted", [{"wanted": ["10.11.0.9"]}, {"expose": ["80/tcp:8080"]}])
def test_what_there_is_one_of_goes_to_one_service(ada: Client, wanted: dict[str, Any]) -> None:
    factories.the_nodes()
    factories.a_network()

    def ask(number: int) -> Any:
        return ada.post(ALLOCATIONS, {**ASK, **wanted, "service": f"prod/svc/s{number}"})

    answers = at_once(*(partial(ask, number) for number in range(MANY)))
    assert Counter(answer.status_code for answer in answers) == {202: 1, 409: MANY - 1}
    [winner] = Allocation.objects.all()
    refusals = [answer.json()["detail"] for answer in answers if answer.status_code == 409]
    assert all(winner.service in detail for detail in refusals)


def test_versions_of_holdings_never_meet(ada: Client) -> None:
    factories.the_nodes()
    factories.a_network()

    def ask(number: int) -> int:
        body = {**ASK, "service": f"prod/svc/s{number}"}
        return int(ada.post(ALLOCATIONS, body).json()["version"])

    versions = at_once(*(partial(ask, number) for number in range(MANY)))
    assert len(set(versions)) == MANY
    assert Node.objects.get(name="n1").holdings == max(versions)


def state(client: Client, said: holdings.Statement) -> int:
    url = f"{NODES}{said.node}/holdings/"
    return client.post(url, holdings.dump(said), content_type="application/json").status_code


def test_the_newest_of_many_statements_stays(ada: Client) -> None:
    client = of_node(factories.a_node())
    factories.a_network()
    row = Allocation.objects.get(pk=ada.post(ALLOCATIONS, ASK).json()["id"])
    said = [
        holdings.Statement(
            "n1", row.version, number, (holdings.Standing(row.uuid.hex, "attached", (f"10.11.0.{number}",)),)
        )
        for number in range(2, MANY + 2)
    ]
    assert at_once(*(partial(state, client, one) for one in reversed(said))) == [204] * MANY
    assert [str(held.address) for held in Address.objects.all()] == [f"10.11.0.{MANY + 1}"]


def test_services_come_and_go_while_nodes_state_report_and_networks_change(ada: Client) -> None:
    """Whoever waits for whom: nobody for each other, and nothing is held twice or left."""
    names = ("n1", "n2")
    clients = {node.name: of_node(node) for node in factories.the_nodes() if node.name in names}
    factories.a_network()
    sequence = count(1)
    over = Flag()

    def serve(name: str) -> list[int]:
        """A worker: holds what it must, and says so."""
        answers = []
        part = names.index(name)
        while not over.is_set():
            held = holdings.parse(clients[name].get(f"{NODES}{name}/holdings/").content)
            standings = tuple(
                holdings.Standing(one.id, "attached", (f"10.11.{4 * part}.{int(one.service[10:]) + 10}",))
                for one in held.attachments
            )
            said = holdings.Statement(name, held.version, next(sequence), standings)
            answers.append(state(clients[name], said))
            lease = factories.a_lease(address=f"10.11.{4 * part}.{200 + next(sequence) % 50}")
            answers.append(send(clients[name], factories.a_report(name, leases=(lease,))))
        return answers

    def use(number: int) -> list[int]:
        answers = []
        for turn in range(4):
            body = {**ASK, "service": f"prod/svc/s{number}", "node": names[(number + turn) % 2]}
            body["expose"] = [f"80/tcp:{8000 + number}"]
            shown = ada.post(ALLOCATIONS, body)
            answers.append(shown.status_code)
            answers.append(
                ada.patch(f"{ALLOCATIONS}{shown.json()['id']}/", {"hostname": f"h{turn}"}).status_code
            )
            answers.append(ada.delete(f"{ALLOCATIONS}{shown.json()['id']}/").status_code)
        return answers

    def declare(_: int) -> list[int]:
        other = {**BACKEND1, "name": "other", "network": "10.12.0.0/16"}
        answers = []
        for turn in range(4):
            answers.append(ada.put(f"{NETWORKS}other/", other).status_code)
            answers.append(ada.patch(f"{NETWORKS}backend1/", {"mtu": 1400 + turn}).status_code)
            answers.append(ada.delete(f"{NETWORKS}other/?force=true").status_code)
        return answers

    def users_then_end() -> list[int]:
        with ThreadPoolExecutor(4) as pool:
            jobs = [pool.submit(closing, partial(use, number)) for number in range(3)]
            jobs.append(pool.submit(closing, partial(declare, 0)))
            try:
                answers = [job.result() for job in jobs]
                wait_until_gone()
            finally:
                over.set()
        return [code for answer in answers for code in answer]

    def wait_until_gone() -> None:
        end = time.monotonic() + 30
        while Allocation.objects.exclude(resource="").exists():
            assert time.monotonic() < end, list(Allocation.objects.exclude(resource=""))
            time.sleep(0.02)

    *served, used = at_once(*(partial(serve, name) for name in names), users_then_end)
    assert {code for answers in served for code in answers} == {204}
    assert set(used) <= {200, 201, 202, 204}
    assert not HostPort.objects.exists()
    assert Address.objects.count() == len(names)


def closing(call: Callable[[], Any]) -> Any:
    try:
        return call()
    finally:
        connection.close()


def test_an_address_is_kept_for_one_however_many_ask(ada: Client) -> None:
    """Any, many, and by name, while a node reports leases of the same part and others give back. Fewer
    clients than the pool has connections: each keeps one to its end.
    """
    reporting = of_node(factories.the_nodes()[0])
    factories.a_network()
    free = f"{NETWORKS}backend1/available-ips/"

    def keep(number: int) -> list[str]:
        rows = [ada.post(free, {}).json() for _ in range(4)]
        rows += ada.post(free, {"count": 20}).json()
        kept = ada.post(free, {"node": "n1"}).json()
        assert ada.post(f"{NETWORKS}backend1/release-ips/", {"ids": [kept["id"]]}).status_code == 204
        named = ada.post(free, {"address": f"10.11.2.{number % 3}"})
        assert named.status_code in (201, 409)
        rows += [named.json()] if named.status_code == 201 else []
        return [row["addresses"][0] for row in rows]

    def report(_: int) -> list[str]:
        for turn in range(2, 8):
            lease = factories.a_lease(address=f"10.11.3.{256 - turn}", container=f"c{turn}")
            assert send(reporting, factories.a_report(leases=(lease,))) == 204
        return []

    answers = at_once(*(partial(keep, number) for number in range(6)), partial(report, 0))
    kept = [address for answer in answers for address in answer]
    assert len(kept) == len(set(kept)) == 6 * 24 + 3
    held = Address.objects.filter(allocation__state="reserved")
    assert {str(row.address) for row in held} == set(kept)
