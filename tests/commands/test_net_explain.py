"""manage.py net explain: the way of a packet as a table, or as JSON."""

import json
from dataclasses import asdict

import pytest

from networks import explaining, explanation
from networks.management import explained
from nodes import questions
from nodes.models import Node, Question
from tests import factories
from tests.commands.conftest import Refusal, Run
from workers import question as wire
from workers.explained import Crossing, Explained, Hop, Passage
from workers.question import Answer

SAME = Hop("bridge", "obr_backend1 up", "obr_backend1 up", True)
GONE = Hop("route", "10.11.4.0/22 via 192.0.2.2", "none", False, "n1 has no route", "The worker adds it")
OTHER = Hop("tunnel", "na_gre up", "na_gre down", False, "na_gre is down", "The worker sets it up")
NARROW = Crossing("10.11.0.1", "10.11.4.1", 3, 3, 0.4, 1500, 1400, "192.0.2.254: too-large")


@pytest.fixture(autouse=True)
def _a_network(nodes: list[Node]) -> None:
    factories.a_network()


def test_nodes_that_nobody_hears_of_are_not_waited_for(run: Run) -> None:
    lines = run("net explain n1 n2")
    assert lines[0] == "10.11.0.1 (bridge of n1, backend1) -> 10.11.4.1 (bridge of n2, backend1)"
    assert lines[2].split() == ["way", "node", "hop", "found", "declared,", "where", "it", "differs"]
    assert [line.split()[:6] for line in lines[3:5]] == [
        ["?", "there", "n1", "bridge", "not", "known"],
        ["?", "there", "n1", "route", "not", "known"],
    ]
    assert lines[-1] == (
        "verdict: n1 is not heard of and n2 is not heard of, so that part of the way is not known; "
        "no packet was sent to try it"
    )


def test_it_is_the_same_in_json(run: Run) -> None:
    told = json.loads("\n".join(run("net explain n1 n2 --format json")))
    assert told["state"] == "unknown"
    assert told["unheard"] == {"n1": "silent", "n2": "silent"}
    assert told["hops"][0]["declared"] == "obr_backend1 10.11.0.1/22"


def test_differences_are_marked_and_said_below_with_what_helps() -> None:
    for name in ("n1", "n2"):
        factories.reported(name)
    operation = explaining.ask("n1", "n2", by="ada", outside=True)
    for row in Question.objects.select_related("node"):
        hops = (SAME, GONE, OTHER) if row.node.name == "n1" else (SAME,)
        passages = tuple(Passage(leg["step"], hops) for leg in row.body["legs"])
        crossings = (NARROW,) if row.node.name == "n1" else ()
        said = Answer("answered", asdict(Explained(passages, crossings)))
        questions.answer(row.node, row.pk, wire.parse_answer(wire.dump(said)))
    printed = explained.text(explanation.result(operation))
    marks = [line[:3] for line in printed.splitlines()[3:10]]
    assert marks == ["   ", ">>>", " ! ", "   ", "   ", "   ", " ! "]
    assert "0.40 ms, only up to 1400 of 1500 bytes (192.0.2.254: too-large)" in printed
    assert "n1 has no route.\n  The worker adds it\n" in printed
    assert "verdict: n1 has no route; of 1500 bytes, which it should carry, only 1400 cross" in printed


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("net explain n1 n9", "destination=n9: is no address, node, service"),
        ("net explain n1 ''", "destination=: is empty. Give an address or a name"),
        ("net explain n1 n2 --wait 100", "is no number of seconds"),
    ],
)
def test_what_is_refused(refusal: Refusal, line: str, sentence: str) -> None:
    assert sentence in refusal(line)
