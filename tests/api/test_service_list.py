"""GET /api/v1/services/: services, their resources, and how they stand."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from networks import allocations
from networks.models import Allocation, Network
from networks.resources import Ask
from nodes.models import Node
from tests import factories
from tests.api.test_holdings import standing, state
from tests.conftest import Client, of_node
from workers.holdings import BROKEN, FAILED, WAITING

URL = "/api/v1/services/"


def ask(service: str, node: str = "n1", resource: str = "ip#0", network: str = "backend1") -> Allocation:
    row, _ = allocations.request(Ask(service, resource, node, {"network": network}), by="oscar")
    return row


@pytest.fixture
def many(network: Network) -> dict[str, Allocation]:
    """One of each standing, by that word; the attached one also waits on n2."""
    factories.a_network("backend2", "10.12.0.0/16")
    words = {
        word: ask(f"prod/svc/{word}") for word in ("attached", "broken", "failed", "waiting", "releasing")
    }
    ask("prod/svc/attached", "n2", network="backend2")
    words["requested"] = ask("prod/svc/requested", "n3")
    allocations.release(words["releasing"].pk, by="oscar")
    said = [
        standing(words["attached"], "10.11.0.2"),
        standing(words["broken"], "10.11.0.3", state=BROKEN, why="its route is gone"),
        standing(words["failed"], state=FAILED, why="the range is full"),
        standing(words["waiting"], state=WAITING, why="web is not up"),
        standing(words["releasing"], "10.11.0.4"),
    ]
    assert state(of_node(Node.objects.get(name="n1")), *said).status_code == 204
    return words


def listed(client: Client, query: str = "") -> dict[str, Any]:
    """The services by name."""
    response = client.get(f"{URL}{query}")
    assert response.status_code == 200, response.json()
    return {one["service"]: one for one in response.json()["results"]}


def test_a_service_has_its_resources_on_all_nodes(vera: Client, many: dict[str, Allocation]) -> None:
    shown = listed(vera)["prod/svc/attached"]
    assert (shown["standing"], shown["nodes"]) == ("requested", ["n1", "n2"])
    first, second = shown["resources"]
    assert (first["node"], first["addresses"], first["standing"]) == ("n1", ["10.11.0.2"], "attached")
    assert (second["node"], second["addresses"], second["standing"]) == ("n2", [], "requested")
    assert vera.get(f"{URL}prod/svc/attached/").json() == shown
    plain = vera.get(f"/api/v1/allocations/{first['id']}/").json()
    assert {name: first[name] for name in plain} == plain


def test_its_standing_is_the_worst_of_its_resources(vera: Client, many: dict[str, Allocation]) -> None:
    ask("prod/svc/failed", resource="ip#1")
    shown = {service.rpartition("/")[2]: one["standing"] for service, one in listed(vera).items()}
    assert shown == {**{word: word for word in many}, "attached": "requested"}


@pytest.mark.parametrize("word", list(Allocation.STANDINGS))
def test_the_filter_by_standing_is_the_word_that_is_shown(
    vera: Client, many: dict[str, Allocation], word: str
) -> None:
    found = [row for one in listed(vera, f"?standing={word}").values() for row in one["resources"]]
    assert {row["standing"] for row in found} == {word}
    every = [row for one in listed(vera).values() for row in one["resources"]]
    assert len(found) == sum(row["standing"] == word for row in every)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("node=n2", ["attached"]),
        ("network=backend2", ["attached"]),
        ("node=n3&network=backend1", ["requested"]),
        ("state=releasing", ["releasing"]),
        ("service=ed", ["attached", "failed", "requested"]),
        ("node=n9", []),
        ("page_size=2&page=2", ["failed", "releasing"]),
    ],
)
def test_it_filters_and_pages(
    vera: Client, many: dict[str, Allocation], query: str, names: list[str]
) -> None:
    assert [service.rpartition("/")[2] for service in listed(vera, f"?{query}")] == names


def test_only_what_the_filter_leaves_is_shown_of_a_service(vera: Client, many: dict[str, Allocation]) -> None:
    [shown] = listed(vera, "?node=n2").values()
    assert ([row["node"] for row in shown["resources"]], shown["standing"]) == (["n2"], "requested")


@pytest.mark.parametrize("query", ["standing=well", "state=reserved", "node=%00"])
def test_it_refuses_a_filter_that_cannot_be(vera: Client, query: str) -> None:
    response = vera.get(f"{URL}?{query}")
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == query.partition("=")[0]


def test_nothing_is_sent_again_while_nothing_changed(vera: Client, many: dict[str, Allocation]) -> None:
    for path in (URL, f"{URL}prod/svc/attached/"):
        tag = vera.get(path)["ETag"]
        assert vera.get(path, HTTP_IF_NONE_MATCH=tag).status_code == 304
        allocations.change(many["attached"].pk, {"comment": path}, by="oscar")
        assert vera.get(path, HTTP_IF_NONE_MATCH=tag).status_code == 200


def test_one_that_asked_for_nothing_is_missing(vera: Client, many: dict[str, Allocation]) -> None:
    response = vera.get(f"{URL}prod/svc/atached/")
    assert response.status_code == 404
    [fault] = response.json()["errors"]
    assert fault["why"] == "has asked for no address"
    assert fault["remedy"].startswith("Did you mean prod/svc/attached?")
    assert vera.get(f"{URL}a/b/c/d/").json()["errors"][0]["why"] == "is no path of a service"


def test_a_name_without_namespace_is_of_root(vera: Client, network: Network) -> None:
    ask("web")
    assert vera.get(f"{URL}web/").json()["service"] == "root/svc/web"


def test_nobody_reads_without_a_role(anonymous: Client, network: Network) -> None:
    assert anonymous.get(URL).status_code == 401
    assert of_node(Node.objects.get(name="n1")).get(URL).status_code == 403


@pytest.mark.parametrize("many", [1, 50])
def test_it_asks_the_database_the_same_however_many_there_are(
    vera: Client, network: Network, django_assert_num_queries: DjangoAssertNumQueries, many: int
) -> None:
    for number in range(many):
        ask(f"prod/svc/s{number}")
        ask(f"prod/svc/s{number}", "n2")
    with django_assert_num_queries(5):
        assert len(listed(vera)) == many
    with django_assert_num_queries(3):
        assert vera.get(f"{URL}prod/svc/s0/").status_code == 200


FULL = "failed to allocate for range 0: no IP addresses available in range set: 10.13.0.1-10.13.0.2"


def test_a_full_range_is_said_with_who_has_its_addresses_and_looked_at_once(
    vera: Client, network: Network, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    small = factories.a_network("small", "10.13.0.0/16", ips_per_node=4)
    n1 = Node.objects.get(name="n1")
    rows = [ask("prod/svc/web", resource=f"ip#{number}", network="small") for number in range(9)]
    said = [standing(row, state=FAILED, why=FULL) for row in rows]
    assert state(of_node(n1), *said).status_code == 204
    with CaptureQueriesContext(connection) as before:
        assert {one["why"] for one in listed(vera)["prod/svc/web"]["resources"]} == {FULL}
    factories.an_allocation(small, "10.13.0.2", n1, service="root/svc/db")
    full = f"{FULL}; 1 of the 1 addresses of 10.13.0.0/30 are in use, it is full: "
    full += "10.13.0.2 (root/svc/db on n1)"
    with django_assert_num_queries(len(before) + 2):
        shown = listed(vera)["prod/svc/web"]["resources"]
    assert {one["why"] for one in shown} == {full}
    assert vera.get(f"/api/v1/allocations/{rows[0].pk}/").json()["why"] == full
