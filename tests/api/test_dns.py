"""GET /api/v1/dns/records/"""

import pytest

from networks import cluster
from networks.models import Network
from nodes.models import Node
from tests import factories
from tests.conftest import Client

URL = "/api/v1/dns/records/"


@pytest.fixture(autouse=True)
def web(nodes: list[Node]) -> Network:
    cluster.change(name="c1", dns=["10.0.0.53"], by="ada")
    backend1 = factories.a_network()
    held = factories.an_allocation(backend1, "10.11.0.7", nodes[0], service="prod/svc/web")
    held.expose = ["80/tcp"]
    held.save()
    return backend1


def found(client: Client, **asked: str) -> list[tuple[str, str]]:
    return [(row["name"], row["content"]) for row in client.get(URL, asked).json()["results"]]


def test_it_lists_what_is_served(vera: Client) -> None:
    answer = vera.get(URL).json()
    assert answer["results"][0]["type"] == "SOA"
    row = next(row for row in answer["results"] if row["type"] == "PTR")
    assert row == {
        "zone": "11.10.in-addr.arpa.",
        "name": "7.0.11.10.in-addr.arpa.",
        "type": "PTR",
        "ttl": 60,
        "content": "web.prod.svc.c1.",
    }


def test_it_filters_by_name_type_and_zone(vera: Client) -> None:
    assert found(vera, name="WEB.prod", type="A", zone="c1") == [
        ("10-11-0-7.web.prod.svc.c1.", "10.11.0.7"),
        ("web.prod.svc.c1.", "10.11.0.7"),
        ("web.prod.svc.n1.node.c1.", "10.11.0.7"),
    ]
    assert [name for name, _ in found(vera, zone="11.10.in-addr.arpa.", type="PTR")] == [
        "7.0.11.10.in-addr.arpa."
    ]


@pytest.mark.parametrize(("asked", "field"), [({"type": "MX"}, "type"), ({"zone": "example.org"}, "zone")])
def test_it_refuses_what_is_not_served(vera: Client, asked: dict[str, str], field: str) -> None:
    response = vera.get(URL, asked)
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == field


def test_it_is_for_those_who_have_a_role(anonymous: Client) -> None:
    assert anonymous.get(URL).status_code == 401


@pytest.mark.parametrize("services", [1, 30])
def test_the_number_of_queries_does_not_grow(
    vera: Client, web: Network, nodes: list[Node], services: int, django_assert_num_queries: object
) -> None:
    for number in range(services):
        factories.an_allocation(web, f"10.11.1.{number}", nodes[0], service=f"root/svc/s{number}")
    vera.get(URL)
    with django_assert_num_queries(6):  # type: ignore[operator]
        vera.get(URL)
