"""POST /api/v1/explain/: who is asked about the way of a packet, and what came of it."""

from dataclasses import asdict
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from networks.models import Type
from nodes import questions
from nodes.models import Event, Node, Operation, Question
from tests import factories
from tests.conftest import Client
from workers import document
from workers import question as wire
from workers.explained import Crossing, Echo, Explained, Hop, Leg, Passage
from workers.question import Answer

URL = "/api/v1/explain/"


@pytest.fixture(autouse=True)
def _a_network(nodes: list[Node]) -> None:
    """n1 10.11.0.0/22, n2 10.11.4.0/22, n3 10.11.8.0/22 on one subnet; n4 has no part in it."""
    factories.a_network(nodes=factories.IN_SCOPE)
    for node in (*nodes, *nodes):  # what they report makes an MTU, which they carry out
        lease = factories.a_lease(address="10.11.4.9", container="0f3c59d2aa") if node.name == "n2" else None
        number = node.name[1:]
        factories.reported(
            node,
            leases=(lease,) if lease else (),
            interfaces=(factories.an_interface(f"192.0.2.{number}/24"),),
        )


def ask(client: Client, source: str, destination: str, **more: str) -> Any:
    return client.post(URL, {"source": source, "destination": destination, **more})


def bodies() -> dict[str, Any]:
    """Node to what it is asked."""
    return {row.node.name: row.body for row in Question.objects.select_related("node")}


def legs(node: str) -> list[Leg]:
    return [Leg(**leg) for leg in bodies()[node]["legs"]]


def refused(response: Any) -> str:
    assert response.status_code in (400, 404), response.json()
    return str(response.json()["detail"])


def answered(node: str, *passages: Passage, crossings: tuple[Crossing, ...] = ()) -> None:
    row = Question.objects.get(node__name=node)
    said = Answer("answered", asdict(Explained(passages, crossings)))
    questions.answer(row.node, row.pk, wire.parse_answer(wire.dump(said)))


def result(client: Client) -> Any:
    return client.get(f"/api/v1/operations/{Operation.objects.get().pk}/").json()["result"]


def test_the_nodes_at_both_ends_are_asked_about_both_ways(vera: Client) -> None:
    before = Event.objects.count()
    response = ask(vera, "10.11.0.7", "10.11.4.9")
    assert response.status_code == 202
    assert response["Location"] == f"/api/v1/operations/{Operation.objects.get().pk}/"
    assert Event.objects.count() == before
    way = {"source": "10.11.0.7", "destination": "10.11.4.9", "over": "backend1"}
    back = {"source": "10.11.4.9", "destination": "10.11.0.7", "over": "backend1", "reply": True}
    holder = "0f3c59d2aa"
    assert legs("n1") == [
        Leg(0, **way, starts="container", out_of="backend1", peer="n2"),
        Leg(3, **back, ends="container", into="backend1", peer="n2", arrives="direct"),
    ]
    assert legs("n2") == [
        Leg(1, **way, ends="container", receiver=holder, into="backend1", peer="n1", arrives="direct"),
        Leg(2, **back, starts="container", sender=holder, out_of="backend1", peer="n1"),
    ]
    versions = dict(Node.objects.values_list("name", "desired_version"))
    heads = {name: document.canonical(body["head"]) for name, body in bodies().items()}
    assert {name: document.digest(head) for name, head in heads.items()} == {
        name: versions[name] for name in ("n1", "n2")
    }


def test_each_tries_the_rest_of_the_way_and_its_own_container(vera: Client) -> None:
    ask(vera, "n1", "10.11.4.9")
    echoes = {name: [Echo(**echo) for echo in body["echoes"]] for name, body in bodies().items()}
    assert echoes == {
        "n1": [Echo("10.11.0.1", "10.11.4.9", 1500)],
        "n2": [Echo("10.11.4.1", "10.11.4.9", 1500), Echo("10.11.4.1", "10.11.0.1", 1500)],
    }


@pytest.mark.parametrize(("name", "count"), [("vera", 0), ("oscar", 1)])
def test_only_for_operators_echoes_go_to_other_addresses(
    request: pytest.FixtureRequest, name: str, count: int
) -> None:
    client = request.getfixturevalue(name)
    assert ask(client, "10.11.0.7", "203.0.113.9").status_code == 202
    assert len(bodies()["n1"]["echoes"]) == count
    assert [leg.step for leg in legs("n1")] == [0]


@pytest.mark.parametrize(
    ("given", "address", "kind", "node"),
    [
        ("n2", "10.11.4.1", "bridge", "n2"),
        ("10.11.4.1", "10.11.4.1", "bridge", "n2"),
        ("10.11.4.9", "10.11.4.9", "container", "n2"),
        ("0f3c59", "10.11.4.9", "container", "n2"),
        ("root/svc/web", "10.11.8.7", "container", "n3"),
        ("10.22.0.5@n3", "10.22.0.5", "container", "n3"),
        ("192.0.2.4", "192.0.2.4", "node", "n4"),
        ("203.0.113.9", "203.0.113.9", "outside", ""),
    ],
)
def test_an_end_is_named_as_people_name_it(
    vera: Client, nodes: list[Node], given: str, address: str, kind: str, node: str
) -> None:
    factories.an_allocation(factories.Network.objects.get(name="backend1"), "10.11.8.7", nodes[2])
    assert ask(vera, "10.11.0.7", given, network="").status_code == 202
    end = Operation.objects.get().asked["ends"][1]
    assert (end["address"], end["kind"], end["node"]) == (address, kind, node)


@pytest.mark.parametrize(
    ("source", "destination", "network", "sentence"),
    [
        ("n1", "n9", "", "destination=n9: is no address, node, service, container or host name that holds"),
        (
            "n1",
            "n4",
            "backend1",
            "destination=n4: has no IPv4 bridge address in backend1. Give an address, or",
        ),
        ("n1", "n2", "nowhere", "network=nowhere: is not declared. Known: backend1, default, lo"),
        ("n1", "10.11.12.5", "", "is in backend1, but in no node's segment. Segments: 10.11.0.0/22 on n1,"),
        ("n1", "10.11.4.9@n3", "", "destination=10.11.4.9@n3: is in the segment of n2, not of n3"),
        ("n1", "10.22.0.5", "", "is in default, a local bridge that 4 nodes have for themselves. Say on"),
        ("n1", "fd00::1", "", "source=n1: has no IPv6 bridge address in backend1"),
        ("10.11.0.7", "fd00::1", "", "destination=fd00::1: is IPv6, and 10.11.0.7 is IPv4"),
        ("n1", "10.11.0.1", "", "destination=10.11.0.1: is the source too"),
        ("n1", "127.0.0.1", "", "is no address that packets cross nodes with"),
        ("203.0.113.1", "203.0.113.2", "", "is of no network and no node, and neither is 203.0.113.2"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_what_helps(
    vera: Client, source: str, destination: str, network: str, sentence: str
) -> None:
    assert sentence in refused(ask(vera, source, destination, network=network))
    assert not Operation.objects.exists()


def test_a_field_that_is_missing_or_unknown_is_refused(vera: Client) -> None:
    assert "destination=: This field is required" in refused(vera.post(URL, {"source": "n1"}))
    assert "is no field; what can be given is source" in refused(ask(vera, "n1", "n2", port="80"))


def test_a_service_of_several_addresses_is_refused_with_their_list(vera: Client, nodes: list[Node]) -> None:
    network = factories.Network.objects.get(name="backend1")
    for number, node in enumerate(nodes[:2]):
        factories.an_allocation(network, f"10.11.{4 * number}.7", node)
    found = refused(ask(vera, "10.11.8.2", "root/svc/web"))
    assert "holds 2 addresses. Name one of them: 10.11.0.7@n1, 10.11.4.7@n2" in found


def test_a_local_bridge_is_no_way_to_another_node_and_that_is_said_at_once(vera: Client) -> None:
    ask(vera, "10.22.0.5@n1", "10.11.4.9")
    assert len(legs("n1")) == 1
    told = result(vera)
    last = told["hops"][-1]
    assert (last["way"], last["node"], last["same"]) == ("back", "n2", False)
    assert last["why"] == "default is a local bridge, so n2 has no route to 10.22.0.5@n1"


def test_a_node_outside_of_the_scope_has_no_way_in(vera: Client) -> None:
    response = ask(vera, "10.22.0.5@n4", "10.11.4.9")
    assert response.status_code == 200
    told = response.json()["result"]
    assert told["first_difference"] == {
        "index": 0, "sentence": "n4 has no part in backend1, so it has no route to n2"
    }  # fmt: skip
    assert told["verdict"].endswith("; no packet was sent to try it")


def test_what_comes_from_outside_is_followed_from_the_node_that_gets_it(oscar: Client) -> None:
    ask(oscar, "203.0.113.9", "10.11.4.9")
    assert list(bodies()) == ["n2"]
    assert [(leg.starts, leg.ends, leg.over) for leg in legs("n2")] == [
        ("", "container", ""), ("container", "", "")
    ]  # fmt: skip
    assert [echo["destination"] for echo in bodies()["n2"]["echoes"]] == ["10.11.4.9", "203.0.113.9"]


def test_from_network_to_network_that_of_the_destination_carries_it(vera: Client) -> None:
    factories.a_network("backend2", "10.12.0.0/16", nodes=factories.IN_SCOPE, tunnel="always", mtu=1400)
    ask(vera, "10.11.0.7", "10.12.4.9")
    there, back = legs("n1")
    assert (there.out_of, there.over, back.over, back.arrives) == (
        "backend1", "backend2", "backend1", "direct"
    )  # fmt: skip
    assert [leg.arrives for leg in legs("n2")] == ["tunnel", ""]
    assert {echo["size"] for body in bodies().values() for echo in body["echoes"]} == {1400}


def test_on_one_node_it_alone_is_asked(vera: Client) -> None:
    factories.a_network("local1", "10.10.0.0/24", Type.BRIDGE)
    ask(vera, "10.10.0.5@n2", "10.11.4.9")
    ways = [("local1", "backend1"), ("backend1", "local1")]
    assert [(leg.out_of, leg.into) for leg in legs("n2")] == ways
    assert list(bodies()) == ["n2"]


SAME = Hop("bridge", "obr_backend1 up", "obr_backend1 up", True)
GONE = Hop("route", "10.11.4.0/22 via 192.0.2.2", "none", False, "n1 has no route", "The worker")
CROSSED = Crossing("10.11.0.1", "10.11.4.9", 1, 1, 0.4, 1500, 1500)


@pytest.mark.parametrize(
    ("there", "crossing", "state", "verdict"),
    [
        (SAME, CROSSED, "crosses", "As declared, and packets cross (0.40 ms, up to 1500 bytes)"),
        (
            SAME,
            Crossing("10.11.0.1", "10.11.4.9", 3, 0),
            "lost",
            "As declared, but packets are lost between n1 and n2",
        ),
        (
            SAME,
            Crossing("10.11.0.1", "10.11.4.9", 3, 3, 0.4, 1500, 1400, "192.0.2.254: too-large"),
            "narrow",
            "As declared, but of 1500 bytes, which it should carry, only 1400 cross between n1 and n2 "
            "(192.0.2.254: too-large)",
        ),
        (GONE, CROSSED, "differs", "n1 has no route; packets cross (0.40 ms, up to 1500 bytes)"),
    ],
)
def test_the_answers_make_one_sentence(
    vera: Client, there: Hop, crossing: Crossing, state: str, verdict: str
) -> None:
    ask(vera, "n1", "10.11.4.9")
    assert result(vera)["state"] == "waiting"
    answered("n1", Passage(0, (SAME, there)), Passage(3, (SAME,)), crossings=(crossing,))
    assert result(vera)["verdict"] == "Waiting for n2"
    answered("n2", Passage(1, (SAME,)), Passage(2, (SAME,)))
    told = result(vera)
    assert (told["state"], told["verdict"]) == (state, verdict)
    assert [(hop["way"], hop["node"]) for hop in told["hops"]] == [
        ("there", "n1"), ("there", "n1"), ("there", "n2"), ("back", "n2"), ("back", "n1")
    ]  # fmt: skip
    assert told["first_difference"] == (
        {"index": 1, "sentence": "n1 has no route"} if state == "differs" else None
    )


def test_a_difference_of_a_node_that_is_behind_says_so(vera: Client) -> None:
    ask(vera, "n1", "10.11.4.9")
    answered("n1", Passage(0, (GONE,)), Passage(3, (SAME,)))
    Node.objects.filter(name="n1").update(applied_version="old")
    sentence = result(vera)["first_difference"]["sentence"]
    assert sentence == "n1 has no route; it has not carried out the newest declaration yet"


def test_an_answer_of_another_shape_is_refused(vera: Client, nodes: list[Node]) -> None:
    ask(vera, "n1", "10.11.4.9")
    row = Question.objects.get(node__name="n1")
    with pytest.raises(wire.wire.WireError, match="passages: is missing"):
        questions.answer(row.node, row.pk, Answer("answered", {}))


def test_the_number_of_queries_does_not_grow_with_nodes(
    vera: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_max_num_queries(60):
        ask(vera, "n1", "10.11.4.9")
    answered("n1", Passage(0, (SAME,)), Passage(3, (SAME,)))
    with django_assert_max_num_queries(6):
        result(vera)
