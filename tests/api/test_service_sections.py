"""/api/v1/services/: a service's configuration applied on a node."""

from typing import Any

import pytest

from networks.models import Allocation, HostPort, Network
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


def _with(**columns: str) -> str:
    """Two resources, with another value each of the keywords."""
    given = {keyword: texts.split("|") for keyword, texts in columns.items()}
    sections = (
        f"[ip#{number}]\ntype = cni\nnetwork = backend1\n"
        + "".join(f"{keyword} = {texts[number]}\n" for keyword, texts in given.items() if texts[number])
        for number in (0, 1)
    )
    return "".join(sections)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("80/tcp|80/tcp:8080", "80/tcp:8080|80/tcp"),
        ("80/tcp:8080|80/tcp", "80/tcp|80/tcp:8080"),
        ("80/tcp:8080|80/tcp:8081", "80/tcp:8081|80/tcp:8082"),
        ("80/tcp:8081|80/tcp:8080", "80/tcp:8082|80/tcp:8081"),
        ("80/tcp:8080 53/udp:53|", "80/tcp:8080|53/udp:53"),
    ],
)
def test_a_port_of_the_node_changes_hands_among_those_that_stay(
    oscar: Client, network: Network, before: str, after: str
) -> None:
    apply(oscar, _with(expose=before))
    assert set(words(apply(oscar, _with(expose=after))).values()) <= {"changed", "unchanged"}
    ports = HostPort.objects.order_by("allocation__resource", "port")
    named = [f"{one.allocation.resource} {one.port}/{one.protocol}" for one in ports]
    assert named == [
        f"ip#{number} {port.split(':')[1]}/{port.split('/')[1].split(':')[0]}"
        for number, text in enumerate(after.split("|"))
        for port in text.split()
        if ":" in port
    ]
    assert words(apply(oscar, _with(expose=after))) == {"ip#0": "unchanged", "ip#1": "unchanged"}


def test_ports_of_the_node_are_not_exchanged(oscar: Client, network: Network) -> None:
    """Its worker gives none of them up before the other one is free."""
    apply(oscar, _with(expose="80/tcp:8080|80/tcp:8081"))
    response = apply(oscar, _with(expose="80/tcp:8081|80/tcp:8080"))
    assert response.status_code == 409
    [fault] = response.json()["errors"]
    assert (fault["field"], fault["why"]) == ("ip#0.expose", "leads to prod/svc/web ip#1")
    assert HostPort.objects.count() == 2
    for expose in ("80/tcp:8080|80/tcp", "80/tcp:8081|80/tcp", "80/tcp:8081|80/tcp:8080"):
        assert "ip#0" in words(apply(oscar, _with(expose=expose)))


@pytest.mark.parametrize("after", ["eth13|eth12", "eth13|eth14", "net0|eth12"])
def test_the_name_of_an_interface_changes_hands_among_those_that_stay(
    oscar: Client, network: Network, after: str
) -> None:
    apply(oscar, _with(nsdev="eth12|eth13"))
    assert words(apply(oscar, _with(nsdev=after))) == {"ip#0": "changed", "ip#1": "changed"}
    rows = Allocation.objects.order_by("resource")
    assert [row.interface for row in rows] == after.split("|")
    told = Event.objects.filter(verb="changed").order_by("pk")
    assert [event.before["interface"] for event in told] == ["eth12", "eth13"]
    assert words(apply(oscar, _with(nsdev=after))) == {"ip#0": "unchanged", "ip#1": "unchanged"}


def test_no_two_get_the_same_interface_by_what_they_give_up(oscar: Client, network: Network) -> None:
    apply(oscar, _with(nsdev="eth12|eth13"))
    response = apply(oscar, _with(nsdev="eth14|eth14"))
    assert (response.status_code, response.json()["errors"][0]["field"]) == (409, "ip#1.interface")
    rows = Allocation.objects.order_by("resource")
    assert [row.interface for row in rows] == ["eth12", "eth13"]


def test_a_port_of_one_that_is_renamed_is_free_when_its_node_has_let_go(
    oscar: Client, n1: Client, network: Network
) -> None:
    one = "[ip#0]\ntype = cni\nnetwork = backend1\nexpose = 80/tcp:8080\n"
    apply(oscar, one)
    response = apply(oscar, one.replace("ip#0", "ip#web"))
    assert response.status_code == 409
    [fault] = response.json()["errors"]
    assert fault["why"] == "leads to prod/svc/web ip#0, which is being released"
    remedy = "Use another port of the node, or leave ip#web out until prod/svc/web ip#0 is gone"
    assert fault["remedy"] == remedy
    apply(oscar, "")
    state(n1)
    assert words(apply(oscar, one.replace("ip#0", "ip#web"))) == {"ip#web": "requested"}


def test_viewers_may_not(vera: Client, network: Network) -> None:
    assert apply(vera, TWO).status_code == 403
