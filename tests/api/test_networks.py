"""/api/v1/networks/: list, declare, change, replace, withdraw."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from networks.models import Network, Segment
from nodes.models import Event, Node
from tests import factories
from tests.conftest import Client
from workers.report import Interface

URL = "/api/v1/networks/"
BACKEND1 = {"name": "backend1", "type": "routed_bridge", "network": "10.11.0.0/16", "ips_per_node": 1024}


def one(name: str = "backend1") -> str:
    return f"{URL}{name}/"


def test_it_lists_what_is_always_there(vera: Client) -> None:
    shown = vera.get(URL).json()
    assert [network["name"] for network in shown["results"]] == ["default", "lo"]
    assert shown["count"] == 2


def test_it_declares_a_network_with_a_segment_per_node(oscar: Client, nodes: list[Node]) -> None:
    response = oscar.post(URL, BACKEND1)
    assert response.status_code == 201
    assert response["ETag"] == '"1"'
    shown = response.json()
    assert [(segment["node"], segment["subnet"]) for segment in shown["segments"]] == [
        ("n1", "10.11.0.0/22"), ("n2", "10.11.4.0/22"), ("n3", "10.11.8.0/22"), ("n4", "10.11.12.0/22"),
    ]  # fmt: skip
    assert shown["segments"][1]["address"] == "10.11.4.1/22"
    assert shown["device"] == "obr_backend1"
    assert (shown["size"], shown["used"], shown["free"], shown["pct"]) == ("65536", 0, "65536", "0.00%")
    assert shown["convergence"] == {"nodes": 4, "converged": 0}
    assert oscar.get(one()).json() == shown


def test_it_takes_every_keyword_and_gives_it_back(oscar: Client, nodes: list[Node]) -> None:
    given = {
        **BACKEND1,
        "network": "10.11.0.0/16 fd11::/48",
        "mask_per_node": "24 64",
        "nodes": ["n1", "n3"],
        "tunnel": "always",
        "tunnel_mode": "gre",
        "tables": ["main", "100"],
        "dev": "br0",
        "public": True,
        "mtu": 1400,
        "comment": "für alle",
        "tags": ["prod", "web"],
        "per_node": {
            "n3": {
                "subnet": "10.11.7.0/24 fd11:0:0:7::/64",
                "addr": "198.51.100.3",
                "gateway": "192.0.2.33",
            }
        },
    }
    shown = oscar.post(URL, given).json()
    assert {key: shown[key] for key in given} == given
    assert shown["device"] == "br0"
    assert shown["segments"][0]["subnet"] == "10.11.0.0/24 fd11::/64"
    assert shown["segments"][1]["addr"] == "198.51.100.3"


def test_it_gives_the_default_range_to_a_type_that_has_one(oscar: Client) -> None:
    assert oscar.post(URL, {"name": "weave1", "type": "weave"}).json()["network"] == "10.32.0.0/12"


def test_it_declares_several_at_once(oscar: Client, nodes: list[Node]) -> None:
    response = oscar.post(URL, [BACKEND1, {"name": "local1", "network": "10.10.10.0/24"}])
    assert response.status_code == 201
    assert [network["name"] for network in response.json()] == ["backend1", "local1"]


@pytest.mark.parametrize(
    ("second", "field"),
    [
        pytest.param({"name": "local1", "network": "10.11.7.0/24"}, "[1].network", id="a rule says no"),
        pytest.param({"name": "local1", "netwrok": "10.10.10.0/24"}, "[1].netwrok", id="no such keyword"),
        pytest.param({"network": "10.10.10.0/24"}, "[1].name", id="no name"),
        pytest.param("local1", "[1].body", id="no object"),
    ],
)
def test_it_declares_all_of_several_or_none(oscar: Client, second: object, field: str) -> None:
    response = oscar.post(URL, [BACKEND1, second])
    assert response.status_code == 400
    assert [fault["field"] for fault in response.json()["errors"]] == [field]
    assert not Network.objects.filter(name="backend1").exists()


def test_it_refuses_a_keyword_that_does_not_exist(oscar: Client) -> None:
    response = oscar.post(URL, {**BACKEND1, "ip_per_node": 512})
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"
    [fault] = response.json()["errors"]
    assert (fault["field"], fault["value"]) == ("ip_per_node", "512")
    assert "ips_per_node" in fault["why"]


def test_it_passes_over_what_is_only_read(oscar: Client, nodes: list[Node]) -> None:
    shown = oscar.post(URL, BACKEND1).json()
    response = oscar.put(one(), {**shown, "mtu": 1400})
    assert response.status_code == 200
    assert response.json()["mtu"] == 1400


def test_it_says_every_fault_with_field_value_and_remedy(oscar: Client) -> None:
    response = oscar.post(URL, {**BACKEND1, "network": "10.11.0.1/16", "mtu": 5, "tables": ["no table"]})
    assert response.status_code == 400
    faults = {fault["field"]: fault for fault in response.json()["errors"]}
    assert faults.keys() == {"network", "mtu", "tables"}
    assert faults["network"] == {
        "field": "network",
        "value": "10.11.0.1/16",
        "why": "has host bits set",
        "remedy": "Declare 10.11.0.0/16",
    }
    assert "network=10.11.0.1/16: has host bits set. Declare 10.11.0.0/16" in response.json()["detail"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"ips_per_node": "many"}, "ips_per_node"),
        ({"public": "perhaps"}, "public"),
        ({"tags": "web"}, "tags"),
        ({"tags": [{}]}, "tags[0]"),
        ({"nodes": "n1"}, "nodes"),
        ({"mtu": {}}, "mtu"),
        ({"per_node": []}, "per_node"),
        ({"per_node": {"n1": {"addrs": "192.0.2.1"}}}, "per_node.n1.addrs"),
        ({"comment": "nul \0"}, "comment"),
        ({"per_node": {"nul \0": {"addr": "192.0.2.1"}}}, "per_node"),
        ({"comment": "x" * 256}, "comment"),
        ({"tags": ["x" * 64]}, "tags"),
        ({"ips_per_node": 2**70, "network": "fd11::/32"}, "ips_per_node"),
        ({"network": "fd11::/32", "mask_per_node": "0" * 40 + "64"}, "mask_per_node"),
        ({"mtu": 2**40}, "mtu"),
        ({"dev": "a" * 16}, "dev"),
        ({"nodes": ["n9"]}, "nodes"),
        ({"per_node": {"n9": {"addr": "192.0.2.9"}}}, "addr"),
        ({"per_node": {"n1": {"addr": "192.0.2.1 " * 20}}}, "addr"),
        ({"tables": []}, "tables"),
        ({"tables": ["0"]}, "tables"),
        ({"name": "Backend"}, "name"),
        ({"name": "backend_long_name"}, "name"),
    ],
)
def test_it_refuses_naming_the_field(
    oscar: Client, nodes: list[Node], given: dict[str, Any], field: str
) -> None:
    response = oscar.post(URL, {**BACKEND1, **given})
    assert response.status_code == 400, response.content
    faults = response.json()["errors"]
    assert [fault["field"] for fault in faults] == [field]
    assert all(fault["why"] and fault["remedy"] for fault in faults)


@pytest.mark.parametrize(
    "body", ["{", "", "[1]", "null", "7", '"backend1"', '{"name": "a\\ud800"}', '{"\\ud800": 1}']
)
def test_it_refuses_a_body_that_is_no_network(oscar: Client, body: str) -> None:
    response = oscar.post(URL, body, content_type="application/json")
    assert response.status_code == 400, response.content
    assert response["Content-Type"] == "application/problem+json"


def test_it_refuses_a_name_that_is_taken(oscar: Client) -> None:
    oscar.post(URL, BACKEND1)
    response = oscar.post(URL, {**BACKEND1, "network": "10.12.0.0/16"})
    assert response.status_code == 409
    assert response.json()["errors"][0]["field"] == "name"
    assert Network.objects.get(name="backend1").network == "10.11.0.0/16"


def test_it_refuses_overlap_with_the_name_of_the_other(oscar: Client) -> None:
    response = oscar.post(URL, {**BACKEND1, "network": "10.22.0.0/17"})
    assert "overlaps 10.22.0.0/16 of network default" in response.json()["detail"]


def test_it_says_how_large_a_network_would_have_to_be(oscar: Client, nodes: list[Node]) -> None:
    response = oscar.post(URL, {**BACKEND1, "network": "10.11.0.0/21"})
    assert response.status_code == 400
    assert "Declare a network of /20 or larger" in response.json()["errors"][0]["remedy"]


def test_it_changes_what_is_given_and_keeps_the_rest(oscar: Client, nodes: list[Node]) -> None:
    before = oscar.post(URL, {**BACKEND1, "comment": "kept"}).json()
    response = oscar.patch(one(), {"mtu": 1400, "per_node": {"n2": {"addr": "198.51.100.2"}}})
    assert response.status_code == 200
    after = response.json()
    assert (after["mtu"], after["comment"], after["version"]) == (1400, "kept", 2)
    assert after["per_node"] == {"n2": {"addr": "198.51.100.2"}}
    assert [row["subnet"] for row in after["segments"]] == [row["subnet"] for row in before["segments"]]


def test_it_shows_the_mtu_that_its_nodes_carry_beside_the_declared_one(
    oscar: Client, nodes: list[Node]
) -> None:
    oscar.post(URL, {**BACKEND1, "tunnel": "always", "tunnel_mode": "vxlan"})
    assert oscar.get(one()).json()["effective_mtu"] is None
    eth0 = Interface("eth0", "", "", 1500, True, False, ("192.0.2.1/24",), 0, 0, 0, 0)
    factories.reported("n1", interfaces=(eth0,))
    shown = oscar.get(one()).json()
    assert (shown["mtu"], shown["effective_mtu"]) == (None, 1464)
    after = oscar.patch(one(), {"mtu": 1300}).json()
    assert (after["mtu"], after["effective_mtu"]) == (1300, 1300)


def test_it_takes_an_override_back(oscar: Client, nodes: list[Node]) -> None:
    oscar.post(URL, {**BACKEND1, "per_node": {"n2": {"addr": "198.51.100.2", "gateway": "192.0.2.22"}}})
    after = oscar.patch(one(), {"per_node": {"n2": {"addr": ""}}}).json()
    assert after["per_node"] == {"n2": {"gateway": "192.0.2.22"}}


def test_two_nodes_exchange_their_segments(oscar: Client, nodes: list[Node]) -> None:
    first = {"n1": {"subnet": "10.11.128.0/22"}, "n2": {"subnet": "10.11.132.0/22"}}
    second = {"n1": first["n2"], "n2": first["n1"]}
    oscar.post(URL, {**BACKEND1, "per_node": first})
    assert oscar.patch(one(), {"per_node": second}).json()["per_node"] == second


def test_it_leaves_a_chosen_segment_where_it_is(oscar: Client, nodes: list[Node]) -> None:
    """An empty subnet takes a declared one back; one that was chosen is not the declaration's."""
    oscar.post(URL, BACKEND1)
    oscar.patch(one(), {"nodes": ["n2", "n3"]})
    after = oscar.patch(one(), {"per_node": {"n3": {"subnet": ""}}}).json()
    assert [row["subnet"] for row in after["segments"]] == ["10.11.4.0/22", "10.11.8.0/22"]


def test_it_narrows_the_scope_and_widens_it_again(oscar: Client, nodes: list[Node]) -> None:
    oscar.post(URL, {**BACKEND1, "nodes": ["n1", "n2", "n3"]})
    assert oscar.patch(one(), {"nodes": ["n1"]}).json()["convergence"]["nodes"] == 1
    assert oscar.patch(one(), {"nodes": []}).json()["convergence"]["nodes"] == 0
    after = oscar.patch(one(), {"nodes": None}).json()
    assert after["nodes"] is None
    assert {row["node"] for row in after["segments"]} == {"n1", "n2", "n3", "n4"}


def test_it_changes_nothing_when_it_is_so_already(oscar: Client, nodes: list[Node]) -> None:
    before = oscar.post(URL, BACKEND1).json()
    events = Event.objects.count()
    assert oscar.patch(one(), {"mtu": None, "comment": ""}).json() == before
    assert oscar.put(one(), BACKEND1).json() == before
    assert Event.objects.count() == events


@pytest.mark.parametrize("subnet", ["none", "10.11.0.0/-1", "10.11.0.0/٢٢", "10.11.0.0/33", "10.11.0.1/22"])
def test_it_refuses_a_subnet_that_is_no_cidr(oscar: Client, nodes: list[Node], subnet: str) -> None:
    oscar.post(URL, BACKEND1)
    response = oscar.patch(one(), {"per_node": {"n1": {"subnet": subnet}}})
    assert response.status_code == 400
    assert [(fault["field"], fault["value"]) for fault in response.json()["errors"]] == [("subnet", subnet)]


@pytest.mark.parametrize("type", ["bridge", "routed_bridge"])
def test_it_refuses_ipv4_that_is_written_as_ipv6(oscar: Client, type: str) -> None:
    response = oscar.post(URL, {"name": "local1", "type": type, "network": "::ffff:10.50.0.0/120"})
    assert response.status_code == 400, response.json()
    [fault] = response.json()["errors"]
    assert (fault["field"], fault["value"]) == ("network", "::ffff:10.50.0.0/120")
    assert (fault["why"], fault["remedy"]) == ("is IPv4 written as IPv6", "Declare 10.50.0.0/24")


def test_it_refuses_another_name(oscar: Client) -> None:
    oscar.post(URL, BACKEND1)
    response = oscar.patch(one(), {"name": "backend2"})
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "name"


def test_it_replaces_what_is_not_given_by_its_default(oscar: Client, nodes: list[Node]) -> None:
    oscar.post(
        URL,
        {
            **BACKEND1,
            "nodes": ["n1"],
            "mtu": 1400,
            "comment": "gone",
            "per_node": {"n1": {"addr": "198.51.100.1", "subnet": "10.11.128.0/22"}},
        },
    )
    response = oscar.put(one(), {"type": "routed_bridge", "network": "10.11.0.0/16"})
    assert response.status_code == 200
    shown = response.json()
    assert (shown["nodes"], shown["mtu"], shown["comment"], shown["per_node"]) == (None, None, "", {})
    assert shown["segments"][0]["subnet"] == "10.11.0.0/22"


def test_it_keeps_a_scope_of_no_node(oscar: Client, nodes: list[Node]) -> None:
    shown = oscar.post(URL, {**BACKEND1, "nodes": []}).json()
    assert oscar.put(one(), shown).json() == shown


def test_it_declares_by_put_what_does_not_exist(oscar: Client, nodes: list[Node]) -> None:
    first, second = oscar.put(one(), BACKEND1), oscar.put(one(), BACKEND1)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()


def test_it_puts_nothing_where_the_version_that_was_read_is_gone(oscar: Client) -> None:
    response = oscar.put(one(), BACKEND1, HTTP_IF_MATCH='"3"')
    assert response.status_code == 412
    assert not Network.objects.filter(name="backend1").exists()


@pytest.mark.parametrize("method", ["patch", "put", "delete"])
def test_it_refuses_a_lost_race(oscar: Client, method: str) -> None:
    version = oscar.post(URL, BACKEND1)["ETag"]
    oscar.patch(one(), {"comment": "somebody else's"})
    response = getattr(oscar, method)(one(), {"type": "routed_bridge"}, HTTP_IF_MATCH=version)
    assert response.status_code == 412
    assert response["Content-Type"] == "application/problem+json"
    assert Network.objects.get(name="backend1").comment == "somebody else's"


def test_it_takes_the_current_version(oscar: Client) -> None:
    version = oscar.post(URL, BACKEND1)["ETag"]
    response = oscar.patch(one(), {"comment": "mine"}, HTTP_IF_MATCH=version)
    assert (response.status_code, response["ETag"]) == (200, '"2"')
    assert oscar.delete(one(), HTTP_IF_MATCH='"2"').status_code == 204


def test_it_refuses_an_if_match_that_is_no_version(oscar: Client) -> None:
    oscar.post(URL, BACKEND1)
    assert oscar.patch(one(), {}, HTTP_IF_MATCH='"abc"').status_code == 400


def test_it_withdraws(oscar: Client, nodes: list[Node]) -> None:
    oscar.post(URL, BACKEND1)
    assert oscar.delete(one()).status_code == 204
    assert oscar.get(one()).status_code == 404
    assert not Segment.objects.exists()


def test_it_withdraws_what_is_in_use_only_when_forced(oscar: Client, nodes: list[Node]) -> None:
    network = factories.a_network()
    factories.an_allocation(network, "10.11.0.7", nodes[0], service="root/svc/web")
    refused = oscar.delete(one())
    assert refused.status_code == 409
    assert refused.json()["type"] == "urn:netadmin:problem:in-use"
    assert "10.11.0.7 (root/svc/web on n1)" in refused.json()["detail"]
    assert oscar.delete(f"{one()}?force=yes").status_code == 400
    assert oscar.delete(f"{one()}?force=true").status_code == 204


def test_it_renumbers_what_is_in_use_only_when_forced(oscar: Client, nodes: list[Node]) -> None:
    factories.an_allocation(factories.a_network(), "10.11.0.7", nodes[0])
    assert oscar.patch(one(), {"ips_per_node": 512}).status_code == 409
    after = oscar.patch(f"{one()}?force=true", {"ips_per_node": 512}).json()
    assert after["segments"][1]["subnet"] == "10.11.2.0/23"


@pytest.mark.parametrize("name", ["default", "lo"])
def test_it_never_withdraws_what_is_always_there(oscar: Client, name: str) -> None:
    assert oscar.delete(one(name)).status_code == 400


def test_it_switches_default_off(oscar: Client) -> None:
    shown = oscar.patch(one("default"), {"network": "none"}).json()
    assert (shown["network"], shown["size"], shown["pct"]) == ("", "0", "0.00%")


@pytest.mark.parametrize("method", ["get", "patch", "delete"])
def test_it_knows_no_other_name(oscar: Client, method: str) -> None:
    oscar.post(URL, BACKEND1)
    response = getattr(oscar, method)(one("backend2"))
    assert response.status_code == 404
    assert response.json()["errors"][0]["remedy"].startswith("Did you mean backend1?")


@pytest.mark.parametrize("name", ["BACKEND", "%00", "a%2Fb", "x" * 64])
def test_it_has_no_address_for_what_is_no_name(oscar: Client, name: str) -> None:
    response = oscar.get(one(name))
    assert response.status_code == 404
    assert response["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("type=bridge", ["default", "local1"]),
        ("name=CK", ["backend1"]),
        ("tag=web", ["local1"]),
        ("tag=we", []),
        ("node=n2", ["backend1", "default", "lo"]),
        ("node=n1", ["backend1", "default", "lo", "local1"]),
        ("ordering=-name", ["local1", "lo", "default", "backend1"]),
        ("page_size=2", ["backend1", "default"]),
        ("page_size=2&page=2", ["lo", "local1"]),
    ],
)
def test_it_filters_orders_and_pages(vera: Client, nodes: list[Node], query: str, names: list[str]) -> None:
    factories.a_network()
    factories.a_network("local1", "10.10.10.0/24", "bridge", nodes=("n1",), tags=["web", "prod"])
    shown = vera.get(f"{URL}?{query}").json()
    assert [network["name"] for network in shown["results"]] == names


@pytest.mark.parametrize("query", ["type=macvlan", "name=%00"])
def test_it_refuses_a_filter_that_cannot_be(vera: Client, query: str) -> None:
    response = vera.get(f"{URL}?{query}")
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == query.partition("=")[0]


def test_it_counts_usage_leases_and_convergence(vera: Client, nodes: list[Node]) -> None:
    network = factories.a_network(nodes=factories.IN_SCOPE)
    factories.an_allocation(network, "10.11.0.7", nodes[0])
    factories.reported("n1", leases=(factories.a_lease(), factories.a_lease(address="10.11.0.3")))
    factories.reported("n4")
    shown = vera.get(one()).json()
    assert (shown["used"], shown["free"], shown["leases"]) == (1, "65535", 2)
    assert shown["convergence"] == {"nodes": 3, "converged": 1}


def test_it_shows_segments_in_cluster_order(vera: Client, nodes: list[Node]) -> None:
    factories.a_network(nodes=("n3", "n1"), per_node={"n3": {"subnet": "10.11.4.0/22"}})
    assert vera.get(f"{one()}segments/").json() == [
        {"node": "n1", "subnet": "10.11.0.0/22", "address": "10.11.0.1/22", "addr": "", "gateway": ""},
        {"node": "n3", "subnet": "10.11.4.0/22", "address": "10.11.4.1/22", "addr": "", "gateway": ""},
    ]


@pytest.mark.parametrize("many", [1, 30])
def test_it_asks_the_database_the_same_however_many_there_are(
    vera: Client, django_assert_num_queries: DjangoAssertNumQueries, many: int
) -> None:
    for number in range(1, many + 1):
        factories.a_node(f"n{number}")
    for number in range(many):
        factories.a_network(f"b{number}", f"10.{100 + number}.0.0/16")
    for number in range(1, many + 1):
        factories.reported(f"n{number}")
    with django_assert_num_queries(9):
        shown = vera.get(URL).json()
    assert len(shown["results"]) == many + 2
    assert len(shown["results"][0]["segments"]) == many
    assert shown["results"][0]["convergence"] == {"nodes": many, "converged": many}


def test_a_change_costs_the_same_however_many_nodes_there_are(oscar: Client) -> None:
    factories.a_network()
    costs = []
    for number in range(1, 31):
        factories.a_node(f"n{number}")
        if number in (3, 30):
            with CaptureQueriesContext(connection) as queries:
                oscar.patch(one(), {"mtu": 1400 + number})
                oscar.patch(one(), {"ips_per_node": 2000})
                oscar.patch(one(), {"nodes": ["n1"]})
                oscar.patch(one(), {"nodes": None})
                oscar.patch(one(), {"ips_per_node": 1024})
            costs.append(len(queries))
    assert costs[1] - costs[0] < 5, "SQLite takes no more than 999 values at once; else it is the same"


def test_it_records_who_did_it(oscar: Client, nodes: list[Node]) -> None:
    oscar.post(URL, BACKEND1)
    oscar.patch(one(), {"per_node": {"n1": {"addr": "198.51.100.1"}}})
    oscar.delete(one())
    events = list(Event.objects.filter(kind="network", name="backend1").order_by("id"))
    assert [(event.actor, event.verb) for event in events] == [
        ("oscar", "declared"), ("oscar", "changed"), ("oscar", "withdrew"),
    ]  # fmt: skip
    assert events[1].before["per_node"] == {}
    assert events[1].after["per_node"] == {"n1": {"addr": "198.51.100.1"}}
