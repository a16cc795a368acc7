"""A network that moves while somebody is on it: refused with the holders' names, unless forced."""

from typing import Any

import pytest

from networks.models import Network, Segment
from nodes.models import Node
from tests import factories
from tests.conftest import Client

URL = "/api/v1/networks/"
BACKEND1 = f"{URL}backend1/"


def refusal(client: Client, url: str, given: dict[str, Any]) -> str:
    """Why a change is refused; with force it is not, and then has happened."""
    response = client.patch(url, given)
    assert response.status_code == 409, response.json()
    problem = response.json()
    assert problem["type"] == "urn:netadmin:problem:in-use"
    [fault] = problem["errors"]
    assert (fault["field"], fault["remedy"]) == ("force", "Release them, or force it")
    assert client.patch(f"{url}?force=true", given).status_code == 200
    return str(fault["why"])


@pytest.fixture
def held(nodes: list[Node]) -> Network:
    """backend1 on n1, n2 and n3; one address of n2 in use."""
    network = factories.a_network(nodes=factories.IN_SCOPE)
    factories.an_allocation(network, "10.11.4.7", nodes[1])
    return network


@pytest.mark.parametrize(
    ("given", "named"),
    [
        pytest.param({"network": "10.12.0.0/16"}, "network", id="another range"),
        pytest.param({"ips_per_node": 512}, "ips_per_node", id="smaller segments"),
        pytest.param({"mask_per_node": "24"}, "mask_per_node", id="a prefix length"),
        pytest.param({"type": "bridge"}, "type", id="another type"),
        pytest.param({"dev": "br0"}, "dev", id="another bridge"),
        pytest.param({"nodes": ["n1", "n3"]}, "nodes", id="its node leaves"),
        pytest.param({"per_node": {"n2": {"subnet": "10.11.64.0/22"}}}, "per_node", id="another segment"),
        pytest.param(
            {"per_node": {"n1": {"subnet": "10.11.4.0/22"}}}, "per_node", id="its segment to another node"
        ),
    ],
)
def test_it_is_refused_while_a_node_that_loses_its_part_holds_addresses(
    oscar: Client, held: Network, given: dict[str, Any], named: str
) -> None:
    assert refusal(oscar, BACKEND1, given) == (
        "1 address is in use: 10.11.4.7 (root/svc/web on n2); "
        f"they would lose what they have by this change of {named}"
    )


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"nodes": ["n2"]}, id="other nodes leave"),
        pytest.param({"nodes": None}, id="other nodes come"),
        pytest.param({"per_node": {"n1": {"subnet": "10.11.64.0/22"}}}, id="another node moves"),
        pytest.param({"per_node": {"n2": {"subnet": "10.11.4.0/22"}}}, id="its segment is declared"),
        pytest.param(
            {"per_node": {"n2": {"addr": "192.0.2.22", "gateway": "192.0.2.33"}}}, id="another way to it"
        ),
        pytest.param({"ips_per_node": 1000}, id="the same size in other words"),
        pytest.param({"tunnel": "always", "mtu": 1400, "public": True, "comment": "x"}, id="the rest"),
    ],
)
def test_it_is_not_refused_when_those_who_hold_addresses_keep_them(
    oscar: Client, held: Network, given: dict[str, Any]
) -> None:
    assert oscar.patch(BACKEND1, given).status_code == 200


def test_a_refused_move_changes_nothing(oscar: Client, held: Network, nodes: list[Node]) -> None:
    before = list(Segment.objects.order_by("pk").values())
    versions = list(Node.objects.values_list("name", "desired_version"))
    assert oscar.patch(BACKEND1, {"nodes": ["n1"], "network": "10.12.0.0/16"}).status_code == 409
    assert list(Segment.objects.order_by("pk").values()) == before
    assert list(Node.objects.values_list("name", "desired_version")) == versions


def test_the_default_network_is_not_switched_off_under_containers(oscar: Client, nodes: list[Node]) -> None:
    factories.reported("n3", leases=(factories.a_lease("default", "10.22.0.9", "0123456789abcdef"),))
    assert refusal(oscar, f"{URL}default/", {"network": "none"}) == (
        "1 address is in use: 10.22.0.9 (0123456789ab on n3); "
        "they would lose what they have by this change of network"
    )
    assert Network.objects.get(name="default").is_off


def test_the_range_of_one_node_is_not_moved_under_its_containers(oscar: Client, nodes: list[Node]) -> None:
    local = factories.a_network("local1", "10.10.10.0/24", "bridge")
    factories.an_allocation(local, "10.10.10.7", nodes[1])
    given = {"per_node": {"n1": {"network": "10.10.11.0/24"}}}
    assert oscar.patch(f"{URL}local1/", given).status_code == 200
    given = {"per_node": {"n2": {"network": "10.10.12.0/24"}}}
    assert "on n2" in refusal(oscar, f"{URL}local1/", given)


def test_a_node_that_goes_names_those_who_hold_its_addresses(ada: Client, held: Network) -> None:
    [fault] = ada.delete("/api/v1/nodes/n2/").json()["errors"]
    assert fault["why"] == (
        "1 address is in use on n2: 10.11.4.7 (root/svc/web on n2); they would lose their networks"
    )


def test_a_whole_replacement_is_refused_in_the_same_words(oscar: Client, held: Network) -> None:
    given = {"name": "backend1", "type": "routed_bridge", "network": "10.12.0.0/16", "nodes": ["n1", "n2"]}
    response = oscar.put(BACKEND1, given)
    assert response.status_code == 409
    assert "10.11.4.7 (root/svc/web on n2)" in response.json()["detail"]
