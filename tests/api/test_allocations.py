"""/api/v1/allocations/: which addresses are in use or kept."""

import pytest
from pytest_django import DjangoAssertNumQueries

from nodes.models import Node
from tests import factories
from tests.conftest import Client

URL = "/api/v1/allocations/"


@pytest.fixture
def in_use(nodes: list[Node]) -> None:
    backend1 = factories.a_network()
    six = factories.a_network("six", "fd11::/48", mask_per_node="64")
    factories.an_allocation(backend1, "10.11.0.7", nodes[0], service="root/svc/web")
    factories.an_allocation(backend1, "10.11.4.9", nodes[1], service="root/svc/db")
    factories.an_allocation(six, "fd11::7", nodes[0], service="root/svc/web", resource="ip#1")
    factories.reported("n2", leases=(factories.a_lease(address="10.11.4.200", container="c1"),))


def test_it_tells_who_holds_an_address(vera: Client, in_use: None) -> None:
    shown = vera.get(URL).json()
    assert shown["count"] == 4
    first = shown["results"][0]
    assert first.pop("since")
    assert first.pop("id")
    assert first == {
        "addresses": ["10.11.0.7"],
        "network": "backend1",
        "node": "n1",
        "service": "root/svc/web",
        "resource": "ip#0",
        "netns": "",
        "interface": "",
        "wanted": [],
        "expose": [],
        "hostname": "",
        "dns_name_suffix": "",
        "wait_dns": 0.0,
        "comment": "",
        "version": 0,
        "state": "attached",
        "healthy": True,
        "why": "",
        "remedy": "",
        "container": "",
        "mac": "",
        "learnt": "request",
    }


def test_a_container_with_both_families_is_one_holder(vera: Client, nodes: list[Node]) -> None:
    factories.a_network(network="10.11.0.0/16 fd11::/48", mask_per_node="22 64")
    leases = (factories.a_lease(address="fd11::2"), factories.a_lease(address="10.11.0.2"))
    factories.reported("n1", leases=leases)
    assert [row["addresses"] for row in vera.get(URL).json()["results"]] == [["10.11.0.2", "fd11::2"]]


def test_one_that_is_kept_for_no_node_has_none(vera: Client) -> None:
    factories.an_allocation(factories.a_network(), "10.11.0.7")
    assert vera.get(URL).json()["results"][0]["node"] is None


@pytest.mark.parametrize(
    ("query", "addresses"),
    [
        ("network=backend1", ["10.11.0.7", "10.11.4.9", "10.11.4.200"]),
        ("network=six", ["fd11::7"]),
        ("node=n2", ["10.11.4.9", "10.11.4.200"]),
        ("service=root/svc/web", ["10.11.0.7", "fd11::7"]),
        ("container=c1", ["10.11.4.200"]),
        ("state=reserved", []),
        ("learnt=store", ["10.11.4.200"]),
        ("healthy=false", []),
        ("healthy=true&network=six", ["fd11::7"]),
        ("address=10.11.4.9", ["10.11.4.9"]),
        ("address=10.11.4.0/24", ["10.11.4.9", "10.11.4.200"]),
        ("address=10.0.0.0/8", ["10.11.0.7", "10.11.4.9", "10.11.4.200"]),
        ("address=fd11::/64", ["fd11::7"]),
        ("address=::/0", ["10.11.0.7", "10.11.4.9", "10.11.4.200", "fd11::7"]),
        ("address=10.11.4.0/24&node=n1", []),
        ("page_size=1&page=2", ["10.11.4.9"]),
    ],
)
def test_it_filters_and_pages(vera: Client, in_use: None, query: str, addresses: list[str]) -> None:
    shown = vera.get(f"{URL}?{query}").json()
    assert [row["addresses"] for row in shown["results"]] == [[one] for one in addresses]


@pytest.mark.parametrize("query", ["address=ten", "address=10.0.0.0/33", "state=lost_in_space", "node=%00"])
def test_it_refuses_a_filter_that_cannot_be(vera: Client, query: str) -> None:
    response = vera.get(f"{URL}?{query}")
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == query.partition("=")[0]


@pytest.mark.parametrize("many", [1, 50])
def test_it_asks_the_database_the_same_however_many_there_are(
    vera: Client, nodes: list[Node], django_assert_num_queries: DjangoAssertNumQueries, many: int
) -> None:
    network = factories.a_network()
    for number in range(many):
        factories.an_allocation(network, f"10.11.0.{number}", nodes[0], resource=f"ip#{number}")
    with django_assert_num_queries(4):
        assert len(vera.get(URL).json()["results"]) == many
