"""/api/v1/nodes/: add, list, change, remove; their tokens."""

import socket
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from networks import membership
from nodes import tokens
from nodes.models import Event, Node, Token
from tests import factories
from tests.conftest import Client

URL = "/api/v1/nodes/"
N1 = {"name": "n1", "addresses": ["192.0.2.1"]}


def one(name: str = "n1") -> str:
    return f"{URL}{name}/"


def test_it_adds_a_node_which_gets_its_segments(ada: Client) -> None:
    factories.a_network()
    response = ada.post(URL, {**N1, "comment": "rack 1", "cni_config": "/etc/cni/net.d"})
    assert (response.status_code, response["ETag"]) == (201, '"1"')
    shown = response.json()
    assert (shown["position"], shown["status"], shown["last_seen"]) == (0, "new", None)
    assert (shown["comment"], shown["cni_config"]) == ("rack 1", "/etc/cni/net.d")
    assert len(shown["desired_version"]) == 64
    segments = ada.get("/api/v1/networks/backend1/").json()["segments"]
    assert [(segment["node"], segment["subnet"]) for segment in segments] == [("n1", "10.11.0.0/22")]
    assert ada.get(one()).json() == shown


def test_it_looks_a_name_up_when_no_address_is_given(ada: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership, "looked_up", lambda name: ["127.0.1.1", "192.0.2.7"])
    assert ada.post(URL, {"name": "n7"}).json()["addresses"] == ["127.0.1.1", "192.0.2.7"]


def test_it_refuses_a_name_that_cannot_be_looked_up(ada: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*arguments: Any, **keywords: Any) -> None:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    response = ada.post(URL, {"name": "n7"})
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "addresses"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": "N1"}, "name"),
        ({"name": "a.b"}, "name"),
        ({"name": ""}, "name"),
        ({"addresses": ["n1.example"]}, "addresses"),
        ({"addresses": ["127.0.0.1"]}, "addresses"),
        ({"addresses": "192.0.2.1"}, "addresses"),
        ({"addresses": [["192.0.2.1"]]}, "addresses[0]"),
        ({"cni_config": "net.d"}, "cni_config"),
        ({"cni_plugins": "/" + "x" * 255}, "cni_plugins"),
        ({"comment": "x" * 256}, "comment"),
        ({"adresses": []}, "adresses"),
    ],
)
def test_it_refuses_naming_the_field(ada: Client, given: dict[str, Any], field: str) -> None:
    response = ada.post(URL, {**N1, **given})
    assert response.status_code == 400, response.content
    assert [fault["field"] for fault in response.json()["errors"]] == [field]
    assert not Node.objects.exists()


def test_it_refuses_a_name_that_is_taken(ada: Client) -> None:
    ada.post(URL, N1)
    response = ada.post(URL, N1)
    assert response.status_code == 409
    assert response.json()["errors"][0]["field"] == "name"


def test_it_refuses_a_node_for_which_a_network_has_no_segment(ada: Client) -> None:
    factories.a_node("n2")
    factories.a_network(network="10.11.0.0/22")
    response = ada.post(URL, N1)
    assert response.status_code == 409
    assert "Declare a network of /21 or larger" in response.json()["detail"]
    assert not Node.objects.filter(name="n1").exists()


def test_it_changes_what_is_given_and_keeps_the_rest(ada: Client) -> None:
    ada.post(URL, {**N1, "comment": "rack 1"})
    before = ada.get(one()).json()
    response = ada.patch(one(), {"addresses": ["198.51.100.1"]}, HTTP_IF_MATCH='"1"')
    after = response.json()
    assert (response.status_code, response["ETag"]) == (200, '"2"')
    assert (after["addresses"], after["comment"]) == (["198.51.100.1"], "rack 1")
    assert after["desired_version"] != before["desired_version"]
    assert ada.patch(one(), {"comment": "late"}, HTTP_IF_MATCH='"1"').status_code == 412


def test_it_changes_nothing_when_it_is_so_already(ada: Client) -> None:
    before = ada.post(URL, N1).json()
    assert ada.patch(one(), N1).json() == before


def test_it_refuses_another_name(ada: Client) -> None:
    ada.post(URL, N1)
    assert ada.patch(one(), {"name": "n2"}).json()["errors"][0]["field"] == "name"


def test_it_removes_a_node_and_frees_its_segments(ada: Client, nodes: list[Node]) -> None:
    factories.a_network()
    assert ada.delete(one("n2")).status_code == 204
    assert ada.get(one("n2")).status_code == 404
    segments = ada.get("/api/v1/networks/backend1/").json()["segments"]
    assert [segment["node"] for segment in segments] == ["n1", "n3", "n4"]


def test_it_removes_one_in_use_only_when_forced(ada: Client, nodes: list[Node]) -> None:
    factories.an_allocation(factories.a_network(), "10.11.0.7", nodes[0])
    assert ada.delete(one()).status_code == 409
    assert ada.delete(f"{one()}?force=true", HTTP_IF_MATCH='"7"').status_code == 412
    assert ada.delete(f"{one()}?force=true").status_code == 204


@pytest.mark.parametrize("path", ["", "token/", "report/", "desired/"])
def test_it_knows_no_other_name(ada: Client, nodes: list[Node], path: str) -> None:
    method = ada.post if path == "token/" else ada.get
    response = method(f"{one('n9')}{path}")
    assert response.status_code == 404
    assert "n9: is no node of the cluster" in response.json()["detail"]


def test_it_makes_a_token_in_place_of_the_one_before(ada: Client, nodes: list[Node]) -> None:
    first = ada.post(f"{one()}token/")
    second = ada.post(f"{one()}token/")
    assert first.status_code == 201
    assert first.json()["node"] == "n1"
    assert Client(first.json()["token"]).get(f"{one()}desired/").status_code == 401
    assert Client(second.json()["token"]).get(f"{one()}desired/").status_code == 200


def test_it_keeps_only_the_hash_of_a_token(ada: Client, nodes: list[Node]) -> None:
    token = ada.post(f"{one()}token/").json()["token"]
    kept = Token.objects.get(node=nodes[0])
    assert kept.digest == tokens.hashed(token)
    assert not Event.objects.filter(kind="token", after__icontains=token).exists()
    assert Event.objects.filter(kind="token", actor="ada", name="node n1").exists()


def test_it_tells_how_a_node_stands(vera: Client, nodes: list[Node]) -> None:
    finding = {
        "code": "conflict",
        "network": "",
        "subject": "obr_b",
        "why": "is in the way",
        "remedy": "Remove it",
        "level": "problem",
    }
    factories.reported("n2")
    factories.reported("n3", findings=(factories.a_finding(**finding),))
    factories.reported("n4", version="older")
    shown = {node["name"]: node for node in vera.get(URL).json()["results"]}
    assert {name: node["status"] for name, node in shown.items()} == {
        "n1": "new", "n2": "converged", "n3": "problem", "n4": "converging",
    }  # fmt: skip
    assert shown["n3"]["findings"] == [finding]
    assert shown["n2"]["applied_version"] == shown["n2"]["desired_version"]
    assert shown["n2"]["last_seen"] is not None


def test_a_warning_is_told_and_all_is_as_declared(vera: Client, nodes: list[Node]) -> None:
    factories.reported("n2", findings=(factories.a_finding(level="warning", why="may act one day"),))
    shown = vera.get(one("n2")).json()
    assert shown["status"] == "converged"
    assert [(finding["level"], finding["why"]) for finding in shown["findings"]] == [
        ("warning", "may act one day")
    ]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("name=N", ["n1", "n2", "n3", "n4"]),
        ("name=2", ["n2"]),
        ("current=true", ["n2"]),
        ("current=false", ["n1", "n3", "n4"]),
        ("ordering=-position&page_size=2", ["n4", "n3"]),
    ],
)
def test_it_filters_orders_and_pages(vera: Client, nodes: list[Node], query: str, names: list[str]) -> None:
    factories.reported("n2")
    shown = vera.get(f"{URL}?{query}").json()
    assert [node["name"] for node in shown["results"]] == names


@pytest.mark.parametrize("many", [1, 30])
def test_it_asks_the_database_the_same_however_many_there_are(
    vera: Client, django_assert_num_queries: DjangoAssertNumQueries, many: int
) -> None:
    for number in range(1, many + 1):
        factories.a_node(f"n{number}")
        factories.reported(f"n{number}")
    with django_assert_num_queries(5):
        assert len(vera.get(URL).json()["results"]) == many
