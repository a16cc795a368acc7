"""/api/v1/nodes/NAME/report/: what a node says, by its own token; the newest one for people."""

import dataclasses
import json
import time
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from networks import membership, usage
from networks.models import Address, Allocation
from nodes.models import Event, Node, Report
from tests import factories
from tests.conftest import Client, of_node
from workers import report as wire

URL = "/api/v1/nodes/n1/report/"


def send(node: Client, said: wire.Report | bytes, **headers: Any) -> Any:
    body = said if isinstance(said, bytes) else wire.dump(said)
    return node.post(URL, body, **{"content_type": "application/json", **headers})


def test_it_is_taken_in(n1: Client, vera: Client) -> None:
    version = Node.objects.get(name="n1").desired_version
    said = factories.a_report(
        version=version,
        outcome="applied",
        changes=("add bridge obr_default",),
        routes=3,
        files={"default.conflist": "{}"},
        capabilities={"kernel": "6.1"},
        milliseconds=2.5,
    )
    response = send(n1, said)
    assert (response.status_code, response.content) == (204, b"")
    node = Node.objects.get(name="n1")
    assert node.applied_version == version
    assert node.last_seen is not None
    shown = vera.get(URL).json()
    assert (shown["outcome"], shown["routes"], shown["last_plan"]) == (
        "applied",
        3,
        ["add bridge obr_default"],
    )
    assert (shown["files"], shown["capabilities"]) == ({"default.conflist": "{}"}, {"kernel": "6.1"})
    assert Event.objects.filter(actor="node n1", verb="applied").count() == 1


def test_it_brings_leases_as_allocations_and_takes_them_away(n1: Client) -> None:
    factories.a_network()
    send(n1, factories.a_report(leases=(factories.a_lease(), factories.a_lease(address="10.11.0.3"))))
    assert [str(row.address) for row in Address.objects.all()] == ["10.11.0.2", "10.11.0.3"]
    send(n1, factories.a_report(leases=(factories.a_lease(address="10.11.0.3", container="c2"),)))
    [row] = Address.objects.select_related("allocation")
    assert (str(row.address), row.allocation.container) == ("10.11.0.3", "c2")
    assert row.allocation.state == "attached"
    send(n1, factories.a_report())
    assert not Allocation.objects.exists()


def test_it_takes_a_lease_of_any_length_and_of_no_network(n1: Client) -> None:
    factories.a_network()
    leases = (
        factories.a_lease(container="c" * 500, interface="e" * 50),
        factories.a_lease("gone", "10.99.0.2"),
        factories.a_lease(container="twice the same address"),
    )
    assert send(n1, factories.a_report(leases=leases[:2])).status_code == 204
    [row] = Allocation.objects.all()
    assert send(n1, factories.a_report(leases=leases[:2])).status_code == 204
    assert [kept.pk for kept in Allocation.objects.all()] == [row.pk]
    assert send(n1, factories.a_report(leases=leases)).status_code == 204
    assert Allocation.objects.count() == 1


def test_it_leaves_what_was_asked_for_alone(n1: Client, nodes: list[Node]) -> None:
    network = factories.a_network()
    asked = factories.an_allocation(network, "10.11.0.2", nodes[0])
    send(n1, factories.a_report(leases=(factories.a_lease(address="10.11.0.2"),)))
    send(n1, factories.a_report())
    assert [row.pk for row in Allocation.objects.all()] == [asked.pk]


def test_one_that_comes_late_is_ignored(n1: Client) -> None:
    factories.a_network()
    older = factories.a_report(outcome="failed", leases=(factories.a_lease(),))
    newer = factories.a_report()
    for said in (newer, older, newer):
        assert send(n1, said).status_code == 204
        assert Report.objects.get(node__name="n1").outcome == "unchanged"
        assert not Allocation.objects.exists()


def test_a_node_whose_clock_is_put_right_is_heard(n1: Client, vera: Client) -> None:
    now = time.time_ns()
    for sequence, milliseconds in ((now + 3600 * 10**9, 1.0), (now, 2.0), (now - 1, 3.0)):
        send(n1, factories.a_report(sequence=sequence, milliseconds=milliseconds))
    assert vera.get(URL).json()["milliseconds"] == 2.0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b'{"format":1,', "body"),
        (b"[]", "format"),
        (wire.dump(factories.a_report("n2")), "node"),
        (wire.dump(dataclasses.replace(factories.a_report(), outcome="done")), "outcome"),
        (json.dumps({"format": 1, "node": "n1"}).encode(), "sequence"),
    ],
)
def test_it_is_refused_naming_the_field(n1: Client, body: bytes, field: str) -> None:
    response = send(n1, body)
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["errors"][0]["field"] == field
    assert not Report.objects.exists()


def test_it_may_be_large_but_not_too_large(n1: Client) -> None:
    said = factories.a_report(files={f"{number}.conflist": "x" * 100_000 for number in range(40)})
    assert send(n1, said).status_code == 204
    response = send(n1, b" " * (wire.MAX_BYTES + 1))
    assert response.status_code == 413
    assert response["Content-Type"] == "application/problem+json"


def test_it_is_json(n1: Client) -> None:
    assert send(n1, factories.a_report(), content_type="text/plain").status_code == 415


def test_another_node_and_a_person_are_refused(ada: Client, nodes: list[Node]) -> None:
    assert send(of_node(nodes[1]), factories.a_report()).status_code == 403
    assert send(ada, factories.a_report()).status_code == 403
    assert not Report.objects.exists()


def test_a_removed_node_is_told_that_it_is_gone(n1: Client) -> None:
    membership.remove("n1", by="ada")
    assert send(n1, factories.a_report()).status_code == 410


def test_a_node_that_is_removed_meanwhile_is_told_too(
    nodes: list[Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its token's look-up and the transaction."""
    n1 = of_node(nodes[0])
    take_in = usage.take_in

    def removed_first(node: Node, said: wire.Report) -> bool:
        membership.remove("n1", by="ada")
        return take_in(node, said)

    monkeypatch.setattr(usage, "take_in", removed_first)
    assert send(n1, factories.a_report()).status_code == 410


def test_there_is_none_before_the_first(vera: Client, nodes: list[Node]) -> None:
    response = vera.get(URL)
    assert response.status_code == 404
    assert "has not reported yet" in response.json()["detail"]


def test_it_costs_the_same_however_many_leases_there_are(n1: Client) -> None:
    factories.a_network()
    costs = []
    for many in (1, 50):
        leases = tuple(factories.a_lease(address=f"10.11.{many}.{number}") for number in range(many))
        send(n1, factories.a_report())
        with CaptureQueriesContext(connection) as queries:
            assert send(n1, factories.a_report(leases=leases)).status_code == 204
        costs.append(len(queries))
    assert costs[0] == costs[1]
    with CaptureQueriesContext(connection) as queries:
        send(n1, factories.a_report(leases=leases))
    assert len(queries) < costs[0]
