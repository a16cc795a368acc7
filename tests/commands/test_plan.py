"""manage.py net plan: what it prints of answers, its exit status, what it refuses."""

import json
from dataclasses import asdict, replace

import pytest

from networks.management import plantext
from networks.models import Network
from networks.planned import NodePlan, Result
from nodes.models import Node, Operation
from tests import factories
from tests.commands.conftest import Refusal, Run
from workers.planned import Count, Planned, Risk, Step
from workers.report import Finding

KW = "--kw network#backend1.type=routed_bridge --kw network#backend1.network=10.11.0.0/16"
CUT = Risk(
    "cut", "control-path", "backend1", "add address 10.11.0.1/22 dev obr_backend1", "cuts it", "Do not"
)
CONFLICT = Finding("conflict", "backend1", "bridge obr_backend1", "is somebody else's", "Remove it")
ADDS = Planned(
    "v",
    steps=(
        Step("add", "bridge", "bridge obr_backend1 mtu 1500", "backend1"),
        Step(
            "change",
            "route",
            "route 10.11.4.0/22 via 10.0.0.3",
            "backend1",
            "route 10.11.4.0/22 via 10.0.0.2",
        ),
        Step("remove", "file", "file /net.d/old.conflist", "old"),
    ),
    counts=(
        Count("add", "bridge", "backend1", 1),
        Count("change", "route", "backend1", 3),
        Count("remove", "file", "old", 1),
    ),
    findings=(CONFLICT,),
    risks=(CUT,),
)


def answered(*nodes: str, plan: Planned = ADDS) -> list[NodePlan]:
    answer = json.loads(json.dumps(asdict(plan)))
    return [NodePlan.of(node, "answered", answer) for node in nodes]


def test_risks_come_first_and_each_node_says_what_it_would_do() -> None:
    quiet = [*answered("n2", plan=Planned("v")), NodePlan.of("n3", "silent", None)]
    assert plantext.text(Result([*quiet, *answered("n1")]), "backend1").splitlines() == [
        "plan of backend1: 1 of 3 nodes would change, 1 to add, 3 to change, 1 to remove",
        "CUTS OFF 1 node from the control plane: n1",
        "something is in the way or missing on 1 node",
        "nothing is known of 1 node: n3",
        "",
        "n1: 1 to add, 3 to change, 1 to remove",
        "  ! CUTS OFF    add address 10.11.0.1/22 dev obr_backend1: cuts it. Do not",
        "  x conflict    bridge obr_backend1: is somebody else's. Remove it",
        "  + bridge obr_backend1 mtu 1500",
        "  ~ route 10.11.4.0/22 via 10.0.0.3  (was route 10.11.4.0/22 via 10.0.0.2)",
        "  - file /net.d/old.conflist",
        "  and 2 more changes",
        "",
        "n3: is not heard of, and was not waited for",
        "",
        "n2: nothing to do",
    ]


def test_many_nodes_that_would_do_the_same_are_shown_once() -> None:
    names = [f"n{number}" for number in range(1, 301)]
    lines = plantext.text(Result(answered(*names)), "backend1").splitlines()
    assert (
        lines[0]
        == "plan of backend1: 300 of 300 nodes would change, 300 to add, 900 to change, 300 to remove"
    )
    assert f"{', '.join(names[:20])} and 280 more: 1 to add, 3 to change, 1 to remove" in lines
    assert "  as n1 would do it:" in lines
    assert len(lines) < 15


def test_whom_it_interrupts_is_said_for_each_node_of_a_group() -> None:
    def on(node: str, why: str) -> NodePlan:
        risk = Risk("interrupt", "bridge-gone", "backend1", "remove bridge obr_backend1", why, "Stop them")
        return answered(node, plan=replace(ADDS, risks=(risk,)))[0]

    plans = [on("n1", "takes c1"), on("n2", "takes c2"), *(on(f"n{n}", "takes c2") for n in range(3, 13))]
    lines = plantext.text(Result(plans), "backend1").splitlines()
    assert "  ! interrupts  on n1: remove bridge obr_backend1: takes c1. Stop them" in lines
    assert any(line.startswith("  ! interrupts  on n2, n3, n4, ") for line in lines)


def ends(run: Run, line: str) -> int:
    with pytest.raises(SystemExit) as ended:
        run(line)
    return int(str(ended.value.code))


def test_without_an_answer_nobody_knows(run: Run, nodes: list[Node]) -> None:
    assert ends(run, f"net plan {KW}") == 1
    assert not Network.objects.filter(name="backend1").exists()
    assert Operation.objects.get().subject == "backend1"


def test_a_plan_that_concerns_no_node_ends_well(run: Run) -> None:
    assert run(f"net plan {KW}") == ["plan of backend1: it concerns no node"]


def test_the_network_that_is_drafted_may_be_named_too(run: Run) -> None:
    assert run(f"net plan backend1 {KW}") == ["plan of backend1: it concerns no node"]


def test_it_is_also_json(run: Run) -> None:
    shown = json.loads("\n".join(run(f"net plan --format json {KW}")))
    assert shown["summary"]["nodes"] == 0
    assert shown["groups"] == []


def test_keywords_and_withdrawals_are_one_draft(run: Run, nodes: list[Node]) -> None:
    factories.a_network("old", "10.11.0.0/16")
    assert ends(run, f"net plan old --withdraw {KW}") == 1
    heads = [row.body["head"] for row in Operation.objects.get().questions.all()]
    assert all("backend1" in {n["name"] for n in head["networks"]} for head in heads)
    assert all("old" not in {n["name"] for n in head["networks"]} for head in heads)
    assert Network.objects.filter(name="old").exists()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("net plan", "There is nothing to plan. Give --kw KEYWORD=VALUE, or the NAME of a network"),
        ("net plan --withdraw", "--withdraw: names no network"),
        ("net plan backend2", "network=backend2: is not declared. Did you mean backend1?"),
        ("net plan --kw network#backend1.mtuu=1400", "is no keyword"),
        ("net plan --kw network#backend2.network=10.11.128.0/17", "overlaps"),
        ("net plan --wait 0 backend1", "0 is no number of seconds up to 60"),
        ("net plan --wait 99 backend1", "99 is no number of seconds up to 60"),
    ],
)
def test_it_refuses_as_the_change_would_be(run: Run, refusal: Refusal, line: str, sentence: str) -> None:
    factories.a_network()
    assert sentence in refusal(line)
    assert not Operation.objects.exists()


def test_what_is_in_use_is_withdrawn_only_by_force(run: Run, refusal: Refusal, nodes: list[Node]) -> None:
    factories.an_allocation(factories.a_network(), "10.11.0.2", nodes[0])
    assert "1 address is in use" in refusal("net plan backend1 --withdraw")
    assert ends(run, "net plan backend1 --withdraw --force") == 1
