"""POST /api/v1/networks/NAME/plan/: what the nodes would do for a draft; nothing is changed by it."""

from dataclasses import asdict
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from networks.models import Network, Segment
from nodes import questions
from nodes.models import Event, Node, Operation, Question
from tests import factories
from tests.conftest import Client
from workers import document
from workers import question as wire
from workers.planned import Count, Planned, Risk, Step
from workers.question import Answer
from workers.report import Finding
from workers.wire import WireError

URL = "/api/v1/networks/backend1/plan/"
DRAFT = {"type": "routed_bridge", "network": "10.11.0.0/16"}
CUT = Risk("cut", "control-path", "backend1", "add address 10.11.0.1/22", "cuts the way", "Do not")
CONFLICT = Finding("conflict", "backend1", "bridge obr_backend1", "is somebody else's", "Remove it")


@pytest.fixture(autouse=True)
def _nodes_are_heard_of(nodes: list[Node]) -> None:
    for node in nodes:
        factories.reported(node)


def a_plan(number: int = 1, **fields: Any) -> Planned:
    """A node that would add its bridge and ``number`` routes."""
    steps = (Step("add", "bridge", "bridge obr_backend1", "backend1"),)
    counts = (Count("add", "bridge", "backend1", 1), Count("add", "route", "backend1", number))
    return Planned(**{"version": "v", "steps": steps, "counts": counts, **fields})


def answered(operation: int, node: str, plan: Planned | None = None, why: str = "") -> None:
    question = Question.objects.get(operation=operation, node__name=node)
    said = Answer("answered", asdict(plan)) if plan else Answer("failed", why=why)
    questions.answer(question.node, question.pk, wire.parse_answer(wire.dump(said)))


def asked() -> dict[str, Any]:
    """Node to the document that it is asked about."""
    operation = Operation.objects.get()
    shared = {digest: document.canonical(peers) for digest, peers in operation.shared.items()}
    heads = {row.node.name: document.canonical(row.body["head"]) for row in operation.questions.all()}
    return {
        name: document.parse(document.assemble(head, _pointed(head, shared))) for name, head in heads.items()
    }


def _pointed(head: bytes, shared: dict[str, bytes]) -> dict[str, bytes]:
    return {digest: peers for digest, peers in shared.items() if digest.encode() in head}


def everything() -> Any:
    """What a draft must leave as it is."""
    rows = list(Node.objects.values_list("name", "desired_version"))
    segments = list(Segment.objects.values_list("network__name", "node__name", "subnet"))
    return rows, segments, list(Network.objects.values()), Event.objects.count()


def test_each_node_is_asked_about_the_document_that_it_would_get(oscar: Client) -> None:
    before = everything()
    response = oscar.post(URL, {**DRAFT, "nodes": ["n1", "n2"]})
    assert response.status_code == 202
    assert response["Location"] == f"/api/v1/operations/{Operation.objects.get().pk}/"
    assert everything() == before
    planned = asked()
    backend1 = {name: {n.name: n for n in one.networks}.get("backend1") for name, one in planned.items()}
    assert {name for name, one in backend1.items() if one} == {"n1", "n2"}
    assert backend1["n2"].subnets == ("10.11.4.0/22",)
    factories.a_network(nodes=("n1", "n2"))
    assert {name: one.version for name, one in planned.items()} == dict(
        Node.objects.values_list("name", "desired_version")
    )


def test_the_nodes_that_lose_the_network_are_asked_too(oscar: Client) -> None:
    factories.a_network(nodes=("n1", "n2"))
    oscar.post(URL, {"nodes": ["n2", "n3"]})
    assert {"n1", "n2", "n3"} <= asked().keys()


def test_a_draft_of_what_is_so_already_asks_the_nodes_in_scope(oscar: Client) -> None:
    factories.a_network(nodes=("n1", "n2"))
    oscar.post(URL, {"nodes": ["n1", "n2"]})
    assert asked().keys() == {"n1", "n2"}


def test_a_withdrawal_can_be_drafted(oscar: Client) -> None:
    factories.a_network()
    assert oscar.post(f"{URL}?verb=withdraw").status_code == 202
    assert all("backend1" not in {n.name for n in one.networks} for one in asked().values())
    assert Network.objects.filter(name="backend1").exists()


def test_what_is_not_given_is_the_default_of_a_replacement(oscar: Client) -> None:
    factories.a_network(mtu=1400)
    oscar.post(f"{URL}?verb=replace", DRAFT)
    [mtu] = {n.mtu for one in asked().values() for n in one.networks if n.name == "backend1"}
    assert mtu != 1400


def test_nodes_that_would_do_the_same_are_told_together(oscar: Client) -> None:
    operation = oscar.post(URL, DRAFT).json()["id"]
    answered(operation, "n1", a_plan())
    answered(operation, "n2", a_plan())
    answered(operation, "n3", a_plan(risks=(CUT,)))
    answered(operation, "n4", why="no kernel")
    response = oscar.get(f"/api/v1/operations/{operation}/")
    assert response.status_code == 200
    result = response.json()["result"]
    assert result["summary"] == {
        "nodes": 4, "changing": 3, "add": 6, "change": 0, "remove": 0, "conflicts": 0, "unknown": ["n4"],
        "worst": "cut", "cut": ["n3"],
    }  # fmt: skip
    told = [(group["nodes"], group["state"], group["level"], group["why"]) for group in result["groups"]]
    assert told == [
        (["n3"], "answered", "cut", ""),
        (["n4"], "failed", "unknown", "no kernel"),
        (["n1", "n2"], "answered", "", ""),
    ]
    assert result["groups"][0]["risks"] == [{"nodes": ["n3"], **asdict(CUT)}]
    assert result["groups"][2]["changes"][0] == {
        "verb": "add", "kind": "bridge", "object": "bridge obr_backend1", "network": "backend1", "was": ""
    }  # fmt: skip


def test_what_is_in_the_way_makes_a_group_of_its_own(oscar: Client) -> None:
    operation = oscar.post(URL, DRAFT).json()["id"]
    answered(operation, "n1", a_plan())
    answered(operation, "n2", a_plan(findings=(CONFLICT,)))
    result = oscar.get(f"/api/v1/operations/{operation}/").json()["result"]
    assert result["summary"]["conflicts"] == 1
    assert [group["findings"] for group in result["groups"] if group["nodes"] == ["n2"]] == [
        [{"nodes": ["n2"], **asdict(CONFLICT)}]
    ]


def test_an_answer_that_is_no_plan_is_refused(oscar: Client, nodes: list[Node]) -> None:
    operation = oscar.post(URL, DRAFT).json()["id"]
    question = Question.objects.get(operation=operation, node__name="n1")
    with pytest.raises(WireError, match="steps: is str where list is read"):
        questions.answer(question.node, question.pk, Answer("answered", {"version": "v", "steps": "many"}))


@pytest.mark.parametrize(
    ("query", "draft", "status", "detail"),
    [
        ("", {"network": "10.11.0.1/16"}, 400, "has host bits set"),
        ("", {"netwrok": "10.11.0.0/16"}, 400, "is no field"),
        ("", {"name": "other"}, 400, "a network keeps its name"),
        ("verb=destroy", {}, 400, "verb=destroy: cannot be planned. Use one of change, replace, withdraw"),
        ("wait=600", {}, 400, "is no number of seconds"),
    ],
)
def test_a_draft_that_cannot_be_is_refused_as_the_declaration_would_be(
    oscar: Client, query: str, draft: dict[str, Any], status: int, detail: str
) -> None:
    factories.a_network("other", "10.12.0.0/16")
    response = oscar.post(f"{URL}?{query}", {**DRAFT, **draft})
    assert response.status_code == status
    assert detail in response.json()["detail"]
    assert not Operation.objects.exists()


def test_a_withdrawal_of_what_is_in_use_is_refused_unless_forced(oscar: Client, nodes: list[Node]) -> None:
    factories.an_allocation(factories.a_network(), "10.11.0.2", nodes[0])
    assert oscar.post(f"{URL}?verb=withdraw").status_code == 409
    assert oscar.post(f"{URL}?verb=withdraw&force=true").status_code == 202


def test_a_network_that_was_changed_meanwhile_is_refused(oscar: Client) -> None:
    factories.a_network()
    assert oscar.post(URL, {"mtu": 1400}, HTTP_IF_MATCH='"7"').status_code == 412


def test_a_viewer_reads_a_plan_and_asks_for_none(vera: Client, oscar: Client) -> None:
    assert vera.post(URL, DRAFT).status_code == 403
    operation = oscar.post(URL, DRAFT).json()["id"]
    assert vera.get(f"/api/v1/operations/{operation}/").status_code == 202


def test_it_asks_the_database_the_same_for_any_number_of_nodes(oscar: Client) -> None:
    factories.a_network()

    def queries() -> tuple[int, int]:
        with CaptureQueriesContext(connection) as asking:
            operation = oscar.post(URL, {"mtu": 1400}).json()["id"]
        with CaptureQueriesContext(connection) as reading:
            oscar.get(f"/api/v1/operations/{operation}/")
        return len(asking), len(reading)

    few = queries()
    for number in range(5, 25):
        factories.reported(factories.a_node(f"n{number}"))
    assert queries() == few
