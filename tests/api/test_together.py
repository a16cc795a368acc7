"""Who reserves at the same moment shares one transaction, and is answered as if alone."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from netadmin import groupcommit
from netadmin.groupcommit import GroupCommit, Waiting
from netadmin.problems import Fault, Problem
from networks import reservations
from networks.models import Address
from nodes.models import Event
from tests import factories
from tests.conftest import Client, of_user

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)

PATIENCE = 10.0


def together(group: GroupCommit[Any, Any], *calls: Callable[[], Any]) -> list[Any]:
    """What calls answer, or the exceptions that they raise, when all wait in order for the same turn."""

    def run(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except (Problem, DatabaseError) as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        group._taken, running = True, []
        for count, call in enumerate(calls, 1):
            running.append(pool.submit(run, call))
            _until(lambda wanted=count: len(group._queue) == wanted)  # type: ignore[misc]
        with group._passed:
            group._taken = False
            group._passed.notify_all()
        return [one.result(PATIENCE) for one in running]


def _until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < end
        time.sleep(0.001)


@pytest.fixture(autouse=True)
def _no_connection_stays() -> Iterator[None]:
    yield
    connection.close()


@pytest.fixture
def oscar() -> Client:
    factories.the_nodes()
    factories.a_network()
    return of_user("oscar")


def reserving(client: Client, body: Any, network: str = "backend1") -> Callable[[], Any]:
    return partial(client.post, f"/api/v1/networks/{network}/available-ips/", body)


def test_each_gets_its_own_and_the_nodes_hold_all_in_one_version(oscar: Client) -> None:
    wishes = [{}, {"hostname": "nas"}, {"count": 2}, {"address": "10.11.0.77"}, {"node": "n1"}]
    answers = together(reservations._TOGETHER, *(reserving(oscar, wish) for wish in wishes))
    assert [answer.status_code for answer in answers] == [201] * 5
    any_one, nas, two, named, of_n1 = (answer.json() for answer in answers)
    assert (any_one["addresses"], nas["addresses"], nas["hostname"]) == (
        ["10.11.3.254"],
        ["10.11.3.253"],
        "nas",
    )
    assert [row["addresses"] for row in two] == [["10.11.3.252"], ["10.11.3.251"]]
    assert (named["addresses"], of_n1["addresses"]) == (["10.11.0.77"], ["10.11.3.250"])
    assert len({row["version"] for row in (any_one, nas, *two, named, of_n1)}) == 1


def test_each_is_told_of_in_an_event_of_its_own(oscar: Client) -> None:
    vera = of_user("ada")
    together(reservations._TOGETHER, reserving(oscar, {"comment": "nas"}), reserving(vera, {"count": 3}))
    told = Event.objects.filter(verb="reserved").order_by("id").values_list("actor", "after")
    assert list(told) == [
        ("oscar", {"addresses": ["10.11.3.254"], "comment": "nas"}),
        ("ada", {"addresses": ["10.11.3.251-10.11.3.253"]}),
    ]


def test_one_that_cannot_be_takes_nothing_from_the_others(oscar: Client) -> None:
    factories.a_network(name="small", network="192.168.0.0/29", type="bridge")
    answers = together(
        reservations._TOGETHER,
        reserving(oscar, {"node": "n1", "count": 9}, "small"),
        reserving(oscar, {"node": "n1", "count": 5}, "small"),
        reserving(oscar, {}, "nowhere"),
        reserving(oscar, {"address": "10.11.0.77"}),
        reserving(oscar, {"address": "10.11.0.77"}),
        reserving(oscar, {"address": "10.99.0.1"}),
    )
    assert [answer.status_code for answer in answers] == [409, 201, 404, 201, 409, 400]
    assert "5 of 9 are free" in answers[0].json()["detail"]
    assert "10.11.0.77: is not free: it was kept a moment ago" in answers[4].json()["detail"]
    assert Address.objects.count() == 6


def test_when_the_database_fails_all_are_told_and_nothing_is_written(oscar: Client) -> None:
    def fail(waiting: Sequence[Waiting[str, str]]) -> None:
        for one in waiting:
            factories.a_node(one.request)
            one.answer = "done"
        raise DatabaseError("the disk is full")

    group = GroupCommit[str, str](fail)
    answers = together(group, partial(group.call, "n8"), partial(group.call, "n9"))
    assert [str(answer) for answer in answers] == ["the disk is full"] * 2
    assert not factories.Node.objects.filter(name__in=["n8", "n9"]).exists()


def test_an_answer_counts_for_nothing_before_it_is_committed(oscar: Client) -> None:
    """Whoever waits may be woken at any time, also between its answer and a COMMIT that then fails."""

    def fail(waiting: Sequence[Waiting[str, str]]) -> None:
        for one in waiting:
            one.answer = "done"
        with group._passed:
            group._passed.notify_all()
        time.sleep(0.1)
        raise DatabaseError("the connection is lost")

    group = GroupCommit[str, str](fail)
    answers = together(group, partial(group.call, "a"), partial(group.call, "b"))
    assert [str(answer) for answer in answers] == ["the connection is lost"] * 2


def test_a_refusal_is_raised_where_it_was_asked_for(oscar: Client) -> None:
    def refuse(waiting: Sequence[Waiting[str, str]]) -> None:
        for one in waiting:
            one.refuse(Problem(Fault("name", one.request, "is taken", "Take another")))

    group = GroupCommit[str, str](refuse)
    answers = together(group, partial(group.call, "a"), partial(group.call, "b"))
    assert [answer.faults[0].value for answer in answers] == ["a", "b"]


def test_who_came_together_is_waited_for_and_who_came_alone_waits_for_nobody(
    oscar: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groupcommit, "SIBLINGS", PATIENCE)
    sizes: list[int] = []

    def count(waiting: Sequence[Waiting[str, str]]) -> None:
        sizes.append(len(waiting))
        for one in waiting:
            one.answer = one.request

    group = GroupCommit[str, str](count)
    start = time.monotonic()
    calls = [partial(group.call, name) for name in "abc"]
    assert [call() for call in calls[:2]] == ["a", "b"]
    assert together(group, *calls) == ["a", "b", "c"]
    with ThreadPoolExecutor(3) as pool:
        for call in calls:
            pool.submit(call).add_done_callback(lambda _: connection.close())
            time.sleep(0.01)
    assert sizes == [1, 1, 3, 3]
    assert time.monotonic() < start + PATIENCE


def test_nobody_is_answered_inside_of_a_transaction_that_may_yet_fail(oscar: Client) -> None:
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        reservations.reserve("backend1", [reservations.Wish()], by="oscar")
