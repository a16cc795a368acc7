"""/api/v1/operations/: how far the answers are, for people."""

import threading
import time
from typing import Any

import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries

from netadmin import waiting
from nodes import questions
from nodes.models import Node, Operation, Question
from tests import factories
from tests.api.test_questions import asked, number, over
from tests.conftest import Client
from workers.question import Answer

URL = "/api/v1/operations/"


@pytest.fixture(autouse=True)
def _nodes_are_heard_of(nodes: list[Node]) -> None:
    for node in nodes[:3]:
        factories.reported(node)


def answered(operation: Operation, node: str, said: Answer | None = None) -> None:
    said = said or Answer("answered", {"says": "pong"})
    questions.answer(Node.objects.get(name=node), number(operation, node), said)


def test_it_says_how_far_it_is(vera: Client) -> None:
    operation = asked("n1", "n2", "n3", "n4")
    answered(operation, "n1")
    answered(operation, "n2", Answer("failed", why="no kernel"))
    response = vera.get(f"{URL}{operation.pk}/")
    assert response.status_code == 202
    shown = response.json()
    assert (shown["kind"], shown["subject"], shown["by"]) == ("echo", "x", "oscar")
    assert shown["done"] is False
    assert shown["progress"] == {
        "asked": 4, "waiting": 1, "answered": 1, "failed": 1, "late": 0, "silent": 1
    }  # fmt: skip
    over(operation)
    response = vera.get(f"{URL}{operation.pk}/")
    assert response.status_code == 200
    assert response.json()["progress"]["late"] == 1
    assert response.json()["done"] is True


def test_its_nodes_are_told_one_by_one(
    vera: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    operation = asked("n1", "n2", "n3", "n4")
    answered(operation, "n1")
    answered(operation, "n2", Answer("failed", why="no kernel"))
    with django_assert_num_queries(4):
        rows = vera.get(f"{URL}{operation.pk}/nodes/").json()["results"]
    told = [(row["node"], row["state"], row["answer"], row["why"]) for row in rows]
    assert told == [
        ("n1", "answered", {"says": "pong"}, ""),
        ("n2", "failed", None, "no kernel"),
        ("n3", "waiting", None, ""),
        ("n4", "silent", None, ""),
    ]


def test_its_nodes_can_be_chosen_by_state(vera: Client) -> None:
    operation = asked("n1", "n2", "n4")
    answered(operation, "n1")

    def named(state: str) -> list[str]:
        rows = vera.get(f"{URL}{operation.pk}/nodes/", {"state": state}).json()["results"]
        return [row["node"] for row in rows]

    assert (named("answered"), named("waiting"), named("late")) == (["n1"], ["n2"], [])
    over(operation)
    assert (named("waiting"), named("late"), named("silent")) == ([], ["n2"], ["n4"])


def test_the_newest_comes_first_in_the_list(
    vera: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    first, second = asked("n1"), asked("n2")
    with django_assert_num_queries(2):
        rows = vera.get(URL).json()["results"]
    assert [row["id"] for row in rows] == [second.pk, first.pk]


@pytest.mark.parametrize("name", ["999999999999999999", "7"])
def test_one_that_is_not_kept_is_refused_in_words(vera: Client, name: str) -> None:
    response = vera.get(f"{URL}{name}/")
    assert response.status_code == 404
    assert "is no operation, or one that is not kept any more. Ask again" in response.json()["detail"]


@pytest.mark.parametrize("wait", ["-1", "61", "x", "1e3", "nan", ""])
def test_it_waits_only_for_some_seconds(vera: Client, wait: str) -> None:
    response = vera.get(f"{URL}{asked().pk}/", {"wait": wait})
    assert response.status_code == 400
    assert "is no number of seconds from 0 to 60" in response.json()["detail"]


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_it_waits_until_the_last_one_answered(vera: Client) -> None:
    operation = asked("n1")

    def later() -> None:
        time.sleep(0.3)
        answered(operation, "n1")
        connection.close()

    thread = threading.Thread(target=later)
    thread.start()
    start = time.monotonic()
    response = vera.get(f"{URL}{operation.pk}/", {"wait": "30"})
    took = time.monotonic() - start
    thread.join()
    assert response.status_code == 200
    assert response.json()["progress"]["answered"] == 1
    assert 0.25 < took < 5


def test_it_does_not_wait_when_others_do_already(vera: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "WAITERS", threading.BoundedSemaphore(1))
    operation = asked("n1")
    with waiting.WAITERS:
        start = time.monotonic()
        response = vera.get(f"{URL}{operation.pk}/", {"wait": "30"})
    assert response.status_code == 202
    assert time.monotonic() - start < 5


def test_a_node_that_goes_takes_its_question_along(vera: Client, nodes: list[Node]) -> None:
    operation = asked("n1", "n2")
    nodes[0].delete()
    response: Any = vera.get(f"{URL}{operation.pk}/nodes/")
    assert [row["node"] for row in response.json()["results"]] == ["n2"]
    assert Question.objects.filter(operation=operation).count() == 1
