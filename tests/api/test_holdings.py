"""/api/v1/nodes/NAME/holdings/: what a node must hold for services, and what it says of it."""

import time
from itertools import count
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from netaddr import IPAddress
from pytest_django import DjangoAssertNumQueries

from networks import membership
from networks.models import Address, Allocation, HostPort, Network, State
from nodes import holdings
from nodes.models import Event, Node
from tests import factories
from tests.conftest import Client, of_node
from workers import holdings as wire
from workers.holdings import ATTACHED, BROKEN, FAILED, RELEASING, WAITING, Standing

URL = "/api/v1/nodes/n1/holdings/"
SEQUENCE = count(1)


def wanted(network: Network, resource: str = "ip#0", address: str = "", **columns: Any) -> Allocation:
    """What a service on n1 asked for: it is part of a new version."""
    node = Node.objects.get(name="n1")
    row = factories.an_allocation(network, address, node, resource=resource)
    return again(row, **{"state": State.REQUESTED, "interface": "eth12", **columns})


def again(row: Allocation, **columns: Any) -> Allocation:
    """The row changed, as a new version."""
    assert row.node is not None
    version = holdings.changed([row.node.pk])[row.node.pk]
    Allocation.objects.filter(pk=row.pk).update(version=version, **columns)
    row.refresh_from_db()
    return row


def standing(row: Allocation, *addresses: str, state: str = ATTACHED, **said: Any) -> Standing:
    return Standing(row.uuid.hex, state, addresses, **said)


def state(
    client: Client, *standings: Standing, version: int = -1, sequence: int = 0, node: str = "n1"
) -> Any:
    """Send what the node holds as of its newest version, after all that it said before."""
    if version < 0:
        version = Node.objects.get(name=node).holdings
    said = wire.Statement(node, version, sequence or next(SEQUENCE), standings)
    return client.post(f"/api/v1/nodes/{node}/holdings/", wire.dump(said), content_type="application/json")


def addresses(row: Allocation) -> list[str]:
    return [str(held.address) for held in row.addresses.order_by("address")]


def test_it_lists_what_services_asked_for_under_its_version(n1: Client, network: Network) -> None:
    row = wanted(
        network, "ip#0", "10.11.0.9", netns="docker:web", wanted=["10.11.0.9"], expose=["443/tcp:8443"]
    )
    again(wanted(network, "ip#1"), state=State.RELEASING)
    factories.reported("n1", leases=(factories.a_lease(),))
    response = n1.get(URL)
    assert response.status_code == 200
    held = wire.parse(response.content)
    assert response["ETag"] == f'"{held.version}"'
    assert held == wire.Holdings(
        "n1",
        Node.objects.get(name="n1").holdings,
        (
            wire.Attachment(
                row.uuid.hex, "backend1", "root/svc/web", "ip#0", "docker:web", "eth12", ("10.11.0.9",),
                (wire.Port(443, "tcp", 8443),),
            ),
        ),
    )  # fmt: skip


def test_unchanged_they_cost_one_query(
    n1: Client, network: Network, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    wanted(network)
    version = n1.get(URL)["ETag"]
    with django_assert_num_queries(1):
        response = n1.get(URL, HTTP_IF_NONE_MATCH=version)
    assert (response.status_code, response.content, response["ETag"]) == (304, b"", version)


def test_the_documents_answer_tells_their_version_for_no_query_more(
    n1: Client, network: Network, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    desired = n1.get("/api/v1/nodes/n1/desired/")
    assert desired[wire.HEADER] == "0"
    wanted(network)
    with django_assert_num_queries(1):
        response = n1.get("/api/v1/nodes/n1/desired/", HTTP_IF_NONE_MATCH=desired["ETag"])
    assert response.status_code == 304
    assert response[wire.HEADER] == str(Node.objects.get(name="n1").holdings) != "0"


@pytest.mark.parametrize("many", [1, 30])
def test_they_cost_the_same_however_many_there_are(
    n1: Client, network: Network, django_assert_num_queries: DjangoAssertNumQueries, many: int
) -> None:
    for number in range(many):
        wanted(network, f"ip#{number}")
    with django_assert_num_queries(3):
        assert len(wire.parse(n1.get(URL).content).attachments) == many


def test_a_version_is_never_used_twice(nodes: list[Node]) -> None:
    """Not by a node that was removed and added again: its worker may still have the older holdings."""
    first = holdings.changed([nodes[0].pk])[nodes[0].pk]
    membership.remove("n1", by="ada")
    back = factories.a_node("n1")
    assert holdings.changed([back.pk])[back.pk] > first


def test_what_is_attached_has_its_address(n1: Client, network: Network) -> None:
    row = wanted(network)
    said = standing(row, "10.11.0.2", netns="/run/netns/web", mac="0a:58:0a:0b:00:02")
    assert state(n1, said).status_code == 204
    row.refresh_from_db()
    assert (row.state, row.healthy, row.why) == (State.ATTACHED, True, "")
    assert (row.container, row.mac) == ("/run/netns/web", "0a:58:0a:0b:00:02")
    assert addresses(row) == ["10.11.0.2"]
    event = Event.objects.first()
    assert event is not None
    assert (event.actor, event.verb, event.kind, event.name) == (
        "node n1",
        "attached",
        "service",
        "root/svc/web",
    )
    assert event.after == {"resource": "ip#0", "network": "backend1", "addresses": ["10.11.0.2"]}


@pytest.mark.parametrize(
    ("said", "then", "healthy"),
    [(WAITING, "requested", True), (FAILED, "requested", False), (BROKEN, "attached", False)],
)
def test_what_is_not_well_says_why(n1: Client, network: Network, said: str, then: str, healthy: bool) -> None:
    row = wanted(network)
    state(n1, standing(row, state=said, why="no container web is up", remedy="Start it"))
    row.refresh_from_db()
    assert (row.state, row.healthy, row.why, row.remedy) == (
        then,
        healthy,
        "no container web is up",
        "Start it",
    )


def test_an_event_tells_of_a_change_and_not_of_every_statement(n1: Client, network: Network) -> None:
    row = wanted(network)
    well, ill = standing(row, "10.11.0.2"), standing(row, "10.11.0.2", state=BROKEN, why="no route")
    failed = standing(row, state=FAILED, why="the plugin says no")
    for said in (well, well, ill, ill, well, failed, failed, well):
        state(n1, said)
    verbs = list(Event.objects.filter(kind="service").order_by("pk").values_list("verb", flat=True))
    assert verbs == ["attached", "broken", "attached", "detached", "attached"]


def test_an_address_is_released_only_when_it_is_detached(n1: Client, network: Network) -> None:
    row = wanted(network)
    state(n1, standing(row, "10.11.0.2"))
    before = Node.objects.get(name="n1").holdings
    HostPort.objects.create(node=row.node, allocation=row, protocol="tcp", port=8443)
    again(row, state=State.RELEASING)
    state(n1, version=before)
    assert addresses(row) == ["10.11.0.2"]
    state(n1, standing(row, state=RELEASING, why="the plugin says no"))
    row.refresh_from_db()
    assert (row.state, row.why, addresses(row)) == (State.RELEASING, "the plugin says no", ["10.11.0.2"])
    state(n1)
    assert not Allocation.objects.exists()
    assert not Address.objects.exists()
    assert not HostPort.objects.exists()
    event = Event.objects.first()
    assert event is not None
    assert (event.verb, event.before["addresses"]) == ("released", ["10.11.0.2"])


def test_one_that_comes_late_or_twice_changes_nothing(n1: Client, network: Network) -> None:
    row = wanted(network)
    state(n1, standing(row, "10.11.0.2"), sequence=1000)
    state(n1, standing(row, "10.11.0.3"), sequence=2000)
    for sequence in (1000, 2000, 1500):
        assert state(n1, sequence=sequence).status_code == 204
        assert addresses(row) == ["10.11.0.3"]


def test_a_node_whose_clock_is_put_right_is_heard(n1: Client, network: Network) -> None:
    row = wanted(network)
    now = time.time_ns()
    state(n1, standing(row, "10.11.0.2"), sequence=now + 3600 * 10**9)
    state(n1, standing(row, "10.11.0.3"), sequence=now)
    assert addresses(row) == ["10.11.0.3"]
    state(n1, standing(row, "10.11.0.4"), sequence=now - 1)
    assert addresses(row) == ["10.11.0.3"]


def test_what_was_asked_for_since_is_not_taken_for_gone(n1: Client, network: Network) -> None:
    """The node stated before it heard of it."""
    old = Node.objects.get(name="n1").holdings
    row = wanted(network, address="10.11.0.9", wanted=["10.11.0.9"])
    state(n1, version=old)
    assert addresses(row) == ["10.11.0.9"]
    again(row, state=State.RELEASING)
    state(n1, version=row.version - 1)
    assert Allocation.objects.filter(pk=row.pk).exists()


def test_what_is_listed_no_more_is_not_attached(n1: Client, network: Network) -> None:
    row = wanted(network, wanted=["10.11.0.9"], address="10.11.0.9")
    state(n1, standing(row, "10.11.0.9", netns="/run/netns/web"))
    state(n1)
    row.refresh_from_db()
    assert (row.state, row.container, addresses(row)) == (State.REQUESTED, "", ["10.11.0.9"])


def test_a_lease_that_was_taken_for_a_containers_gives_way(n1: Client, network: Network) -> None:
    """The report with the lease may come before the statement, and before the control plane knew whose."""
    factories.reported("n1", leases=(factories.a_lease(address="10.11.0.2", container="other"),))
    row = wanted(network)
    state(n1, standing(row, "10.11.0.2"))
    assert [held.allocation_id for held in Address.objects.all()] == [row.pk]
    assert Allocation.objects.count() == 1


def test_the_lease_of_a_service_makes_no_second_row(n1: Client, network: Network) -> None:
    row = wanted(network)
    lease = factories.a_lease(address="10.11.0.2", container=row.uuid.hex, interface="eth12")
    factories.reported("n1", leases=(lease,))
    state(n1, standing(row, "10.11.0.2"))
    factories.reported("n1", leases=(lease,))
    assert Allocation.objects.count() == Address.objects.count() == 1


def test_addresses_that_two_exchange_change_hands(n1: Client, network: Network) -> None:
    a, b = wanted(network, "ip#0"), wanted(network, "ip#1")
    state(n1, standing(a, "10.11.0.2"), standing(b, "10.11.0.3"))
    state(n1, standing(a, "10.11.0.3"), standing(b, "10.11.0.2"))
    assert (addresses(a), addresses(b)) == (["10.11.0.3"], ["10.11.0.2"])
    state(n1, standing(a, "10.11.0.2"))
    assert (addresses(a), addresses(b)) == (["10.11.0.2"], [])


def test_an_address_of_somebody_else_is_not_taken(n1: Client, network: Network, nodes: list[Node]) -> None:
    """A segment that was moved: the service on its old node still has it."""
    theirs = factories.an_allocation(network, "10.11.0.2", nodes[1], service="root/svc/db")
    row = wanted(network)
    state(n1, standing(row, "10.11.0.2"))
    row.refresh_from_db()
    assert (addresses(theirs), addresses(row)) == (["10.11.0.2"], [])
    assert not row.healthy
    assert row.why == "10.11.0.2 belongs to root/svc/db ip#0 in backend1"
    before = Node.objects.get(name="n1").holdings
    again(theirs, state=State.RELEASING)
    state(of_node(nodes[1]), node="n2")
    assert Node.objects.get(name="n1").holdings > before
    state(n1, standing(row, "10.11.0.2"))
    row.refresh_from_db()
    assert (addresses(row), row.healthy, row.why) == (["10.11.0.2"], True, "")


def test_a_node_that_was_refused_an_address_is_told_when_its_reservation_ends(
    n1: Client, network: Network, oscar: Client
) -> None:
    kept = oscar.post("/api/v1/networks/backend1/available-ips/", {"address": "10.11.200.2"}).json()
    row = wanted(network)
    state(n1, standing(row, "10.11.200.2"))
    row.refresh_from_db()
    assert row.why == "10.11.200.2 belongs to reserved in backend1"
    before = Node.objects.get(name="n1").holdings
    oscar.delete(f"/api/v1/allocations/{kept['id']}/")
    assert Node.objects.get(name="n1").holdings > before


def test_so_is_one_that_was_refused_the_address_of_one_family(n1: Client, nodes: list[Node]) -> None:
    network = factories.a_network(network="10.11.0.0/16 fd11::/48", mask_per_node="22 64")
    theirs = factories.an_allocation(network, "10.11.0.2", nodes[1], service="root/svc/db")
    row, well = wanted(network, "ip#0"), wanted(network, "ip#1")
    state(n1, standing(row, "10.11.0.2", "fd11::2"), standing(well, "10.11.0.3", "fd11::3", state=BROKEN))
    assert addresses(row) == ["fd11::2"]
    before = Node.objects.get(name="n1").holdings
    again(theirs, state=State.RELEASING)
    state(of_node(nodes[1]), node="n2")
    assert Node.objects.get(name="n1").holdings > before


def test_an_attachment_that_only_fails_its_check_is_not_told_of_free_addresses(
    n1: Client, network: Network, nodes: list[Node]
) -> None:
    state(n1, standing(wanted(network), "10.11.0.2", state=BROKEN))
    theirs = factories.an_allocation(network, "10.11.4.2", nodes[1], service="root/svc/db")
    before = Node.objects.get(name="n1").holdings
    again(theirs, state=State.RELEASING)
    state(of_node(nodes[1]), node="n2")
    assert Node.objects.get(name="n1").holdings == before


def test_an_address_that_two_claim_at_once_goes_to_one(n1: Client, network: Network) -> None:
    a, b = wanted(network, "ip#0"), wanted(network, "ip#1")
    assert state(n1, standing(a, "10.11.0.2"), standing(b, "10.11.0.2")).status_code == 204
    assert [addresses(a), addresses(b)] == [["10.11.0.2"], []]
    b.refresh_from_db()
    assert not b.healthy


def test_a_container_of_another_node_gives_way_in_a_segment_that_moved(
    n1: Client, network: Network, nodes: list[Node]
) -> None:
    def container(address: str) -> Allocation:
        held = Allocation.objects.create(
            network=network, node=nodes[1], container="c1", state=State.ATTACHED, learnt="store"
        )
        locality = network.locality(nodes[1])
        held.addresses.create(network=network, address=IPAddress(address), locality=locality)
        return held

    inside, outside = container("10.11.0.2"), container("10.11.4.2")
    row, other = wanted(network, "ip#0"), wanted(network, "ip#1")
    state(n1, standing(row, "10.11.0.2"), standing(other, "10.11.4.2"))
    assert (addresses(row), addresses(other)) == (["10.11.0.2"], [])
    assert not Allocation.objects.filter(pk=inside.pk).exists()
    assert addresses(outside) == ["10.11.4.2"]


def test_of_a_version_that_there_never_was_it_is_ignored_and_the_node_looks_again(
    n1: Client, network: Network
) -> None:
    """An older copy of the database was put back."""
    row = wanted(network)
    state(n1, standing(row, "10.11.0.2"))
    state(n1, version=row.version + 1)
    assert addresses(row) == ["10.11.0.2"]
    assert Node.objects.get(name="n1").holdings > row.version + 1


def test_a_local_bridge_has_the_same_addresses_on_each_node(n1: Client, nodes: list[Node]) -> None:
    local = factories.a_network("local1", "10.10.10.0/24", "bridge")
    theirs = factories.an_allocation(local, "10.10.10.2", nodes[1])
    row = wanted(local)
    state(n1, standing(row, "10.10.10.2"))
    assert addresses(row) == addresses(theirs) == ["10.10.10.2"]


def test_both_families_are_one_allocation(n1: Client, nodes: list[Node]) -> None:
    six = factories.a_network(network="10.11.0.0/16 fd11::/48", mask_per_node="22 64")
    row = wanted(six)
    state(n1, standing(row, "10.11.0.2", "fd11::2"))
    assert addresses(row) == ["10.11.0.2", "fd11::2"]


def test_a_removed_node_is_told_that_it_is_gone(n1: Client) -> None:
    membership.remove("n1", by="ada")
    assert n1.get(URL).status_code == 410
    assert (
        n1.post(URL, wire.dump(wire.Statement("n1", 0, 1)), content_type="application/json").status_code
        == 410
    )


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"[]", "format"),
        (wire.dump(wire.Statement("n2", 0, 1)), "node"),
        (wire.dump(wire.Statement("n1", 0, 1, (Standing("x", "well"),))), "state"),
        (wire.dump(wire.Statement("n1", 0, 1, declined=(wire.Declined("x", "c1"),))), "id"),
    ],
)
def test_what_is_no_statement_is_refused_by_its_field(n1: Client, body: bytes, field: str) -> None:
    response = n1.post(URL, body, content_type="application/json")
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == field


def test_what_is_no_address_is_refused_and_nothing_is_taken(n1: Client, network: Network) -> None:
    row, other = wanted(network, "ip#0"), wanted(network, "ip#1")
    response = state(n1, standing(row, "10.11.0.2"), standing(other, "ten"))
    assert response.status_code == 400
    assert "addresses=ten: is not an address" in response.json()["detail"]
    assert addresses(row) == []


def test_one_address_in_two_ways_of_writing_is_one(n1: Client, network: Network) -> None:
    row = wanted(network)
    assert state(n1, standing(row, "10.11.0.2", "::ffff:10.11.0.2")).status_code == 204
    assert addresses(row) == ["10.11.0.2"]


def test_numbers_below_zero_and_long_texts_are_no_harm(n1: Client, network: Network) -> None:
    row = wanted(network)
    assert state(n1, version=-5, sequence=-1).status_code == 204
    said = standing(row, "10.11.0.2", netns="x" * 3000, mac="y" * 3000, why="z" * 3000, remedy="a" * 3000)
    assert state(n1, said).status_code == 204
    assert addresses(row) == ["10.11.0.2"]


def test_it_costs_the_same_however_many_attachments_there_are(n1: Client, network: Network) -> None:
    costs = []
    for turn, many in enumerate((1, 40)):
        rows = [wanted(network, f"ip#{turn}{number}") for number in range(many)]
        said = [standing(row, f"10.11.{turn}.{place + 10}") for place, row in enumerate(rows)]
        with CaptureQueriesContext(connection) as queries:
            assert state(n1, *said).status_code == 204
        costs.append(len(queries))
        Allocation.objects.all().delete()
    assert costs[0] == costs[1]


def test_what_is_reserved_is_held_and_may_be_declined(n1: Client, network: Network, oscar: Client) -> None:
    oscar.post("/api/v1/networks/backend1/available-ips/", {"address": "10.11.0.9"})
    held = wire.parse(n1.get(URL).content)
    [kept] = held.reservations
    assert (kept.network, kept.address, held.version) == (
        "backend1",
        "10.11.0.9",
        Node.objects.get(name="n1").holdings,
    )
    said = wire.Statement("n1", held.version, next(SEQUENCE), declined=(wire.Declined(kept.id, "c1"),))
    assert n1.post(URL, wire.dump(said), content_type="application/json").status_code == 204
    assert Allocation.objects.get().why == "c1 has it on n1"
