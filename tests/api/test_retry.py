"""What a node rolled back: how it stands, and /api/v1/nodes/NAME/retry/."""

import pytest

from networks import convergence
from networks.convergence import NodeState
from nodes.models import Event, Node
from tests import factories
from tests.conftest import Client

URL = "/api/v1/nodes/n1/retry/"
FINDING = factories.a_finding(code="rolled-back", network="backend1", subject="version 123")


def state(name: str = "n1") -> NodeState:
    [found] = convergence.node_states(Node.objects.filter(name=name))
    return found


@pytest.fixture
def refused(nodes: list[Node]) -> str:
    """The version that n1 is to have, and rolled back because of ``backend1``; n2 to n4 have theirs."""
    before = Node.objects.get(name="n1").desired_version
    factories.a_network()
    version = Node.objects.get(name="n1").desired_version
    for node in nodes[1:]:
        factories.reported(node)
    factories.reported(
        "n1", version=before, outcome="rolled-back", refused=version, findings=(FINDING,), changes=("add a",)
    )
    return version


def test_what_is_refused_is_a_problem_of_the_node_and_of_the_network(refused: str, vera: Client) -> None:
    assert state().status == "problem"
    assert state().status_on("backend1") == "problem"
    assert state().status_on("default") == "converged"
    shown = vera.get("/api/v1/nodes/n1/").json()
    assert (shown["status"], shown["refused"]) == ("problem", refused)
    assert vera.get("/api/v1/nodes/n2/").json()["refused"] == ""
    convergence = vera.get("/api/v1/networks/backend1/").json()["convergence"]
    assert (convergence["nodes"], convergence["converged"]) == (4, 3)


def test_the_roll_back_is_an_event_once(refused: str) -> None:
    factories.reported("n1", version="", outcome="rolled-back", refused=refused, findings=(FINDING,))
    event = Event.objects.get(verb="rolled back")
    assert (event.actor, event.name, event.before) == ("node n1", "n1", {"version": refused})


def test_a_retry_makes_the_same_declaration_a_new_version(refused: str, oscar: Client) -> None:
    others = [node.desired_version for node in Node.objects.exclude(name="n1")]
    shown = oscar.post(URL).json()
    assert shown["desired_version"] not in ("", refused)
    assert (shown["status"], shown["refused"]) == ("converging", "")
    assert [node.desired_version for node in Node.objects.exclude(name="n1")] == others
    assert Node.objects.get(name="n1").attempt == 1
    event = Event.objects.get(verb="retried")
    assert (event.actor, event.name, event.before) == ("oscar", "n1", {"version": refused})


def test_what_is_served_then_is_that_version(refused: str, oscar: Client) -> None:
    version = oscar.post(URL).json()["desired_version"]
    assert oscar.get("/api/v1/nodes/n1/desired/").json()["version"] == version


def test_a_second_retry_has_nothing_to_try(refused: str, oscar: Client) -> None:
    oscar.post(URL)
    response = oscar.post(URL)
    assert response.status_code == 409
    assert response.json()["detail"] == (
        "node=n1: refuses nothing that it is to have. There is nothing to try again"
    )


def test_a_withdrawn_declaration_leaves_nothing_refused(refused: str, oscar: Client) -> None:
    assert oscar.delete("/api/v1/networks/backend1/").status_code == 204
    assert state().refused == ""
    assert oscar.post(URL).status_code == 409


def test_it_takes_an_operator(refused: str, vera: Client) -> None:
    assert vera.post(URL).status_code == 403
    assert Node.objects.get(name="n1").desired_version == refused
