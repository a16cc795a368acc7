"""/api/v1/nodes/NAME/desired/: the document of one node, by its own token."""

import pytest
from pytest_django import DjangoAssertNumQueries

from networks import declare, membership
from networks.declaration import Declaration
from nodes.models import Node
from tests import factories
from tests.conftest import Client, of_node
from workers import document

URL = "/api/v1/nodes/n1/desired/"


def test_it_is_the_document_under_its_version(nodes: list[Node]) -> None:
    factories.a_network()
    response = of_node(nodes[0]).get(URL)
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    read = document.parse(response.content)
    assert response["ETag"] == f'"{read.version}"'
    assert read.version == Node.objects.get(name="n1").desired_version
    assert {network.name for network in read.networks} == {"default", "lo", "backend1"}


@pytest.mark.parametrize("known", ['"{}"', 'W/"{}", "other"', '"other", "{}"'])
def test_it_is_not_sent_again_unchanged_and_costs_one_query(
    nodes: list[Node], django_assert_num_queries: DjangoAssertNumQueries, known: str
) -> None:
    node = of_node(nodes[0])
    version = Node.objects.get(name="n1").desired_version
    with django_assert_num_queries(1):
        response = node.get(URL, HTTP_IF_NONE_MATCH=known.format(version))
    assert response.status_code == 304
    assert response.content == b""
    assert response["ETag"] == f'"{version}"'


def test_it_is_sent_when_something_was_declared(nodes: list[Node]) -> None:
    node = of_node(nodes[0])
    before = node.get(URL)["ETag"]
    factories.a_network()
    response = node.get(URL, HTTP_IF_NONE_MATCH=before)
    assert response.status_code == 200
    assert response["ETag"] != before


@pytest.mark.django_db
@pytest.mark.parametrize("many", [1, 20])
def test_it_asks_the_database_the_same_however_much_there_is(
    django_assert_num_queries: DjangoAssertNumQueries, many: int
) -> None:
    for number in range(1, many + 1):
        factories.a_node(f"n{number}")
        factories.a_network(f"b{number}", f"10.{100 + number}.0.0/16")
    node = of_node(Node.objects.get(name="n1"))
    with django_assert_num_queries(6):
        assert len(document.parse(node.get(URL).content).networks) == many + 2


def test_it_changes_for_nobody_whom_a_change_does_not_concern(nodes: list[Node]) -> None:
    factories.a_network(nodes=("n1", "n2"))
    before = dict(Node.objects.values_list("name", "desired_version"))
    declare.change("backend1", Declaration({"mtu": 1400}), by="oscar")
    after = dict(Node.objects.values_list("name", "desired_version"))
    assert {name for name in after if after[name] != before[name]} == {"n1", "n2"}


def test_it_is_shown_to_people(vera: Client, nodes: list[Node]) -> None:
    response = vera.get(URL)
    assert response.status_code == 200
    assert document.parse(response.content).node == "n1"


def test_another_node_is_refused(nodes: list[Node]) -> None:
    response = of_node(nodes[1]).get(URL)
    assert response.status_code == 403
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["detail"] == "Only the node itself, by its token, may do this."


def test_a_removed_node_is_told_that_it_is_gone(nodes: list[Node]) -> None:
    node = of_node(nodes[0])
    membership.remove("n1", by="ada")
    response = node.get(URL)
    assert response.status_code == 410
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["type"] == "urn:netadmin:problem:gone"


def test_a_node_that_comes_back_needs_its_new_token(nodes: list[Node]) -> None:
    old = of_node(nodes[0])
    membership.remove("n1", by="ada")
    back = factories.a_node("n1")
    assert old.get(URL).status_code == 410
    new = of_node(back)
    assert new.get(URL).status_code == 200
    assert old.get(URL).status_code == 401
