"""/api/v1/cluster/: what holds for all networks and nodes."""

from typing import Any

import pytest

from nodes.models import Event, Node
from tests import factories
from tests.conftest import Client

URL = "/api/v1/cluster/"


def shown(client: Client) -> dict[str, Any]:
    body: dict[str, Any] = client.get(URL).json()
    return body


def test_it_has_defaults(vera: Client) -> None:
    response = vera.get(URL)
    assert response["ETag"] == '"1"'
    assert response.json() == {
        "name": "cluster1",
        "dns": [],
        "allowed_networks": [],
        "cni_plugins": "/usr/lib/cni",
        "cni_config": "/etc/cni/net.d",
        "look_interval": 30,
        "probe_interval": 30,
        "confirm_seconds": 30,
        "lease_grace": 300,
        "version": 1,
    }


def test_it_changes_what_is_given_and_reaches_every_node(ada: Client, nodes: list[Node]) -> None:
    before = dict(Node.objects.values_list("name", "desired_version"))
    given = {"dns": ["192.0.2.53", "fd00::53"], "cni_config": "/opt/cni/net.d", "look_interval": 5}
    response = ada.patch(URL, given, HTTP_IF_MATCH='"1"')
    assert (response.status_code, response["ETag"]) == (200, '"2"')
    assert response.json() == {**shown(ada), **given, "version": 2}
    after = dict(Node.objects.values_list("name", "desired_version"))
    assert all(after[name] != before[name] for name in after)
    assert Event.objects.filter(kind="cluster", verb="changed", actor="ada").count() == 1


def test_it_refuses_a_lost_race(ada: Client) -> None:
    ada.patch(URL, {"look_interval": 5})
    response = ada.patch(URL, {"look_interval": 7}, HTTP_IF_MATCH='"1"')
    assert response.status_code == 412
    assert shown(ada)["look_interval"] == 5


def test_it_changes_nothing_when_it_is_so_already(ada: Client) -> None:
    assert ada.patch(URL, {"look_interval": 30}).json()["version"] == 1


def test_probes_and_taking_back_can_be_switched_off(ada: Client) -> None:
    off = {"probe_interval": 0, "confirm_seconds": 0}
    response = ada.patch(URL, off)
    assert (response.status_code, {name: response.json()[name] for name in off}) == (200, off)
    refused = ada.patch(URL, {"probe_interval": 86400}).json()["detail"]
    assert refused == "probe_interval=86400: is out of range. Use 0 to 3600 seconds; 0: no probes"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": "Cluster 1"}, "name"),
        ({"dns": ["ns1"]}, "dns"),
        ({"dns": "192.0.2.53"}, "dns"),
        ({"allowed_networks": ["10.0.0.1/8"]}, "allowed_networks"),
        ({"cni_plugins": "cni"}, "cni_plugins"),
        ({"cni_plugins": ""}, "cni_plugins"),
        ({"look_interval": 0}, "look_interval"),
        ({"look_interval": 10**30}, "look_interval"),
        ({"probe_interval": -1}, "probe_interval"),
        ({"confirm_seconds": 3601}, "confirm_seconds"),
        ({"look_intervall": 5}, "look_intervall"),
    ],
)
def test_it_refuses_naming_the_field(ada: Client, given: dict[str, Any], field: str) -> None:
    response = ada.patch(URL, given)
    assert response.status_code == 400, response.content
    assert [fault["field"] for fault in response.json()["errors"]] == [field]


def test_what_is_allowed_must_hold_what_is_declared(ada: Client) -> None:
    factories.a_network()
    response = ada.patch(URL, {"allowed_networks": ["10.22.0.0/16", "192.168.0.0/16"]})
    assert response.status_code == 400
    assert "10.11.0.0/16 of network backend1" in response.json()["detail"]
    assert ada.patch(URL, {"allowed_networks": ["10.0.0.0/8"]}).status_code == 200
    refused = ada.post("/api/v1/networks/", {"name": "outside", "network": "172.16.0.0/24"})
    assert "is outside the networks that the cluster allows" in refused.json()["detail"]
