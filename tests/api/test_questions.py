"""/api/v1/nodes/NAME/questions/: what a node is asked, and its answers, by its own token."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from nodes import questions
from nodes.models import Node, Operation, Question
from tests import factories
from tests.conftest import Client, of_node
from workers import question as wire
from workers.question import HEADER, Answer

URL = "/api/v1/nodes/n1/questions/"
ANSWERED = Answer("answered", {"says": "pong"})


@pytest.fixture(autouse=True)
def _nodes_are_heard_of(nodes: list[Node]) -> None:
    for node in nodes[:3]:
        factories.reported(node)


@pytest.fixture
def n1() -> Client:
    return of_node(Node.objects.get(name="n1"))


def asked(*names: str, within: float = 10, shared: Any = None) -> Operation:
    """An operation that asks these nodes, or the three."""
    found = Node.objects.filter(name__in=names or factories.IN_SCOPE)
    bodies = {node: {"to": node.name} for node in found}
    return questions.ask("echo", "x", {"say": "ping"}, bodies, shared, by="oscar", within=within)


def number(operation: Operation, node: str = "n1") -> int:
    return Question.objects.get(operation=operation, node__name=node).pk


def answer(client: Client, question: int, said: Answer = ANSWERED) -> Any:
    return client.post(f"{URL}{question}/", wire.dump(said), content_type="application/json")


def over(operation: Operation) -> None:
    """Its deadline has passed."""
    Operation.objects.filter(pk=operation.pk).update(deadline=timezone.now() - timedelta(seconds=1))
    operation.refresh_from_db()


def waiting(client: Client) -> str:
    """How many questions a look for the document is told of."""
    response = client.get("/api/v1/nodes/n1/desired/")
    again = client.get("/api/v1/nodes/n1/desired/", HTTP_IF_NONE_MATCH=response["ETag"])
    assert (response.status_code, again.status_code) == (200, 304)
    assert response[HEADER] == again[HEADER]
    return str(again[HEADER])


def test_a_question_is_told_of_asked_and_answered(n1: Client) -> None:
    assert waiting(n1) == "0"
    operation = asked(shared={"abc": ["part"]})
    assert waiting(n1) == "1"
    told = wire.parse(n1.get(URL).content)
    assert told == wire.Questions(
        (wire.Question(number(operation), "echo", {"to": "n1"}),), {"abc": ["part"]}
    )
    assert answer(n1, number(operation)).status_code == 204
    row = Question.objects.get(pk=number(operation))
    assert (row.state, row.answer) == ("answered", {"says": "pong"})
    assert waiting(n1) == "0"
    assert wire.parse(n1.get(URL).content) == wire.Questions()


def test_a_question_that_waits_costs_the_document_no_query(
    n1: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    asked()
    version = Node.objects.get(name="n1").desired_version
    with django_assert_num_queries(1):
        response = n1.get("/api/v1/nodes/n1/desired/", HTTP_IF_NONE_MATCH=f'"{version}"')
    assert response[HEADER] == "1"


@pytest.mark.parametrize("many", [1, 20])
def test_all_that_waits_takes_three_queries(
    n1: Client, django_assert_num_queries: DjangoAssertNumQueries, many: int
) -> None:
    for _ in range(many):
        asked()
    with django_assert_num_queries(3):
        assert len(wire.parse(n1.get(URL).content).questions) == many


def test_why_a_node_cannot_answer_is_kept(n1: Client) -> None:
    operation = asked()
    answer(n1, number(operation), Answer("failed", why="no kernel"))
    row = Question.objects.get(pk=number(operation))
    assert (row.state, row.answer, row.why) == ("failed", None, "no kernel")


def test_a_second_answer_is_refused(n1: Client) -> None:
    operation = asked()
    answer(n1, number(operation))
    response = answer(n1, number(operation), Answer("failed", why="changed my mind"))
    assert response.status_code == 409
    assert "was answered already. Leave it" in response.json()["detail"]
    assert Question.objects.get(pk=number(operation)).state == "answered"


def test_a_late_answer_is_refused_and_the_count_is_right_again(n1: Client) -> None:
    operation = asked()
    over(operation)
    response = answer(n1, number(operation))
    assert response.status_code == 409
    assert "is not waited for any more" in response.json()["detail"]
    assert waiting(n1) == "1"
    assert wire.parse(n1.get(URL).content) == wire.Questions()
    assert waiting(n1) == "0"


def test_an_answer_to_the_question_of_another_node_is_refused(n1: Client) -> None:
    operation = asked()
    response = answer(n1, number(operation, "n2"))
    assert response.status_code == 404
    assert "is no question to node n1. Fetch what is asked" in response.json()["detail"]
    assert Question.objects.get(pk=number(operation, "n2")).state == "waiting"


def test_another_node_and_people_are_refused(nodes: list[Node], ada: Client) -> None:
    operation = asked()
    for client in (of_node(nodes[1]), ada):
        assert client.get(URL).status_code == 403
        response = answer(client, number(operation))
        assert response.status_code == 403
        assert response.json()["detail"] == "Only the node itself, by its token, may do this."


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "body=: is empty"),
        (b"{", "body=: is not whole JSON"),
        (b'{"format": 2}', "format=: only 1 is read"),
        (b'{"format": 1, "state": "maybe"}', "state=maybe: is none of answered, failed"),
        (b'{"format": 1, "state": "answered"}', "content=: is no object"),
        (b'{"format": 1, "state": "failed", "whence": ""}', "has no field 'whence'"),
        (b'{"format": 1, "state": "failed", "why": "a\\u0000"}', "why=: holds a NUL"),
    ],
)
def test_what_is_no_answer_is_refused_by_its_field(n1: Client, body: bytes, detail: str) -> None:
    operation = asked()
    response = n1.post(f"{URL}{number(operation)}/", body, content_type="application/json")
    assert response.status_code == 400
    assert detail in response.json()["detail"]
    assert Question.objects.get(pk=number(operation)).state == "waiting"


def test_one_that_is_too_large_is_not_read_to_its_end(n1: Client) -> None:
    response = answer(n1, number(asked()), Answer("failed", why="x" * wire.MAX_BYTES))
    assert response.status_code == 413


def test_a_node_that_is_silent_is_not_asked() -> None:
    operation = asked("n1", "n4")
    assert Question.objects.get(operation=operation, node__name="n4").state == "silent"
    assert Node.objects.get(name="n4").questions == 0
    assert questions.progress(operation) == questions.Progress(waiting=1, silent=1)


def test_only_the_newest_are_kept_and_for_a_day() -> None:
    first = asked()
    Operation.objects.filter(pk=first.pk).update(at=timezone.now() - questions.KEPT - timedelta(minutes=1))
    for _ in range(questions.MOST):
        asked("n1")
    kept = Operation.objects.order_by("pk").values_list("pk", flat=True)
    assert first.pk not in kept
    assert len(kept) == questions.MOST
    asked("n1")
    assert Operation.objects.count() == questions.MOST
