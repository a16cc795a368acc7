"""/api/v1/events/: who did what to what, newest first."""

from urllib.parse import quote

import pytest

from networks import declare, membership
from nodes.models import Event, Node
from tests import factories
from tests.conftest import Client

URL = "/api/v1/events/"


@pytest.fixture
def history(nodes: list[Node]) -> None:
    factories.a_network()
    factories.reported("n1", changes=("add bridge obr_backend1",))
    declare.withdraw("backend1", by="oscar")
    membership.remove("n4", by="ada")


def test_it_tells_what_happened_newest_first(vera: Client, history: None) -> None:
    shown = vera.get(f"{URL}?page_size=4").json()["results"]
    assert [(event["actor"], event["verb"], event["kind"], event["name"]) for event in shown] == [
        ("ada", "removed", "node", "n4"),
        ("oscar", "withdrew", "network", "backend1"),
        ("node n1", "applied", "node", "n1"),
        ("oscar", "declared", "network", "backend1"),
    ]
    assert shown[3]["after"]["network"] == "10.11.0.0/16"
    assert shown[1]["before"]["segments"]["n2"] == "10.11.4.0/22"
    assert shown[1]["after"] is None


@pytest.mark.parametrize(
    ("query", "verbs"),
    [
        ("kind=network", ["withdrew", "declared"]),
        ("kind=network&verb=declared", ["declared"]),
        ("kind=node&name=n1", ["applied", "added"]),
        ("actor=node%20n1", ["applied"]),
        ("name=nobody", []),
    ],
)
def test_it_filters(vera: Client, history: None, query: str, verbs: list[str]) -> None:
    assert [event["verb"] for event in vera.get(f"{URL}?{query}").json()["results"]] == verbs


def test_it_filters_by_time(vera: Client, history: None) -> None:
    moment = quote(Event.objects.get(verb="withdrew").at.isoformat())
    since = vera.get(f"{URL}?since={moment}").json()["results"]
    until = vera.get(f"{URL}?until={moment}").json()["results"]
    assert [event["verb"] for event in since] == ["removed", "withdrew"]
    assert until[0]["verb"] == "applied"


def test_a_page_stays_the_same_while_new_ones_come(vera: Client, history: None) -> None:
    first = vera.get(f"{URL}?page_size=2").json()
    second = vera.get(first["next"]).json()["results"]
    factories.a_node("n5")
    assert vera.get(first["next"]).json()["results"] == second
    assert [event["verb"] for event in second] == ["applied", "declared"]


def test_it_refuses_a_time_that_is_none(vera: Client) -> None:
    response = vera.get(f"{URL}?since=yesterday")
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "since"


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_nobody_writes_it(ada: Client, method: str) -> None:
    assert getattr(ada, method)(URL).status_code == 405
