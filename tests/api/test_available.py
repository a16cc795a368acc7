"""/api/v1/networks/NAME/available-ips/: what is free, and keeping it."""

from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from networks import membership, reservations
from networks.models import Address, Allocation, Network
from nodes.models import Event, Node
from tests import factories
from tests.conftest import Client
from workers.holdings import Declined, Reservation

ALLOCATIONS = "/api/v1/allocations/"


def url(network: str = "backend1", what: str = "available-ips") -> str:
    return f"/api/v1/networks/{network}/{what}/"


@pytest.fixture
def backend1(nodes: list[Node]) -> Network:
    """n1 10.11.0.0/22, n2 10.11.4.0/22, n3 10.11.8.0/22, n4 10.11.12.0/22."""
    return factories.a_network()


def kept(client: Client, body: Any, network: str = "backend1") -> Any:
    response = client.post(url(network), body)
    assert response.status_code == 201, response.json()
    return response.json()


def fault(client: Client, body: Any, network: str = "backend1", status: int = 400) -> dict[str, str]:
    """The first thing that is wrong."""
    response = client.post(url(network), body)
    assert response.status_code == status, response.json()
    first: dict[str, str] = response.json()["errors"][0]
    return first


def lines(node: str) -> list[tuple[str, str]]:
    held = reservations.of_node(Node.objects.get(name=node))
    return sorted((one.network, one.address) for one in held)


def test_any_one_is_the_highest_of_a_node(oscar: Client, vera: Client, backend1: Network) -> None:
    shown = kept(oscar, {"node": "n2", "hostname": "nas", "comment": "in rack 4", "service": "storage"})
    assert vera.get(f"{ALLOCATIONS}?state=reserved").json()["results"] == [shown]
    assert (shown["addresses"], shown["node"], shown["state"]) == (["10.11.7.254"], "n2", "reserved")
    assert (shown["hostname"], shown["comment"], shown["service"]) == ("nas", "in rack 4", "storage")


def test_the_nodes_take_turns_when_none_is_named(oscar: Client, backend1: Network) -> None:
    addresses = [kept(oscar, {})["addresses"][0] for _ in range(5)]
    assert addresses == ["10.11.3.254", "10.11.7.254", "10.11.11.254", "10.11.15.254", "10.11.3.253"]


def test_many_come_in_shares_of_the_nodes(oscar: Client, backend1: Network) -> None:
    shown = kept(oscar, {"count": 1000})
    assert len({row["addresses"][0] for row in shown}) == 1000
    assert [sum(row["node"] == f"n{n}" for row in shown) for n in (1, 2, 3, 4)] == [250] * 4


def test_a_count_of_one_is_answered_with_a_list(oscar: Client, backend1: Network) -> None:
    assert len(kept(oscar, {"count": 1})) == 1


def test_named_ones_and_any_in_one_request_keep_their_order(oscar: Client, backend1: Network) -> None:
    wishes = [
        {"node": "n1"},
        {"address": "10.11.3.254"},
        {"node": "n1", "count": 2},
        {"address": "10.11.9.9"},
    ]
    shown = kept(oscar, wishes)
    assert [row["addresses"][0] for row in shown] == [
        "10.11.3.253", "10.11.3.254", "10.11.3.252", "10.11.3.251", "10.11.9.9"
    ]  # fmt: skip
    assert [row["node"] for row in shown] == ["n1", "n1", "n1", "n1", "n3"]
    assert [row["wanted"] for row in shown] == [[], ["10.11.3.254"], [], [], ["10.11.9.9"]]


def test_both_families_have_their_own_order(oscar: Client, nodes: list[Node]) -> None:
    factories.a_network("six", "10.12.0.0/16 fd12::/48", mask_per_node="24 64")
    assert kept(oscar, {"node": "n1"}, "six")["addresses"] == ["10.12.0.254"]
    assert kept(oscar, {"node": "n1", "family": 6}, "six")["addresses"] == ["fd12::ffff:ffff:ffff:ffff"]
    assert kept(oscar, {"address": "fd12:0:0:1::7"}, "six")["node"] == "n2"
    assert kept(oscar, {"node": "n1"}, "six")["addresses"] == ["10.12.0.253"]


def test_a_local_bridge_has_the_same_address_once_on_each_node(oscar: Client, nodes: list[Node]) -> None:
    factories.a_network("local1", "10.10.10.0/24", "bridge", per_node={"n2": {"network": "10.10.11.0/24"}})
    assert kept(oscar, {"address": "10.10.10.9", "node": "n1"}, "local1")["node"] == "n1"
    assert kept(oscar, {"address": "10.10.10.9", "node": "n3"}, "local1")["node"] == "n3"
    assert kept(oscar, {"node": "n2"}, "local1")["addresses"] == ["10.10.11.254"]
    assert "n1" in fault(oscar, {"address": "10.10.10.9", "node": "n1"}, "local1", 409)["why"]
    assert lines("n1") == [("local1", "10.10.10.9")]


def test_an_address_that_is_given_back_is_kept_again_last(oscar: Client, nodes: list[Node]) -> None:
    factories.a_network(network="10.11.0.0/16", mask_per_node="29")
    first = kept(oscar, {"node": "n1"})
    assert oscar.post(url(what="release-ips"), {"ids": [first["id"]]}).status_code == 204
    order = [kept(oscar, {"node": "n1"})["addresses"][0] for _ in range(5)]
    assert order == ["10.11.0.5", "10.11.0.4", "10.11.0.3", "10.11.0.2", "10.11.0.6"]


def test_it_goes_round_what_is_in_use(oscar: Client, backend1: Network) -> None:
    leases = [factories.a_lease(address=f"10.11.3.{n}", container=f"c{n}") for n in range(100, 255)]
    factories.reported("n1", leases=tuple(leases))
    assert kept(oscar, {"node": "n1"})["addresses"] == ["10.11.3.99"]


def test_a_full_segment_says_how_full_and_who_has_it(oscar: Client, nodes: list[Node]) -> None:
    factories.a_network(network="10.11.0.0/16", mask_per_node="29")
    leases = (factories.a_lease(address="10.11.0.2", container="c" * 40),)
    factories.reported("n1", leases=leases)
    kept(oscar, {"node": "n1", "count": 3, "comment": "the printers"})
    said = fault(oscar, {"node": "n1", "count": 2}, status=409)
    assert said["field"] == "count"
    assert said["why"] == (
        "1 of 2 are free in backend1 on n1: 4 are in use, by 10.11.0.2 (cccccccccccc on n1), "
        "10.11.0.4 (reserved for the printers on n1), 10.11.0.5 (reserved for the printers on n1) and 1 more"
    )
    assert "ips_per_node" in said["remedy"]
    assert kept(oscar, {"node": "n1"})["addresses"] == ["10.11.0.3"], "nothing of a refused request is kept"


def test_any_node_means_one_that_has_room(oscar: Client, nodes: list[Node]) -> None:
    factories.a_network(network="10.11.0.0/16", mask_per_node="29")
    for node in ("n1", "n2", "n4"):
        kept(oscar, {"node": node, "count": 5})
    assert [row["node"] for row in kept(oscar, {"count": 5})] == ["n3"] * 5
    assert "20 are in use" in fault(oscar, {}, status=409)["why"]


def test_a_node_among_many_that_are_full_is_found_without_a_look_at_each(
    oscar: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(1, 61):
        factories.a_node(f"n{number}", addresses=[f"192.0.2.{number}"])
    factories.a_network(network="10.11.0.0/16", mask_per_node="30")
    shown = kept(oscar, {"count": 60})
    oscar.post(url(what="release-ips"), {"ids": [shown[30]["id"]]})
    with django_assert_max_num_queries(70):
        assert kept(oscar, {})["addresses"] == shown[30]["addresses"]


@pytest.fixture
def n8_has_more(db: None) -> Network:
    """n8 10.11.128.0/24; n1 10.11.0.0/30, n2 10.11.0.4/30 and so on, with one address for containers each."""
    for number in range(1, 9):
        factories.a_node(f"n{number}")
    return factories.a_network(ips_per_node=4, per_node={"n8": {"subnet": "10.11.128.0/24"}})


def test_a_node_with_a_larger_part_has_room_when_the_others_are_full(
    oscar: Client, n8_has_more: Network
) -> None:
    found = [kept(oscar, {})["node"] for _ in range(10)]
    assert found == [*(f"n{number}" for number in range(1, 9)), "n8", "n8"]
    assert oscar.get(url()).json()[0] == {"address": "10.11.128.251", "node": "n8"}
    assert len(kept(oscar, {"count": 250})) == 250
    assert "none of 1 are free" in fault(oscar, {}, status=409)["why"]


def test_only_what_is_in_use_of_its_part_fills_a_node(oscar: Client, n8_has_more: Network) -> None:
    """A container that was started before its node's part moved keeps its address."""
    for number in range(1, 7):
        kept(oscar, {"node": f"n{number}"})
    kept(oscar, {"node": "n8", "count": 253})
    factories.an_allocation(n8_has_more, "10.11.64.9", Node.objects.get(name="n7"))
    assert kept(oscar, {})["addresses"] == ["10.11.0.26"]


@pytest.mark.parametrize(
    ("body", "field", "why"),
    [
        ({"address": "10.12.0.1"}, "address", "is outside of backend1"),
        ({"address": "ten"}, "address", "is no IP address"),
        ({"address": "10.11.4.1"}, "address", "is the bridge's address"),
        ({"address": "10.11.4.0"}, "address", "is the address of the network itself (10.11.4.0/22)"),
        ({"address": "10.11.7.255"}, "address", "is the broadcast address"),
        ({"address": "10.11.4.9", "node": "n1"}, "address", "is in 10.11.4.0/22, which is n2's part"),
        ({"address": "10.11.200.9", "node": "n1"}, "address", "is in 10.11.200.0/22, which no node has yet"),
        ({"address": "10.11.4.9", "count": 2}, "count", "of the one address 10.11.4.9 there is one"),
        ({"count": 0}, "count", "is no number of addresses"),
        ({"count": 10_001}, "count", "is more than one request may have"),
        ({"count": "many"}, "count", "A valid integer is required"),
        ({"family": 5}, "family", "is no family"),
        ({"address": "10.11.4.9", "family": 6}, "family", "is not the family of the address 10.11.4.9"),
        ({"address": "fd11::9", "family": 4}, "family", "is not the family of the address fd11::9"),
        ({"family": 6}, "family", "backend1 has no addresses of"),
        ({"comment": "x" * 300}, "comment", "is longer than 255"),
        ({"address": "10.11.4.9", "adress": "x"}, "adress", "is no field"),
        ([], "body", "wishes for no address"),
        ([{}, {"address": "10.11.4.1"}], "[1].address", "is the bridge's address"),
        ([{"address": "10.11.4.9"}, {"address": "10.11.4.9"}], "[1].address", "is named twice"),
        ("n1", "body", "Invalid data"),
    ],
)
def test_it_refuses_what_cannot_be_kept(
    oscar: Client, backend1: Network, body: Any, field: str, why: str
) -> None:
    said = fault(oscar, body)
    assert said["field"] == field
    assert why in said["why"]
    assert said["remedy"]
    assert not Allocation.objects.exists()


def test_a_family_that_it_has_not_is_refused_without_any_node(oscar: Client, db: None) -> None:
    factories.a_network()
    assert "backend1 has no addresses of" in fault(oscar, {"family": 6})["why"]
    assert "none of 1 are free" in fault(oscar, {}, status=409)["why"]


def test_one_family_may_go_further_than_the_other(oscar: Client, nodes: list[Node]) -> None:
    """No node ever gets a segment there; so nobody else has what is kept."""
    factories.a_network("dual", "10.12.0.0/16 fd12::/48")
    assert kept(oscar, {"address": "fd12:0:0:ffff::9"}, "dual")["node"] is None


def test_a_refusal_names_some_of_many_nodes(oscar: Client, backend1: Network) -> None:
    Node.objects.bulk_create(Node(name=f"m{number}", position=number + 9) for number in range(30))
    assert fault(oscar, {"node": "x"}, status=404)["remedy"].endswith(", m26 and 14 more")


def test_an_unknown_node_or_network_is_missing(oscar: Client, backend1: Network) -> None:
    assert "n1" in fault(oscar, {"node": "n9"}, status=404)["remedy"]
    assert "backend1" in fault(oscar, {}, "backend9", 404)["remedy"]


@pytest.mark.parametrize(
    ("network", "why"),
    [
        (("weave1", "10.32.0.0/12", "weave"), "weave hands its addresses out itself"),
        (("local1", "10.10.10.0/24", "bridge"), "is missing: local1 has the same addresses on each node"),
    ],
)
def test_it_says_why_a_network_has_none_to_keep(
    oscar: Client, nodes: list[Node], network: tuple[str, str, str], why: str
) -> None:
    factories.a_network(*network)
    assert why in fault(oscar, {}, network[0])["why"]


def test_a_template_needs_our_store(oscar: Client, nodes: list[Node]) -> None:
    ours = (
        '{"cniVersion":"1.0.0","plugins":[{"type":"ptp","ipam":{"type":"host-local","dataDir":"{{store}}"}}]}'
    )
    others = '{"cniVersion":"1.0.0","plugins":[{"type":"macvlan","ipam":{"type":"dhcp"}}]}'
    factories.a_network("direct", "10.13.0.0/24", "cni", template=ours)
    factories.a_network("shared", "10.14.0.0/24", "cni", template=others)
    assert kept(oscar, {"node": "n1"}, "direct")["addresses"] == ["10.13.0.254"]
    assert "another store" in fault(oscar, {"node": "n1"}, "shared")["why"]


def test_neither_has_the_loopback_nor_what_is_switched_off(oscar: Client, nodes: list[Node]) -> None:
    assert "it has one address" in fault(oscar, {}, "lo")["why"]
    oscar.patch("/api/v1/networks/default/", {"network": "none"})
    assert "has no range" in fault(oscar, {}, "default")["why"]


def test_one_that_somebody_has_is_refused_with_his_name(oscar: Client, backend1: Network) -> None:
    factories.an_allocation(backend1, "10.11.4.9", Node.objects.get(name="n2"), service="root/svc/web")
    said = fault(oscar, [{"address": "10.11.4.10"}, {"address": "10.11.4.9"}], status=409)
    assert said["field"] == "[1].address"
    assert said["why"] == "is not free: root/svc/web on n2"
    assert Allocation.objects.count() == 1


def test_viewers_read_and_operators_keep(vera: Client, oscar: Client, backend1: Network) -> None:
    assert vera.post(url(), {}).status_code == 403
    assert vera.post(url(what="release-ips"), {"ids": []}).status_code == 403
    shown = vera.get(f"{url()}?count=5").json()
    assert shown == [{"address": f"10.11.3.{n}", "node": "n1"} for n in (254, 253, 252, 251, 250)]
    assert vera.get(f"{url()}?node=n2&count=1").json() == [{"address": "10.11.7.254", "node": "n2"}]
    assert kept(oscar, {"count": 5})
    assert len(vera.get(url()).json()) == 10
    assert not Network.objects.filter(turn=0, name="backend1").exists()


@pytest.mark.parametrize("query", ["count=0", "count=1001", "count=x", "family=5x", "count=-1"])
def test_a_bad_query_is_refused(vera: Client, backend1: Network, query: str) -> None:
    response = vera.get(f"{url()}?{query}")
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == query.partition("=")[0]


def test_reading_what_is_free_keeps_nothing(vera: Client, backend1: Network) -> None:
    assert vera.get(url()).json() == vera.get(url()).json()
    assert not Address.objects.exists()


def test_reading_a_full_part_lists_what_is_left(oscar: Client, nodes: list[Node]) -> None:
    factories.a_network(network="10.11.0.0/16", mask_per_node="29")
    kept(oscar, {"node": "n1", "count": 4})
    assert [one["address"] for one in oscar.get(f"{url()}?node=n1").json()] == ["10.11.0.2"]
    kept(oscar, {"node": "n1"})
    assert oscar.get(f"{url()}?node=n1").json() == []


def test_many_are_given_back_by_address_or_id(oscar: Client, backend1: Network) -> None:
    rows = kept(oscar, {"node": "n1", "count": 6})
    addresses = [row["addresses"][0] for row in rows]
    before = Node.objects.get(name="n1").holdings
    assert oscar.post(url(what="release-ips"), {"addresses": addresses[:2]}).status_code == 204
    assert oscar.post(url(what="release-ips"), {"ids": [row["id"] for row in rows[2:5]]}).status_code == 204
    assert lines("n1") == [("backend1", addresses[5])]
    assert Node.objects.get(name="n1").holdings > before
    released = Event.objects.filter(verb="released").values_list("before", flat=True)
    assert list(released) == [
        {"addresses": ["10.11.3.250-10.11.3.252"]}, {"addresses": ["10.11.3.253-10.11.3.254"]}
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        ({}, 400, "one of the two is needed"),
        ({"ids": [1], "addresses": ["10.11.3.254"]}, 400, "one of the two is needed"),
        ({"ids": [0]}, 404, "is no allocation of backend1"),
        ({"ids": [2**63]}, 400, "less than or equal to"),
        ({"addresses": ["10.11.3.254"] * 10_001}, 400, "no more than 10000"),
        ({"addresses": ["10.11.9.9"]}, 404, "nobody has it in backend1"),
        ({"addresses": ["x"]}, 400, "is no IP address"),
        ({"addresses": ["10.11.3.254", "10.11.4.9"]}, 409, "is no reservation: root/svc/web on n2"),
    ],
)
def test_it_gives_back_all_or_nothing(
    oscar: Client, backend1: Network, body: Any, status: int, why: str
) -> None:
    kept(oscar, {"node": "n1"})
    factories.an_allocation(backend1, "10.11.4.9", Node.objects.get(name="n2"), service="root/svc/web")
    response = oscar.post(url(what="release-ips"), body)
    assert response.status_code == status
    assert why in response.json()["errors"][0]["why"]
    assert Allocation.objects.count() == 2


def test_one_that_was_changed_since_it_was_read_is_not_given_back(oscar: Client, backend1: Network) -> None:
    row = kept(oscar, {})
    url = f"{ALLOCATIONS}{row['id']}/"
    assert oscar.delete(url, headers={"If-Match": f'"{row["version"] - 1}"'}).status_code == 412
    assert oscar.delete(url, headers={"If-Match": f'"{row["version"]}"'}).status_code == 204


@pytest.mark.parametrize("ids", [[], [1]])
def test_of_a_network_that_is_not_there_nothing_is_given_back(
    oscar: Client, backend1: Network, ids: list[int]
) -> None:
    refused = oscar.post(url("backend9", "release-ips"), {"ids": ids})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (404, "network")
    assert "backend1" in refused.json()["errors"][0]["remedy"]
    assert oscar.post(url(what="release-ips"), {"ids": []}).status_code == 204


def test_an_id_of_another_network_is_not_given_back(oscar: Client, backend1: Network) -> None:
    factories.a_network("backend2", "10.12.0.0/16")
    row = kept(oscar, {}, "backend2")
    assert oscar.post(url(what="release-ips"), {"ids": [row["id"]]}).status_code == 404


def test_of_a_local_bridge_it_has_to_be_said_on_which_node(oscar: Client, nodes: list[Node]) -> None:
    factories.a_network("local1", "10.10.10.0/24", "bridge")
    for node in ("n1", "n2"):
        kept(oscar, {"address": "10.10.10.9", "node": node}, "local1")
    give_back = {"addresses": ["10.10.10.9"]}
    response = oscar.post(url("local1", "release-ips"), give_back)
    assert "in use on n1, n2" in response.json()["errors"][0]["why"]
    assert oscar.post(url("local1", "release-ips"), {**give_back, "node": "n2"}).status_code == 204
    assert (lines("n1"), lines("n2")) == ([("local1", "10.10.10.9")], [])


def test_it_is_an_event_with_ranges(oscar: Client, backend1: Network) -> None:
    kept(oscar, {"node": "n1", "count": 300, "comment": "lab"})
    event = Event.objects.get(verb="reserved")
    assert (event.actor, event.kind, event.name) == ("oscar", "network", "backend1")
    assert event.after == {"addresses": ["10.11.2.211-10.11.3.254"], "comment": "lab"}


def test_a_node_holds_what_is_reserved_in_its_part(oscar: Client, backend1: Network) -> None:
    before = Node.objects.get(name="n2").holdings
    row = kept(oscar, {"address": "10.11.4.9"})
    kept(oscar, {"address": "10.11.200.9"})
    held = Allocation.objects.get(pk=row["id"])
    assert reservations.of_node(Node.objects.get(name="n2")) == (
        Reservation(held.uuid.hex, "backend1", "10.11.4.9"),
    )
    assert Node.objects.get(name="n2").holdings == held.version > before


def test_a_node_that_gets_the_segment_later_holds_what_was_reserved_in_it(
    oscar: Client, backend1: Network
) -> None:
    assert kept(oscar, {"address": "10.11.16.9"})["node"] is None
    node = factories.a_node("n5")
    assert lines("n5") == [("backend1", "10.11.16.9")]
    assert Node.objects.get(pk=node.pk).holdings > 0
    membership.remove("n5", by="ada")
    assert Allocation.objects.get().node is None


def test_a_removed_node_leaves_reservations_of_its_segment_and_takes_those_of_a_local_bridge(
    oscar: Client, backend1: Network
) -> None:
    factories.a_network("local1", "10.10.10.0/24", "bridge")
    kept(oscar, {"address": "10.11.4.9"})
    kept(oscar, {"node": "n2"}, "local1")
    response = Client.delete(oscar, "/api/v1/nodes/n2/")
    assert response.status_code == 403
    membership.remove("n2", by="ada", force=True)
    assert [str(row.address) for row in Address.objects.all()] == ["10.11.4.9"]
    assert lines("n1") == []


def test_a_reservation_outside_of_a_range_that_was_forced_is_over(oscar: Client, backend1: Network) -> None:
    kept(oscar, [{"address": "10.11.4.9"}, {"address": "10.11.200.9"}])
    change = {"network": "10.11.0.0/17"}
    assert oscar.patch("/api/v1/networks/backend1/", change).status_code == 409
    assert oscar.patch("/api/v1/networks/backend1/?force=true", change).status_code == 200
    assert [str(row.address) for row in Address.objects.all()] == ["10.11.4.9"]


def test_one_space_of_addresses_that_becomes_one_per_node_takes_what_was_reserved(
    oscar: Client, nodes: list[Node]
) -> None:
    """And no address is handed out twice."""
    network = factories.a_network("x", "10.15.0.0/16")
    kept(oscar, {"address": "10.15.0.9"}, "x")
    service = factories.an_allocation(network, "10.15.0.2", nodes[0])
    assert oscar.patch("/api/v1/networks/x/", {"type": "bridge"}).status_code == 409
    assert oscar.patch("/api/v1/networks/x/?force=true", {"type": "bridge"}).status_code == 200
    assert list(Allocation.objects.all()) == [service]
    said = fault(oscar, {"address": "10.15.0.2", "node": "n1"}, "x", 409)
    assert said["why"] == "is not free: root/svc/web on n1"
    kept(oscar, {"address": "10.15.0.2", "node": "n2"}, "x")


def test_spaces_of_nodes_that_become_one_leave_an_address_to_the_first(
    oscar: Client, nodes: list[Node]
) -> None:
    network = factories.a_network("x", "10.15.0.0/16", "bridge")
    kept(oscar, {"address": "10.15.0.9", "node": "n1"}, "x")
    first, second = (factories.an_allocation(network, "10.15.0.2", node) for node in nodes[:2])
    before = Node.objects.get(name="n2").holdings
    assert oscar.patch("/api/v1/networks/x/?force=true", {"type": "routed_bridge"}).status_code == 200
    assert [held.allocation for held in Address.objects.all()] == [first]
    assert list(Allocation.objects.order_by("pk")) == [first, second]
    assert Node.objects.get(name="n2").holdings > before
    assert fault(oscar, {"address": "10.15.0.2"}, "x", 409)["why"] == "is not free: root/svc/web on n1"


def test_a_node_that_declines_says_who_has_the_address(oscar: Client, backend1: Network) -> None:
    row = kept(oscar, {"address": "10.11.4.9"})
    node = Node.objects.get(name="n2")
    said = Declined(Allocation.objects.get().uuid.hex, "c" * 64)
    for _ in range(2):
        reservations.take_in(node, (said,))
    shown = oscar.get(ALLOCATIONS).json()["results"][0]
    assert (shown["healthy"], shown["state"]) == (False, "reserved")
    assert shown["why"] == f"{'c' * 64} has it on n2"
    assert Event.objects.filter(actor="node n2", verb="declined").count() == 1
    reservations.take_in(node, ())
    shown = oscar.get(ALLOCATIONS).json()["results"][0]
    assert (shown["id"], shown["healthy"], shown["why"], shown["remedy"]) == (row["id"], True, "", "")


@pytest.mark.parametrize("many", [1, 30])
def test_what_is_declined_costs_the_same_however_many_there_are(
    oscar: Client, backend1: Network, django_assert_num_queries: DjangoAssertNumQueries, many: int
) -> None:
    kept(oscar, {"node": "n1", "count": many})
    declined = [Declined(row.uuid.hex, "c1") for row in Allocation.objects.all()]
    node = Node.objects.get(name="n1")
    with django_assert_num_queries(5):
        reservations.take_in(node, declined)
    assert Allocation.objects.filter(why="c1 has it on n1").count() == many
    with django_assert_num_queries(1):
        reservations.take_in(node, ())
    assert not Allocation.objects.filter(healthy=False).exists()


@pytest.mark.parametrize("many", [1, 30])
def test_it_asks_the_database_the_same_however_many_are_kept(
    oscar: Client, backend1: Network, django_assert_num_queries: DjangoAssertNumQueries, many: int
) -> None:
    with django_assert_num_queries(15):
        kept(oscar, {"node": "n1", "count": many})
