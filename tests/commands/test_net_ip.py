"""manage.py net ip: who holds addresses, keeping some, those whose holder is gone."""

import io
import json
from dataclasses import asdict

import pytest
from django.core.management import call_command

from networks import leaks, reservations
from networks.models import Allocation
from nodes import questions
from nodes.models import Event, Node, Operation, Question
from tests import factories
from tests.commands.conftest import Refusal, Run
from workers.holdings import Declined
from workers.leaked import Leak, Leaked
from workers.question import Answer


@pytest.fixture
def in_use(nodes: list[Node]) -> None:
    network = factories.a_network()
    factories.an_allocation(network, "10.11.4.9", nodes[1], service="root/svc/web")
    factories.reported("n1", leases=(factories.a_lease(address="10.11.0.2", container="c" * 64),))


def test_it_keeps_and_gives_back(run: Run, in_use: None) -> None:
    assert run("net ip reserve backend1 --count 2 --node n1") == ["10.11.3.254 on n1", "10.11.3.253 on n1"]
    assert run("net ip reserve backend1 10.11.4.20 10.11.200.7 --comment printers") == [
        "10.11.4.20 on n2",
        "10.11.200.7",
    ]
    assert run("net ip release backend1 10.11.3.254 10.11.4.20") == ["released 10.11.3.254, 10.11.4.20"]
    assert Allocation.objects.filter(state="reserved").count() == 2


def test_it_lists_who_holds_what(run: Run, in_use: None) -> None:
    run("net ip reserve backend1 10.11.4.20 --comment printers")
    header, *lines = run("net ip ls")
    assert header.split() == ["address", "network", "node", "holder", "state", "since", "why"]
    cells = [line.split() for line in lines]
    assert [(row[0], row[2], row[3]) for row in cells] == [
        ("10.11.0.2", "n1", "cccccccccccc"),
        ("10.11.4.9", "n2", "root/svc/web"),
        ("10.11.4.20", "n2", "printers"),
    ]
    assert [row["address"] for row in json.loads("".join(run("net ip ls --state reserved --json")))] == [
        "10.11.4.20"
    ]
    assert len(run("net ip ls --network backend1 --node n2")) == 3


def test_it_refuses_in_the_same_words_as_the_api(run: Run, refusal: Refusal, in_use: None) -> None:
    assert "root/svc/web on n2" in refusal("net ip reserve backend1 10.11.4.9")
    assert "is the bridge's address" in refusal("net ip reserve backend1 10.11.4.1")
    assert "nobody has it in backend1" in refusal("net ip release backend1 10.11.9.9")
    assert "address=ten: is no IP address" in refusal("net ip reserve backend1 ten")
    said = refusal("net ip reserve backend1 10.11.4.20 --count 3")
    assert said == "count=3: of the one address 10.11.4.20 there is one. Leave count out, or address"
    said = refusal("net ip release backend1 10.11.4.9")
    assert said.startswith("address=10.11.4.9: is no reservation: root/svc/web on n2")
    assert "Known: n1, n2, n3, n4" in refusal("net ip ls --node n9")


def test_a_check_says_which_node_found_what(run: Run, in_use: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def answered(operation: Operation, seconds: float) -> None:
        for question in Question.objects.filter(operation=operation):
            lost = question.node.name == "n1"
            leak = Leak("backend1", "10.11.0.2", "c" * 64, "eth0", 1_800_000_000.0, question.body["release"])
            Node.objects.filter(pk=question.node.pk).update(last_seen=None)
            Question.objects.filter(pk=question.pk).update(state="waiting")
            said = Answer("answered", asdict(Leaked((leak,) if lost else (), 1)))
            questions.answer(question.node, question.pk, json_like(said))

    monkeypatch.setattr(questions, "wait", answered)
    lines = run("net ip check --network backend1")
    assert lines[:2] == [
        "n1: 1 of 1 leases are of containers that are gone",
        "n2: 0 of 1 leases are of containers that are gone",
    ]
    assert lines[-1].split()[:4] == ["n1", "backend1", "10.11.0.2", "cccccccccccc"]
    assert lines[-1].endswith("would be freed")
    assert run("net ip check --node n1 --release")[-1].endswith("  freed")


def test_what_a_node_declined_is_said_with_what_helps(run: Run, in_use: None) -> None:
    run("net ip reserve backend1 --node n2 --comment printers")
    row = Allocation.objects.get(state="reserved")
    reservations.take_in(Node.objects.get(name="n2"), [Declined(row.uuid.hex, "cafe")])
    why = "cafe has it on n2. It is kept as soon as that is gone; or release it, and reserve another one"
    line = next(line for line in run("net ip ls") if line.startswith("10.11.7.254"))
    assert line.split()[:5] == ["10.11.7.254", "backend1", "n2", "printers", "declined"]
    assert line.endswith(why)
    assert f"10.11.7.254 of backend1, reserved for printers: {why}" in "\n".join(run("net status"))
    printed = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("net", "ip", "check", "--wait", "0.1", stdout=printed)
    assert f"10.11.7.254 of backend1, reserved for printers: {why}" in printed.getvalue()
    event = Event.objects.get(verb="declined")
    assert f"{event.after['why']}. {event.after['remedy']}" == why


def json_like(answer: Answer) -> Answer:
    return Answer(answer.state, json.loads(json.dumps(answer.content)), answer.why)


def test_a_node_that_does_not_answer_is_said_so(run: Run, in_use: None) -> None:
    with pytest.raises(SystemExit):
        run("net ip check --wait 0.1")


def test_a_node_is_told_which_containers_are_of_services(nodes: list[Node]) -> None:
    held = factories.an_allocation(factories.a_network(), "10.11.0.9", nodes[0])
    operation = leaks.ask(nodes, release=False, by="ada", within=1)
    assert operation.questions.get(node=nodes[0]).body == {"release": False, "ours": [held.uuid.hex]}
