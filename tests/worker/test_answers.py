"""The thread that answers questions: a real worker in its namespace asks a real control plane."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from lab.waiting import until
from tests.worker.conftest import Node
from tests.worker.control_plane import Answer, ControlPlane
from workers import answers
from workers.agent import Agent
from workers.answers import Answers
from workers.asked import Ground
from workers.question import Answer as Said
from workers.watch import Watch


@dataclass(frozen=True)
class Echo:
    says: Any
    shared: Any
    links: list[str]


def echo(body: Any, ground: Ground) -> Echo:
    """What was asked, and something that only the node's kernel knows."""
    if body == "fail":
        raise ValueError("that is no question")
    from workers.kernel import links

    found = (links.decode(one, 0)[0].name for one in ground.kernel.netlink.dump(links.DUMP))
    return Echo(body, dict(ground.shared), sorted(found))


@pytest.fixture(autouse=True)
def _echoes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(answers.KINDS, "echo", echo)


@pytest.fixture
def answering(node: Node, plane: ControlPlane) -> Iterator[Answers]:
    thread = Answers(node.settings, lambda: None)
    with node.namespace.entered():
        thread.start()
    yield thread
    thread.stop()
    plane.drop_connections()
    thread.join()


def told(plane: ControlPlane, number: int) -> Said:
    until(lambda: number in plane.answers, what="the answer", within=5)
    return plane.answers[number]


def test_it_answers_of_the_kernel_it_is_in(answering: Answers, plane: ControlPlane) -> None:
    plane.shared = {"abc": ["part"]}
    number = plane.ask("echo", {"say": "ping"})
    answering.ask()
    assert told(plane, number) == Said(
        "answered", {"says": {"say": "ping"}, "shared": {"abc": ["part"]}, "links": ["eth0", "lo", "wire"]}
    )


def test_one_that_goes_wrong_is_answered_so_and_the_next_one_right(
    answering: Answers, plane: ControlPlane
) -> None:
    failing, other, good = plane.ask("echo", "fail"), plane.ask("sing", {}), plane.ask("echo", "x")
    answering.ask()
    assert told(plane, failing) == Said("failed", why="ValueError: that is no question")
    assert told(plane, other) == Said(
        "failed", why="this worker answers no questions of kind sing; upgrade it"
    )
    assert told(plane, good).state == "answered"


def test_one_that_could_not_be_told_is_answered_when_it_is_told_of_again(
    answering: Answers, plane: ControlPlane
) -> None:
    number = plane.ask("echo", "x")
    plane.answer = Answer(503)
    answering.ask()
    until(lambda: plane.requests, what="the attempt", within=5)
    plane.answer = None
    answering.ask()
    assert told(plane, number).state == "answered"


@pytest.fixture
def agent(node: Node, plane: ControlPlane) -> Iterator[Agent]:
    """Started, and done with its first document."""
    with node.namespace.entered(), Watch() as watch:
        agent = Agent(node.settings, watch)
        agent.start()
        until(plane.told, what="the first report", within=60)
        yield agent
        agent.stop()
        plane.drop_connections()
        agent.join()


def test_a_worker_hears_of_it_with_a_wake_up_and_repairs_while_it_answers(
    node: Node, plane: ControlPlane, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    going, go = threading.Event(), threading.Event()

    def slow(body: Any, ground: Ground) -> Echo:
        going.set()
        go.wait(20)
        return Echo(body, {}, [])

    monkeypatch.setitem(answers.KINDS, "slow", slow)
    number = plane.ask("slow", "x")
    start = time.monotonic()
    agent.look()
    assert going.wait(5)
    assert time.monotonic() - start < 1
    node.ip("route del 10.11.2.0/24")
    until(lambda: "10.11.2.0/24" in node.routes(), what="the route is back", within=5)
    assert number not in plane.answers
    go.set()
    assert told(plane, number).state == "answered"
