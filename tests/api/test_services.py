"""/api/v1/allocations/: what services ask for, change and release."""

from itertools import pairwise
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from networks import allocations
from networks.dns import changes, loaded
from networks.models import Address, Allocation, HostPort, Network, State
from nodes.models import Event, Node
from tests import factories
from tests.api.asking import ASK, URL, ask, asked, attached
from tests.api.test_holdings import standing, state
from tests.conftest import Client
from workers import holdings as wire


def refused(response: Any, status: int, field: str, why: str, remedy: str) -> None:
    assert response.status_code == status
    [fault] = response.json()["errors"]
    assert (fault["field"], fault["why"], fault["remedy"]) == (field, why, remedy)


def test_what_is_asked_for_is_shown_and_held_by_its_node(oscar: Client, n1: Client, network: Network) -> None:
    response = ask(oscar, netns="docker:web", expose=["443-tcp:8443", "80:8001/tcp"], hostname="web-c1")
    assert response.status_code == 202
    shown = response.json()
    assert response["Location"] == f"{URL}{shown['id']}/"
    assert response["ETag"] == f'"{shown["version"]}"'
    assert shown["state"] == "requested"
    assert shown["interface"] == "eth12"
    assert shown["expose"] == ["443/tcp:8443", "80/tcp:8001"]
    row = Allocation.objects.get()
    held = wire.parse(n1.get("/api/v1/nodes/n1/holdings/").content)
    assert held.version == row.version == Node.objects.get(name="n1").holdings
    assert held.attachments == (
        wire.Attachment(
            row.uuid.hex, "backend1", "prod/svc/web", "ip#0", "docker:web", "eth12", (),
            (wire.Port(443, "tcp", 8443), wire.Port(80, "tcp", 8001)),
        ),
    )  # fmt: skip
    event = Event.objects.first()
    assert event is not None
    assert (event.actor, event.verb, event.name) == ("oscar", "requested", "prod/svc/web")
    assert oscar.get(response["Location"]).json() == shown


@pytest.mark.parametrize("service", ["web", "svc/web", "root/svc/web"])
def test_a_name_without_namespace_is_of_root(oscar: Client, network: Network, service: str) -> None:
    assert asked(oscar, service=service).service == "root/svc/web"


def test_the_same_asked_again_is_the_same(oscar: Client, n1: Client, network: Network) -> None:
    values = {"expose": ["80/tcp"], "wanted": ["10.11.0.9"]}
    first = asked(oscar, **values)
    again = ask(oscar, **values)
    assert (again.status_code, again.json()["id"]) == (202, first.pk)
    state(n1, standing(first, "10.11.0.9"))
    again = ask(oscar, **values)
    assert (again.status_code, again.json()["id"]) == (200, first.pk)
    assert Event.objects.filter(verb="requested").count() == 1
    first.refresh_from_db()
    assert first.version == Node.objects.get(name="n1").holdings


def test_a_list_that_is_attached_already_is_not_created(oscar: Client, n1: Client, network: Network) -> None:
    first = attached(oscar, n1)
    assert oscar.post(URL, [ASK]).status_code == 200
    both = [ASK, {**ASK, "resource": "ip#1"}]
    assert oscar.post(URL, both).status_code == 202
    second = Allocation.objects.get(resource="ip#1")
    assert oscar.post(URL, both).status_code == 202
    state(n1, standing(first, "10.11.0.2"), standing(second, "10.11.0.3"))
    assert oscar.post(URL, both).status_code == 200


def test_the_same_in_other_words_names_what_differs(oscar: Client, network: Network) -> None:
    row = asked(oscar, expose=["80/tcp"])
    refused(
        ask(oscar, expose=["81/tcp"]),
        409,
        "expose",
        "is ['80/tcp'] of prod/svc/web ip#0",
        f"Change it: PATCH /api/v1/allocations/{row.pk}/ or manage.py service change",
    )


@pytest.mark.parametrize(
    ("values", "field", "why"),
    [
        ({"service": "prod/vol/web"}, "service", "is of kind vol"),
        ({"service": "a/b/c/d"}, "service", "is no path of a service"),
        ({"service": "prod/svc/"}, "service", "is no path of a service"),
        ({"service": "x" * 64}, "service", "is no path of a service"),
        ({"resource": "fs#0"}, "resource", "is no id of an ip resource"),
        ({"resource": "ip#"}, "resource", "is no id of an ip resource"),
        ({"interface": "a/b"}, "interface", "can be no name of an interface"),
        ({"interface": "a b"}, "interface", "can be no name of an interface"),
        ({"interface": "eth%d"}, "interface", "can be no name of an interface"),
        ({"interface": "eth\x1b"}, "interface", "can be no name of an interface"),
        ({"interface": "x" * 16}, "interface", "can be no name of an interface"),
        ({"interface": "é" * 8}, "interface", "is longer than 15 bytes"),
        ({"netns": "a b"}, "netns", "names no container"),
        ({"netns": "rkt:web"}, "netns", "names no container"),
        ({"netns": "/run/../etc"}, "netns", "names no container"),
        ({"netns": "docker:"}, "netns", "names no container"),
        ({"hostname": "web_1..lan"}, "hostname", "is no name of a host"),
        ({"dns_name_suffix": "a.b"}, "dns_name_suffix", "cannot end a label"),
        ({"hostname": "x" * 60, "dns_name_suffix": "-back"}, "hostname", "which is no label of a DNS name"),
        ({"hostname": "10-11-0-7"}, "hostname", "is the name that an address has"),
        ({"wait_dns": -1}, "wait_dns", "is no number of seconds"),
        ({"expose": ["80"]}, "expose", "is no port of a protocol"),
        ({"expose": ["80/sctp"]}, "expose", "sctp is not mapped"),
        (
            {"expose": ["80/tcp:8080", "81/tcp:8080"]},
            "expose",
            "wants the same port of the node as 80/tcp:8080",
        ),
        ({"wanted": ["ten"]}, "wanted", "is not an IP address"),
        ({"wanted": ["10.11.0.7", "10.11.0.8"]}, "wanted", "is a second one of IPv4"),
        ({"wanted": ["10.12.0.7"]}, "wanted", "is outside of backend1"),
        ({"wanted": ["fd00::7"]}, "wanted", "is outside of backend1"),
        ({"wanted": ["10.11.4.7"]}, "wanted", "is in 10.11.4.0/22, which is n2's part"),
        ({"wanted": ["10.11.0.0"]}, "wanted", "is the address of the network itself"),
        ({"wanted": ["10.11.0.1"]}, "wanted", "is the bridge's address"),
        ({"wanted": ["10.11.3.255"]}, "wanted", "is the broadcast address"),
        ({"network": "lo"}, "network", "is of type loopback"),
        ({"network": "off"}, "network", "is not declared"),
        ({"network": "elsewhere"}, "node", "is not to have elsewhere"),
        ({"node": "n9"}, "node", "is no node of the cluster"),
        ({"colour": "red"}, "colour", "is no field"),
        ({"comment": "x" * 300}, "comment", "is longer than 255 characters"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(
    oscar: Client, network: Network, values: dict[str, Any], field: str, why: str
) -> None:
    factories.a_network("elsewhere", "10.12.0.0/16", nodes=("n2", "n3"))
    response = ask(oscar, **values)
    assert response.status_code in (400, 404)
    [fault] = response.json()["errors"]
    assert fault["field"] == field
    assert why in fault["why"]
    assert fault["remedy"]
    assert not Allocation.objects.exists()


def test_weave_hands_its_addresses_out_itself(oscar: Client, nodes: list[Node]) -> None:
    factories.a_network("weave1", "10.32.0.0/12", "weave")
    assert ask(oscar, network="weave1").status_code == 202
    response = ask(oscar, network="weave1", resource="ip#1", wanted=["10.32.0.7"])
    refused(response, 400, "wanted", "weave hands its addresses out itself", "Leave it out")


def test_a_fixed_address_is_its_own_at_once(oscar: Client, network: Network) -> None:
    asked(oscar, wanted=["10.11.0.9"])
    response = ask(oscar, service="prod/svc/db", wanted=["10.11.0.9"])
    refused(
        response,
        409,
        "wanted",
        "is in use in backend1: prod/svc/web on n1",
        "Ask for another one, or for any",
    )
    assert Allocation.objects.count() == 1


def test_an_address_that_is_reserved_for_the_service_is_given_to_it(oscar: Client, network: Network) -> None:
    url = "/api/v1/networks/backend1/available-ips/"
    oscar.post(url, {"address": "10.11.0.9", "service": "prod/svc/web"})
    other = ask(oscar, service="prod/svc/db", wanted=["10.11.0.9"])
    assert other.status_code == 409
    assert "reserved for prod/svc/web" in other.json()["detail"]
    row = asked(oscar, wanted=["10.11.0.9"])
    assert [held.allocation_id for held in Address.objects.all()] == [row.pk]
    assert Allocation.objects.count() == 1


def test_a_port_of_the_node_leads_to_one(oscar: Client, n1: Client, network: Network) -> None:
    row = attached(oscar, n1, expose=["443/tcp:8443"])
    taken = {"service": "prod/svc/db", "expose": ["80/tcp:8080", "5432/tcp:8443"]}
    refused(
        ask(oscar, **taken),
        409,
        "expose",
        "leads to prod/svc/web ip#0",
        "Use another port of the node, or release that one",
    )
    assert ask(oscar, **{**taken, "node": "n2"}).status_code == 202
    assert ask(oscar, service="prod/svc/ntp", expose=["443/udp:8443"]).status_code == 202
    oscar.delete(f"{URL}{row.pk}/")
    assert "which is being released" in ask(oscar, **taken).json()["detail"]
    state(n1)
    assert ask(oscar, **taken).status_code == 202


def test_a_port_that_is_given_up_is_free(oscar: Client, network: Network) -> None:
    row = asked(oscar, expose=["443/tcp:8443", "80/tcp:8080"])
    assert oscar.patch(f"{URL}{row.pk}/", {"expose": ["443/tcp:8443", "81/tcp:8081"]}).status_code == 202
    ports = HostPort.objects.order_by("port").values_list("port", flat=True)
    assert list(ports) == [8081, 8443]
    assert ask(oscar, service="prod/svc/db", expose=["80/tcp:8080"]).status_code == 202


def test_one_number_is_two_ports_of_the_node_by_their_protocols(oscar: Client, network: Network) -> None:
    row = asked(oscar, expose=["53/udp:53"])
    response = oscar.patch(f"{URL}{row.pk}/", {"expose": ["53/udp:53", "53/tcp:53"]})
    assert response.status_code == 202
    ports = HostPort.objects.order_by("protocol").values_list("protocol", "port")
    assert list(ports) == [("tcp", 53), ("udp", 53)]


def test_interfaces_of_one_namespace_differ(oscar: Client, network: Network) -> None:
    assert asked(oscar, netns="docker:web").interface == "eth12"
    assert asked(oscar, netns="docker:web", resource="ip#1").interface == "eth13"
    assert asked(oscar, netns="docker:db", service="prod/svc/db").interface == "eth12"
    response = ask(oscar, netns="docker:web", resource="ip#2", interface="eth13")
    refused(
        response,
        409,
        "interface",
        "is another resource's in docker:web",
        "Leave it out, or use eth14",
    )


def test_an_interface_that_is_another_resources_in_the_namespace_it_moves_to_is_chosen_anew(
    oscar: Client, network: Network
) -> None:
    asked(oscar, netns="docker:web")
    row = asked(oscar, netns="docker:db", resource="ip#1")
    assert row.interface == "eth12"
    response = oscar.patch(f"{URL}{row.pk}/", {"netns": "docker:web"})
    assert (response.status_code, response.json()["interface"]) == (202, "eth13")
    response = oscar.patch(f"{URL}{row.pk}/", {"netns": "docker:db", "interface": ""})
    assert (response.status_code, response.json()["interface"]) == (202, "eth12")
    refused(
        oscar.patch(f"{URL}{row.pk}/", {"netns": "docker:web", "interface": "eth12"}),
        409,
        "interface",
        "is another resource's in docker:web",
        "Leave it out, or use eth13",
    )


def test_an_interface_that_is_free_in_the_namespace_it_moves_to_is_kept(
    oscar: Client, network: Network
) -> None:
    asked(oscar, netns="docker:web")
    row = asked(oscar, netns="docker:db", resource="ip#1", interface="net0")
    response = oscar.patch(f"{URL}{row.pk}/", {"netns": "docker:web"})
    assert (response.status_code, response.json()["interface"]) == (202, "net0")


def test_when_no_interface_is_left_to_choose_one_is_to_be_named(
    oscar: Client, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allocations, "LAST_INTERFACE", 13)
    for resource in ("ip#0", "ip#1"):
        asked(oscar, resource=resource)
    refused(
        ask(oscar, resource="ip#2"),
        409,
        "interface",
        "is left out, and eth12 to eth13 are taken in the namespace of prod/svc/web",
        "Give one of another name, or use another namespace",
    )
    refused(
        ask(oscar, resource="ip#2", interface="eth13"),
        409,
        "interface",
        "is another resource's in the namespace of prod/svc/web",
        "Give one of another name",
    )
    assert ask(oscar, resource="ip#2", interface="net0").status_code == 202


def test_a_change_is_a_new_version_and_one_of_nothing_is_none(oscar: Client, network: Network) -> None:
    row = asked(oscar)
    url = f"{URL}{row.pk}/"
    response = oscar.patch(url, {"hostname": "web-c1"})
    assert response.json()["version"] > row.version
    again = oscar.patch(url, {"hostname": "web-c1"}, HTTP_IF_MATCH=response["ETag"])
    assert again["ETag"] == response["ETag"]
    stale = oscar.patch(url, {"hostname": "web-c2"}, HTTP_IF_MATCH=f'"{row.version}"')
    assert stale.status_code == 412
    event = Event.objects.filter(verb="changed").get()
    assert (event.before["hostname"], event.after["hostname"]) == ("", "web-c1")
    assert oscar.patch(url, {"node": "n2"}).status_code == 400


def served() -> list[str]:
    return [str(held.address) for held in loaded.served()]


def test_no_name_leads_to_an_address_before_it_is_attached(
    oscar: Client, n1: Client, network: Network
) -> None:
    row = attached(oscar, n1)
    assert served() == ["10.11.0.2"]
    shown = oscar.patch(f"{URL}{row.pk}/", {"wanted": ["10.11.0.9"]}).json()
    assert (shown["state"], sorted(shown["addresses"])) == ("requested", ["10.11.0.2", "10.11.0.9"])
    assert served() == []
    state(n1, standing(row, "10.11.0.9"))
    assert served() == ["10.11.0.9"]


@pytest.mark.parametrize("change", [{"expose": ["80/tcp"]}, {"hostname": "web"}, {"comment": "of the shop"}])
def test_names_lead_there_while_it_is_changed_where_it_is(
    oscar: Client, n1: Client, network: Network, change: dict[str, Any]
) -> None:
    row = attached(oscar, n1)
    assert oscar.patch(f"{URL}{row.pk}/", change).json()["state"] == "attached"
    assert served() == ["10.11.0.2"]


def test_an_interface_that_is_left_open_stays(oscar: Client, n1: Client, network: Network) -> None:
    row = attached(oscar, n1)
    shown = oscar.patch(f"{URL}{row.pk}/", {"interface": ""}).json()
    assert (shown["interface"], shown["version"], shown["state"]) == ("eth12", row.version, "attached")


def test_what_is_moved_to_another_network_keeps_its_address_until_its_node_has_moved_it(
    oscar: Client, n1: Client, network: Network
) -> None:
    factories.a_network("backend2", "10.12.0.0/16")
    row = attached(oscar, n1)
    old = row.version
    oscar.patch(f"{URL}{row.pk}/", {"network": "backend2", "wanted": ["10.12.0.9"]})
    state(n1, standing(row, "10.11.0.2"), version=old)
    state(n1, standing(row, "10.11.0.2", state=wire.RELEASING))
    row.refresh_from_db()
    assert row.state == State.REQUESTED
    held = Address.objects.filter(allocation=row).order_by("address")
    assert [(one.network.name, str(one.address)) for one in held] == [
        ("backend1", "10.11.0.2"),
        ("backend2", "10.12.0.9"),
    ]
    state(n1, standing(row, "10.12.0.9"))
    assert [str(one.address) for one in held.all()] == ["10.12.0.9"]


def test_it_is_released_when_its_node_has_let_go(oscar: Client, n1: Client, network: Network) -> None:
    row = attached(oscar, n1)
    response = oscar.delete(f"{URL}{row.pk}/")
    assert (response.status_code, response.json()["state"]) == (202, "releasing")
    assert response.json()["addresses"] == ["10.11.0.2"]
    assert wire.parse(n1.get("/api/v1/nodes/n1/holdings/").content).attachments == ()
    assert oscar.delete(f"{URL}{row.pk}/").status_code == 202
    assert oscar.patch(f"{URL}{row.pk}/", {"hostname": "x"}).status_code == 409
    state(n1)
    assert oscar.get(f"{URL}{row.pk}/").status_code == 404
    assert oscar.delete(f"{URL}{row.pk}/").status_code == 404
    verbs = Event.objects.filter(kind="service").order_by("pk").values_list("actor", "verb")
    assert list(verbs) == [
        ("oscar", "requested"), ("node n1", "attached"), ("oscar", "released"), ("node n1", "released"),
    ]  # fmt: skip


def test_what_is_being_released_may_be_asked_for_anew(oscar: Client, n1: Client, network: Network) -> None:
    row = attached(oscar, n1)
    oscar.delete(f"{URL}{row.pk}/")
    released = Node.objects.get(name="n1").holdings
    again = ask(oscar, hostname="other")
    assert (again.status_code, again.json()["id"], again.json()["state"]) == (202, row.pk, "requested")
    state(n1, version=released)
    assert Allocation.objects.filter(pk=row.pk).exists()
    state(n1, standing(row, "10.11.0.3"))
    assert oscar.get(f"{URL}{row.pk}/").json()["addresses"] == ["10.11.0.3"]


def test_of_a_dead_node_it_is_forced(oscar: Client, n1: Client, network: Network) -> None:
    row = attached(oscar, n1, expose=["443/tcp:8443"])
    assert oscar.delete(f"{URL}{row.pk}/?force=true").status_code == 204
    assert not Allocation.objects.exists()
    assert not HostPort.objects.exists()
    event = Event.objects.first()
    assert event is not None
    assert (event.actor, event.verb, event.before["addresses"]) == ("oscar", "forced", ["10.11.0.2"])
    assert state(n1, standing(row, "10.11.0.2")).status_code == 204
    assert not Address.objects.exists()


def test_a_node_is_not_removed_under_a_service_unless_forced(
    oscar: Client, ada: Client, n1: Client, network: Network
) -> None:
    row = asked(oscar)
    response = ada.delete("/api/v1/nodes/n1/")
    assert response.status_code == 409
    assert "1 service waits for an address: prod/svc/web ip#0" in response.json()["detail"]
    state(n1, standing(row, "10.11.0.2"))
    response = ada.delete("/api/v1/nodes/n1/")
    assert "10.11.0.2 (prod/svc/web on n1)" in response.json()["detail"]
    assert ada.delete("/api/v1/nodes/n1/?force=true").status_code == 204
    assert not Allocation.objects.exists()
    assert Event.objects.filter(verb="forced", name="prod/svc/web").count() == 1


def test_a_node_with_many_services_is_removed_in_as_many_queries(
    oscar: Client, ada: Client, network: Network
) -> None:
    costs = []
    for node, many in (("n1", 1), ("n2", 30)):
        for number in range(many):
            asked(oscar, node=node, resource=f"ip#{number}")
        with CaptureQueriesContext(connection) as queries:
            assert ada.delete(f"/api/v1/nodes/{node}/?force=true").status_code == 204
        costs.append(len(queries))
    assert costs[0] == costs[1]
    assert Event.objects.filter(verb="forced").count() == 31


@pytest.mark.parametrize("many", [0, 1001])
def test_a_list_is_neither_empty_nor_without_end(oscar: Client, network: Network, many: int) -> None:
    response = oscar.post(URL, [ASK] * many)
    assert (response.status_code, response.json()["errors"][0]["field"]) == (400, "body")


def test_a_network_that_is_withdrawn_by_force_is_a_new_version_for_its_nodes(
    oscar: Client, network: Network
) -> None:
    asked(oscar)
    response = oscar.delete("/api/v1/networks/backend1/")
    assert response.status_code == 409
    assert "1 service waits for an address" in response.json()["detail"]
    before = Node.objects.get(name="n1").holdings
    assert oscar.delete("/api/v1/networks/backend1/?force=true").status_code == 204
    assert Node.objects.get(name="n1").holdings > before
    assert Node.objects.get(name="n2").holdings == 0


def test_no_network_is_withdrawn_under_a_service_that_is_being_moved_to_it(
    oscar: Client, n1: Client, network: Network
) -> None:
    factories.a_network("backend2", "10.12.0.0/16")
    row = attached(oscar, n1, expose=["443/tcp:8443"])
    oscar.patch(f"{URL}{row.pk}/", {"network": "backend2"})
    response = oscar.delete("/api/v1/networks/backend2/")
    assert response.status_code == 409
    assert "1 service waits for an address: prod/svc/web ip#0; they" in response.json()["detail"]
    assert [str(held.address) for held in row.addresses.all()] == ["10.11.0.2"]


def test_what_a_service_loses_with_its_network_is_kept_in_an_event(
    oscar: Client, n1: Client, network: Network
) -> None:
    factories.a_network("backend2", "10.12.0.0/16")
    row = attached(oscar, n1, expose=["443/tcp:8443"])
    oscar.patch(f"{URL}{row.pk}/", {"network": "backend2"})
    before = Node.objects.get(name="n1").holdings
    assert oscar.delete("/api/v1/networks/backend2/?force=true").status_code == 204
    assert not Allocation.objects.exists()
    event = Event.objects.get(verb="forced")
    assert (event.actor, event.name, event.before["addresses"]) == ("oscar", "prod/svc/web", ["10.11.0.2"])
    assert (event.before["network"], event.before["expose"]) == ("backend2", ["443/tcp:8443"])
    assert Node.objects.get(name="n1").holdings > before


def test_a_reservation_is_given_back_at_once(oscar: Client, network: Network) -> None:
    oscar.post("/api/v1/networks/backend1/available-ips/", {"address": "10.11.0.9"})
    row = Allocation.objects.get()
    assert oscar.patch(f"{URL}{row.pk}/", {"hostname": "x"}).status_code == 409
    assert oscar.delete(f"{URL}{row.pk}/").status_code == 204
    assert not Allocation.objects.exists()


def test_a_container_of_others_is_not_ours_to_release(oscar: Client, network: Network) -> None:
    factories.reported("n1", leases=(factories.a_lease(),))
    response = oscar.delete(f"{URL}{Allocation.objects.get().pk}/")
    assert response.status_code == 409
    assert "is of a container that others started. Stop that container" in response.json()["detail"]


def test_several_are_asked_for_all_or_none(oscar: Client, network: Network) -> None:
    body = [ASK, {**ASK, "resource": "ip#1", "network": "nowhere"}]
    response = oscar.post(URL, body)
    assert response.status_code == 404
    assert response.json()["errors"][0]["field"] == "[1].network"
    assert not Allocation.objects.exists()
    body[1]["network"] = "backend1"
    response = oscar.post(URL, body)
    assert response.status_code == 202
    assert [row["interface"] for row in response.json()] == ["eth12", "eth13"]


def test_viewers_see_and_ask_for_nothing(vera: Client, oscar: Client, network: Network) -> None:
    row = asked(oscar)
    assert vera.get(f"{URL}{row.pk}/").status_code == 200
    for answer in (ask(vera), vera.patch(f"{URL}{row.pk}/", {}), vera.delete(f"{URL}{row.pk}/")):
        assert answer.status_code == 403


@pytest.mark.parametrize("many", [1, 20])
def test_one_costs_the_same_however_many_there_are(
    oscar: Client, network: Network, django_assert_num_queries: DjangoAssertNumQueries, many: int
) -> None:
    for number in range(many):
        asked(oscar, resource=f"ip#{number}", expose=[f"80/tcp:{8000 + number}"])
    asked(oscar, resource="ip#x")
    row = Allocation.objects.get(resource="ip#x")
    with django_assert_num_queries(3):
        assert oscar.get(f"{URL}{row.pk}/").status_code == 200
    with CaptureQueriesContext(connection) as queries:
        assert ask(oscar, resource="ip#y", expose=["80/tcp:7999"]).status_code == 202
    assert len(queries) == 17


def test_it_is_released_by_the_verb_alone(oscar: Client, network: Network) -> None:
    """Every entrance calls the same function."""
    row = asked(oscar)
    assert allocations.release(row.pk, by="oscar") is not None
    assert allocations.release(row.pk, by="oscar", force=True) is None


def test_names_are_told_of_when_they_change(oscar: Client, n1: Client, network: Network) -> None:
    serials = [changes.serial()]

    def after(_: Any) -> None:
        serials.append(changes.serial())

    row = asked(oscar)
    after(state(n1, standing(row, "10.11.0.2")))
    after(state(n1, standing(row, "10.11.0.2")))
    after(oscar.patch(f"{URL}{row.pk}/", {"hostname": "web-c1"}))
    after(oscar.delete(f"{URL}{row.pk}/"))
    grew = [later > earlier for earlier, later in pairwise(serials)]
    assert grew == [True, False, True, True]
