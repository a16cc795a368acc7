"""The admin writes through the verbs too, and says no in the same words."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from networks.models import Allocation, Network, Segment
from nodes.models import Cluster, Event, Node
from tests import factories
from tests.pages.conftest import ALL_THAT_CAN_BE_ASKED_FOR, logged_in, was_asked_for

NETWORK = {
    "name": "backend1",
    "type": "routed_bridge",
    "network": "10.11.0.0/16",
    "every_node": "on",
    "tunnel": "auto",
    "tunnel_mode": "ipip",
    "tables": "main",
}
READ_ONLY = (
    "networks/segment",
    "nodes/event",
    "nodes/report",
    "nodes/token",
    "auth/user",
)


def staff(name: str) -> Client:
    client = logged_in(name)
    User.objects.filter(username=name).update(is_staff=True)
    return client


@pytest.fixture
def ada(db: None) -> Client:
    return staff("ada")


def text_of(response: Any) -> str:
    text: str = response.content.decode()
    return text.replace("&#x27;", "'").replace("&quot;", '"')


def test_a_network_is_declared_with_its_segments_and_its_event(ada: Client) -> None:
    factories.a_node("n1")
    response = ada.post("/admin/networks/network/add/", NETWORK)
    assert response.status_code == 302
    assert Segment.objects.get().subnet == "10.11.0.0/22"
    assert Event.objects.filter(actor="ada", verb="declared", name="backend1").exists()


def test_a_refusal_is_shown_at_its_field_and_nothing_is_saved(ada: Client) -> None:
    response = ada.post("/admin/networks/network/add/", {**NETWORK, "network": "10.11.0.1/16"})
    assert response.status_code == 200
    assert "10.11.0.1/16: has host bits set. Declare 10.11.0.0/16" in text_of(response)
    assert not Network.objects.filter(name="backend1").exists()


def test_a_network_is_changed_on_the_version_that_was_read(ada: Client) -> None:
    network = factories.a_network()
    path = f"/admin/networks/network/{network.pk}/change/"
    assert 'value="10.11.0.0/16"' in text_of(ada.get(path))
    given = {**NETWORK, "comment": "changed", "version": network.version}
    assert ada.post(path, given).status_code == 302
    network.refresh_from_db()
    assert (network.comment, network.version) == ("changed", 2)
    late = ada.post(path, {**given, "comment": "late"})
    assert "is not the current version (2)" in text_of(late)
    network.refresh_from_db()
    assert network.comment == "changed"


def test_a_network_in_use_is_not_deleted(ada: Client) -> None:
    node = factories.a_node("n1")
    network = factories.a_network()
    allocation = factories.an_allocation(network, "10.11.0.7", node)
    path = f"/admin/networks/network/{network.pk}/delete/"
    assert "1 address is in use: 10.11.0.7" in text_of(ada.post(path, {"post": "yes"}, follow=True))
    allocation.delete()
    assert ada.post(path, {"post": "yes"}).status_code == 302
    assert Event.objects.filter(actor="ada", verb="withdrew").exists()


def test_a_node_is_added_changed_and_removed(ada: Client) -> None:
    assert ada.post("/admin/nodes/node/add/", {"name": "n1", "addresses": "192.0.2.1"}).status_code == 302
    node = Node.objects.get()
    path = f"/admin/nodes/node/{node.pk}/change/"
    refused = ada.post(path, {"addresses": "127.0.0.1", "version": 1})
    assert "is no address by which other nodes reach n1" in text_of(refused)
    assert ada.post(path, {"addresses": "192.0.2.9", "version": 1}).status_code == 302
    assert Node.objects.get().addresses == ["192.0.2.9"]
    assert ada.post(f"/admin/nodes/node/{node.pk}/delete/", {"post": "yes"}).status_code == 302
    verbs = Event.objects.filter(kind="node", actor="ada").values_list("verb", flat=True)
    assert list(verbs) == ["removed", "changed", "added"]


def test_the_cluster_is_changed_by_its_verb(ada: Client) -> None:
    given = {
        "name": "shop",
        "dns": "192.0.2.53",
        "allowed_networks": "10.0.0.0/8",
        "cni_plugins": "/usr/lib/cni",
        "cni_config": "/etc/cni/net.d",
        "look_interval": "10",
        "probe_interval": "0",
        "confirm_seconds": "",
        "version": "1",
    }
    path = "/admin/nodes/cluster/1/change/"
    assert "look_interval" in text_of(ada.get(path))
    refused = ada.post(path, {**given, "look_interval": "0"})
    assert "0: is out of range. Use 1 to 3600 seconds" in text_of(refused)
    assert ada.post(path, given).status_code == 302
    cluster = Cluster.current()
    assert (cluster.name, cluster.dns, cluster.look_interval) == ("shop", ["192.0.2.53"], 10)
    assert (cluster.probe_interval, cluster.confirm_seconds) == (0, 30)
    assert Event.objects.filter(kind="cluster", actor="ada").exists()


@pytest.mark.parametrize("model", READ_ONLY)
def test_what_has_no_verb_is_only_read(ada: Client, model: str) -> None:
    node = factories.a_node("n1")
    network = factories.a_network()
    factories.an_allocation(network, "10.11.0.7", node)
    factories.reported(node)
    assert ada.get(f"/admin/{model}/").status_code == 200
    assert ada.get(f"/admin/{model}/add/").status_code == 403


def test_services_ask_change_and_release_here_too(ada: Client) -> None:
    network = factories.a_network()
    node = factories.a_node("n1")
    given = {"service": "web", "resource": "ip#0", "node": "n1", "network": "backend1", "expose": "80"}
    refused = text_of(ada.post("/admin/networks/allocation/add/", given))
    assert "80: is no port of a protocol" in refused
    assert ada.post("/admin/networks/allocation/add/", {**given, "expose": "80/tcp"}).status_code == 302
    row = Allocation.objects.get()
    assert (row.service, row.expose, row.state) == ("root/svc/web", ["80/tcp"], "requested")
    path = f"/admin/networks/allocation/{row.pk}"
    assert ada.post(f"{path}/change/", {"network": "backend1", "expose": "81/tcp"}).status_code == 302
    assert ada.post(f"{path}/delete/", {"post": "yes"}).status_code == 302
    row.refresh_from_db()
    assert (row.expose, row.state) == (["81/tcp"], "releasing")
    factories.reported(node, leases=(factories.a_lease(),))
    others = network.allocations.get(learnt="store").pk
    assert ada.post(f"/admin/networks/allocation/{others}/delete/", {"post": "yes"}).status_code == 403
    assert ada.post(f"/admin/networks/allocation/{others}/change/", {}).status_code == 403


def test_all_that_can_be_asked_for_can_be_asked_for_here(ada: Client) -> None:
    factories.a_network()
    factories.a_node("n1")
    asked = ada.post("/admin/networks/allocation/add/", ALL_THAT_CAN_BE_ASKED_FOR)
    assert asked.status_code == 302
    assert was_asked_for(Allocation.objects.get())


@pytest.mark.parametrize("model", ["networks/network", "nodes/node", "nodes/cluster"])
def test_roles_hold_here_too(db: None, model: str) -> None:
    vera = staff("vera")
    assert vera.get(f"/admin/{model}/").status_code == 200
    assert vera.get(f"/admin/{model}/add/").status_code == 403
    assert vera.get("/admin/nodes/token/").status_code == 403
    oscar = staff("oscar")
    assert oscar.get("/admin/nodes/node/add/").status_code == 403
    assert oscar.get("/admin/networks/network/add/").status_code == 200
