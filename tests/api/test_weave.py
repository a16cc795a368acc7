"""/api/v1/networks/ of type weave: what its nodes are told of each other."""

import json
from typing import Any

import pytest

from networks.models import Network
from nodes.models import Node
from tests import factories
from tests.conftest import Client

URL = "/api/v1/networks/"


def peers() -> dict[str, list[str]]:
    body = Network.objects.get(name="weave1").peers_body
    return {peer["node"]: peer["addresses"] for peer in json.loads(body)}


def test_every_node_in_scope_is_a_peer_with_its_address(oscar: Client, nodes: list[Node]) -> None:
    oscar.post(
        URL,
        {"name": "weave1", "type": "weave", "nodes": ["n1", "n2"], "per_node": {"n2": {"addr": "1.2.3.4"}}},
    )
    assert peers() == {"n1": ["192.0.2.1"], "n2": ["1.2.3.4"]}
    oscar.patch(f"{URL}weave1/", {"nodes": None})
    assert list(peers()) == ["n1", "n2", "n3", "n4"]


def test_members_that_come_move_and_go_are_followed(ada: Client, nodes: list[Node]) -> None:
    ada.post(URL, {"name": "weave1", "type": "weave"})
    before = Node.objects.get(name="n1").desired_version
    ada.post("/api/v1/nodes/", {"name": "n5", "addresses": ["192.0.2.5"]})
    ada.patch("/api/v1/nodes/n2/", {"addresses": ["192.0.2.22"]})
    ada.delete("/api/v1/nodes/n3/")
    assert peers() == {
        "n1": ["192.0.2.1"], "n2": ["192.0.2.22"], "n4": ["192.0.2.4"], "n5": ["192.0.2.5"],
    }  # fmt: skip
    assert Node.objects.get(name="n1").desired_version != before


@pytest.mark.parametrize("network", ["fd32::/64", "10.32.0.0/12 fd32::/64"])
def test_it_knows_one_ipv4_range_only(oscar: Client, network: str) -> None:
    [fault] = oscar.post(URL, {"name": "weave1", "type": "weave", "network": network}).json()["errors"]
    assert (fault["field"], fault["why"]) == ("network", "is not one IPv4 CIDR, and weave knows no other")


def test_a_node_has_one_router(oscar: Client) -> None:
    factories.a_network("weave1", "10.32.0.0/12", "weave")
    given: dict[str, Any] = {"name": "weave2", "type": "weave", "network": "10.48.0.0/16"}
    [fault] = oscar.post(URL, given).json()["errors"]
    assert fault["why"] == "network weave1 is of this type, and a node has one weave router"
