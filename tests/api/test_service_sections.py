"""/api/v1/services/: a service's configuration applied on a node."""

from typing import Any

from networks.models import Allocation, Network
from nodes.models import Event, Node
from tests import factories
from tests.api.test_holdings import standing, state
from tests.conftest import Client
from tests.networks.test_sections import DOCUMENTED

URL = "/api/v1/services/"
TWO = """\
[ip#0]
type = cni
network = backend1
expose = 80/tcp:8080

[ip#1]
type = cni
network = backend1
"""


def apply(client: Client, text: str, service: str = "prod/svc/web", node: str = "n1") -> Any:
    return client.post(URL, {"service": service, "node": node, "text": text})


def words(response: Any) -> dict[str, str]:
    return {one["resource"]: one["change"] for one in response.json()["resources"]}


def test_the_documented_one_is_asked_for(oscar: Client, nodes: list[Node]) -> None:
    factories.a_network("weave1", "10.32.0.0/12", "weave")
    response = apply(oscar, DOCUMENTED + "\n[fs#0]\ntype = flag\n")
    assert response.status_code == 202
    [shown] = response.json()["resources"]
    assert (shown["network"], shown["netns"], shown["expose"]) == ("weave1", "docker:web", ["80/tcp"])
    assert response.json()["passed_over"] == ["[fs#0]: is no ip resource"]


def test_applied_again_it_converges(oscar: Client, n1: Client, network: Network) -> None:
    assert words(apply(oscar, TWO)) == {"ip#0": "requested", "ip#1": "requested"}
    rows = {row.resource: row for row in Allocation.objects.all()}
    state(n1, standing(rows["ip#0"], "10.11.0.2"), standing(rows["ip#1"], "10.11.0.3"))
    events = Event.objects.count()
    again = apply(oscar, TWO)
    assert (again.status_code, words(again)) == (200, {"ip#0": "unchanged", "ip#1": "unchanged"})
    assert Event.objects.count() == events
    other = apply(oscar, TWO.replace("80/tcp:8080", "80/tcp:8081").replace("[ip#1]", "[ip#2]"))
    assert words(other) == {"ip#0": "changed", "ip#1": "releasing", "ip#2": "requested"}
    assert Allocation.objects.get(resource="ip#0").uuid == rows["ip#0"].uuid


def test_another_service_and_another_node_are_left_alone(oscar: Client, network: Network) -> None:
    apply(oscar, TWO)
    apply(oscar, TWO.replace("8080", "8081"), service="prod/svc/db")
    apply(oscar, TWO, node="n2")
    assert words(apply(oscar, "")) == {"ip#0": "releasing", "ip#1": "releasing"}
    assert Allocation.objects.filter(state="requested").count() == 4


def test_with_any_fault_nothing_is_changed(oscar: Client, network: Network) -> None:
    apply(oscar, TWO)
    wrong = TWO.replace("8080", "8081").rstrip().removesuffix("backend1") + "backend9"
    response = apply(oscar, wrong)
    assert response.status_code == 404
    assert response.json()["errors"][0]["field"] == "ip#1.network"
    assert Allocation.objects.get(resource="ip#0").expose == ["80/tcp:8080"]


def test_one_that_is_being_released_is_asked_for_anew(oscar: Client, network: Network) -> None:
    apply(oscar, TWO)
    apply(oscar, "")
    assert words(apply(oscar, TWO)) == {"ip#0": "requested", "ip#1": "requested"}
    assert set(Allocation.objects.values_list("state", flat=True)) == {"requested"}


def test_nothing_is_applied_on_a_node_that_is_not_there(oscar: Client, network: Network) -> None:
    response = apply(oscar, "", node="m7")
    assert response.status_code == 404
    [fault] = response.json()["errors"]
    assert (fault["field"], fault["value"], fault["remedy"]) == ("node", "m7", "Known: n1, n2, n3, n4")


def test_one_that_comes_into_the_namespace_of_another_gets_an_interface_that_is_free_there(
    oscar: Client, network: Network
) -> None:
    two = TWO.replace("8080", "8080\nnetns = docker:web")
    assert apply(oscar, two + "netns = docker:db\n").status_code == 202
    assert words(apply(oscar, two + "netns = docker:web\n")) == {"ip#0": "unchanged", "ip#1": "changed"}
    assert Allocation.objects.get(resource="ip#1").interface == "eth13"


def test_viewers_may_not(vera: Client, network: Network) -> None:
    assert apply(vera, TWO).status_code == 403
