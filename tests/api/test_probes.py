"""What crosses between which nodes: /api/v1/networks/NAME/probes/, the words for it, the events."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from nodes.models import Event, Node
from tests import factories
from tests.conftest import Client
from tests.factories import a_pair, probed, reported

URL = "/api/v1/networks/backend1/"


@pytest.fixture(autouse=True)
def _declared(nodes: list[Node]) -> None:
    factories.a_network(nodes=factories.IN_SCOPE)


def all_up(name: str) -> Any:
    return probed(*(a_pair(peer) for peer in factories.IN_SCOPE if peer != name))


def shown(client: Client) -> dict[str, Any]:
    body: dict[str, Any] = client.get(URL).json()
    return body


def pairs(client: Client, query: str = "") -> list[dict[str, Any]]:
    response = client.get(f"{URL}probes/{query}")
    assert response.status_code == 200, response.content
    found: list[dict[str, Any]] = response.json()["results"]
    return found


def test_it_tells_every_pair(vera: Client) -> None:
    reported("n1", probes=(probed(a_pair("n2"), a_pair("n3", "mtu")),))
    reported("n2", probes=(probed(a_pair("n1", "pending"), a_pair("n3", "down")),))
    assert [(row["node"], row["peer"], row["state"]) for row in pairs(vera)] == [
        ("n1", "n2", "up"), ("n1", "n3", "mtu"), ("n2", "n1", "pending"), ("n2", "n3", "down"),
    ]  # fmt: skip
    assert pairs(vera)[0] == {
        "node": "n1", "peer": "n2", "family": 4, "state": "up", "loss": 0.0, "rtt": 0.125, "largest": 1500,
        "at": "2027-01-15T08:00:00Z", "code": "", "why": "", "remedy": "", "way": "eth0 via 192.0.2.2",
    }  # fmt: skip
    assert pairs(vera)[2]["at"] is None
    assert (pairs(vera)[3]["code"], pairs(vera)[3]["why"]) == ("blocked", "nothing comes back")


@pytest.mark.parametrize(
    ("query", "count"),
    [("?node=n1", 2), ("?peer=n3", 2), ("?state=down", 1), ("?family=4", 4), ("?family=6", 0),
     ("?page_size=3", 3), ("?node=n2&state=up", 1), ("?node=nobody", 0)],
)  # fmt: skip
def test_it_filters(vera: Client, query: str, count: int) -> None:
    reported("n1", probes=(all_up("n1"),))
    reported("n2", probes=(probed(a_pair("n1"), a_pair("n3", "down")),))
    assert len(pairs(vera, query)) == count


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("?state=sideways", "state=sideways: is none of down, mtu, pending, up. Use state=down"),
        ("?family=5", "family=5: is none of 4, 6. Use family=4"),
    ],
)
def test_it_refuses_a_filter_that_cannot_be(vera: Client, query: str, detail: str) -> None:
    response = vera.get(f"{URL}probes/{query}")
    assert (response.status_code, response.json()["detail"]) == (400, detail)


def test_of_a_network_that_is_gone_nothing_is_told(vera: Client, oscar: Client) -> None:
    reported("n1", probes=(all_up("n1"), probed(a_pair("n2", "down"), network="gone")))
    assert len(pairs(vera)) == 2
    assert vera.get("/api/v1/networks/gone/probes/").status_code == 404
    assert shown(vera)["probes"]["peers"] == 2


def test_of_a_node_that_left_the_scope_nothing_is_told(vera: Client, oscar: Client) -> None:
    reported("n1", probes=(all_up("n1"),))
    oscar.patch(URL, {"nodes": ["n1", "n2"]}, content_type="application/json")
    assert [row["peer"] for row in pairs(vera)] == ["n2"]


def test_it_takes_the_same_number_of_queries_whatever_the_number_of_nodes(vera: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            pairs(vera)
        return len(captured)

    reported("n1", probes=(all_up("n1"),))
    one = queries()
    for name in ("n2", "n3"):
        reported(name, probes=(all_up(name),))
    assert queries() == one


# -- words


@pytest.mark.parametrize(
    ("found", "word", "status"),
    [
        (a_pair("n3"), "converged", "up"),
        (a_pair("n3", "pending"), "probing", "probing"),
        (a_pair("n3", "mtu"), "mtu", "mtu"),
        (a_pair("n3", "down"), "cut", "cut"),
    ],
)
def test_a_node_has_converged_when_its_probes_pass(vera: Client, found: Any, word: str, status: str) -> None:
    reported("n1", probes=(probed(a_pair("n2"), found),))
    for name in ("n2", "n3"):
        reported(name, probes=(all_up(name),))
    body = shown(vera)
    assert body["status"] == status
    assert body["convergence"] == {"nodes": 3, "converged": 3 if word == "converged" else 2}
    assert body["probes"] == {
        "peers": 6,
        "up": 5,
        "mtu": 0,
        "down": 0,
        "pending": 0,
        found.state: 6 if found.state == "up" else 1,
    }
    assert vera.get("/api/v1/nodes/n1/").json()["status"] == word


def test_the_worst_word_is_the_networks(vera: Client) -> None:
    reported("n1", probes=(probed(a_pair("n2", "pending"), a_pair("n3", "mtu")),))
    reported("n2", probes=(probed(a_pair("n1", "down"), a_pair("n3")),))
    assert shown(vera)["status"] == "cut"
    reported("n2", probes=(all_up("n2"),))
    assert shown(vera)["status"] == "mtu"
    finding = factories.a_finding(network="backend1")
    reported("n2", probes=(all_up("n2"),), findings=(finding,))
    assert shown(vera)["status"] == "problem"


def test_probes_of_another_version_do_not_count(vera: Client) -> None:
    for name in factories.IN_SCOPE:
        reported(name, probes=(all_up(name),))
    assert shown(vera)["status"] == "up"
    reported("n1", version="0" * 64, probes=(all_up("n1"),))
    assert shown(vera)["status"] == "converging"


def test_a_network_of_one_node_is_up_without_probes(vera: Client) -> None:
    factories.a_network("alone", "10.12.0.0/16", nodes=("n1",))
    factories.a_network("local1", "10.10.10.0/24", type="bridge", nodes=("n1", "n2"))
    for name in factories.IN_SCOPE:
        reported(name)
    assert vera.get("/api/v1/networks/alone/").json()["status"] == "up"
    assert vera.get("/api/v1/networks/local1/").json()["status"] == "up"


def test_what_nobody_probes_is_not_called_up(vera: Client, ada: Client) -> None:
    ada.patch("/api/v1/cluster/", {"probe_interval": 0}, content_type="application/json")
    for name in factories.IN_SCOPE:
        reported(name)
    assert shown(vera)["status"] == "converged"
    assert shown(vera)["convergence"] == {"nodes": 3, "converged": 3}


# -- events


def events() -> list[tuple[list[str], list[str]]]:
    rows = Event.objects.filter(actor="node n1", verb="probed").order_by("id")
    return [(row.before, row.after) for row in rows]


DOWN = "backend1 to n2 over IPv4 down: nothing comes back"
MTU = "backend1 to n3 over IPv4 mtu: 1500 are lost"


def test_a_pair_that_goes_down_and_comes_back_is_remembered_once_each(nodes: list[Node]) -> None:
    up = all_up("n1")
    down = probed(a_pair("n2", "down"), a_pair("n3", "mtu"))
    for found in (up, up, down, down, up, up):
        reported("n1", probes=(found,))
    assert events() == [([], sorted([DOWN, MTU])), (sorted([DOWN, MTU]), [])]


def test_what_is_pending_is_no_event(nodes: list[Node]) -> None:
    down, up = probed(a_pair("n2", "down"), a_pair("n3")), all_up("n1")
    unknown = probed(a_pair("n2", "pending"), a_pair("n3"))
    for found in (unknown, down, unknown, down, unknown, up):
        reported("n1", probes=(found,))
    assert events() == [([], [DOWN]), ([DOWN], [])]


def test_a_first_report_in_which_all_is_well_is_no_event(nodes: list[Node]) -> None:
    reported("n1", probes=(all_up("n1"),))
    assert events() == []
