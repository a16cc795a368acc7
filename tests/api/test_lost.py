"""Leases whose container is gone, as the node tells them: shown, remembered, freed."""

import pytest

from networks.models import Allocation
from nodes.models import Event, Node
from tests import factories
from tests.conftest import Client
from workers.report import Lease

URL = "/api/v1/allocations/"


def lease(lost: bool = False) -> Lease:
    return Lease("backend1", "10.11.0.2", "c1", "eth0", lost)


@pytest.fixture
def seen(nodes: list[Node]) -> Allocation:
    factories.a_network()
    factories.reported("n1", leases=(lease(),))
    return Allocation.objects.get()


def verbs() -> list[str]:
    events = Event.objects.filter(actor="node n1", kind="network").order_by("pk")
    return list(events.values_list("verb", flat=True))


def test_it_is_shown_as_lost_with_what_becomes_of_it(vera: Client, seen: Allocation) -> None:
    factories.reported("n1", leases=(lease(lost=True),))
    [shown] = vera.get(f"{URL}?state=lost").json()["results"]
    assert (shown["id"], shown["addresses"], shown["container"]) == (seen.pk, ["10.11.0.2"], "c1")
    assert shown["why"] == "its container is gone, and it was not given back"
    assert "cluster.lease_grace" in shown["remedy"]


def test_each_step_is_remembered_once(vera: Client, seen: Allocation) -> None:
    for leases in ((lease(True),), (lease(True),), (lease(),), (lease(True),), ()):
        factories.reported("n1", leases=leases)
    assert verbs() == ["lost", "found", "lost", "freed"]
    assert Event.objects.get(verb="freed").before == {
        "addresses": ["10.11.0.2"],
        "container": "c1",
        "interface": "eth0",
    }
    assert not Allocation.objects.exists()


def test_one_that_is_given_back_as_it_should_be_is_not_remembered(seen: Allocation) -> None:
    factories.reported("n1", leases=())
    assert verbs() == []


def test_one_that_was_found_again_says_nothing_any_more(vera: Client, seen: Allocation) -> None:
    factories.reported("n1", leases=(lease(True),))
    factories.reported("n1", leases=(lease(),))
    [shown] = vera.get(URL).json()["results"]
    assert (shown["state"], shown["why"], shown["remedy"]) == ("attached", "", "")


def test_a_full_network_says_how_many_are_lost(oscar: Client, nodes: list[Node]) -> None:
    factories.a_network(network="10.11.0.0/16", mask_per_node="30")
    factories.reported("n1", leases=(lease(True),))
    response = oscar.post("/api/v1/networks/backend1/available-ips/", {"node": "n1"})
    assert response.status_code == 409
    [fault] = response.json()["errors"]
    assert "1 of them by containers that are gone" in fault["why"]
    assert "net ip check --release --network backend1" in fault["remedy"]
