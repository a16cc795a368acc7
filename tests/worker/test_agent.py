"""Triggers to runs: the agent as a thread in its node's namespace, against a real broker."""

import threading
from collections.abc import Callable, Iterator

import pytest
from celery.worker import state

from lab.waiting import until
from tests.worker import documents
from tests.worker.broker import Broker
from tests.worker.conftest import Node, Runs, declare
from tests.worker.control_plane import ControlPlane
from workers.agent import Agent
from workers.app import QUESTIONS, TASK, Listener

BOTH = {"10.11.2.0/24", "10.11.3.0/24"}


@pytest.fixture
def listening(node: Node, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Starts a listener with what it is to call; returns when it listens."""
    monkeypatch.setattr(state, "should_stop", None)
    listeners: list[Listener] = []

    def start(look: Callable[[], None], answer: Callable[[], None] = lambda: None) -> None:
        listener = Listener(node.settings, {TASK: look, QUESTIONS: answer})
        with node.namespace.entered():
            listener.start()
        listeners.append(listener)
        until(lambda: broker.listeners() == 1, what="Celery listens", within=60)

    yield start
    for listener in listeners:
        listener.stop(5)
        assert not listener.is_alive()


def test_a_question_in_the_broker_wakes_nobody_but_who_answers(
    broker: Broker, listening: Callable[..., None]
) -> None:
    woken, asked = threading.Event(), threading.Event()
    listening(woken.set, asked.set)
    broker.wake(task="netadmin.questions")
    assert asked.wait(5)
    assert not woken.is_set()


def test_a_wake_up_in_the_broker_calls_the_agent(broker: Broker, listening: Callable[..., None]) -> None:
    woken = threading.Event()
    listening(woken.set)
    broker.wake("n2")
    broker.wake("n1")
    assert woken.wait(2)
    assert (broker.waiting("n1"), broker.waiting("n2")) == (0, 1)
    assert broker.denied() == []


def test_a_wake_up_does_not_wait_behind_a_run(
    agent: Agent, runs: Runs, node: Node, plane: ControlPlane, broker: Broker, listening: Callable[..., None]
) -> None:
    listening(agent.look)
    count, fetches = runs.count, plane.fetches
    runs.go.clear()
    node.ip("route del 10.11.2.0/24")
    until(lambda: runs.count == count + 1, what="a run begins", within=5)
    declare(plane, documents.body(documents.backend(peers=5)))
    for _ in range(3):
        broker.wake()
    until(lambda: broker.waiting() == 0, what="all wake-ups are taken", within=2)
    until(lambda: plane.fetches > fetches, what="the document is fetched", within=2)
    assert runs.count == count + 1
    runs.go.set()
    until(lambda: "10.11.5.0/24" in node.routes(), what="the next run", within=5)


def test_what_happens_during_a_run_is_one_more_run(agent: Agent, runs: Runs, node: Node) -> None:
    count = runs.count
    runs.go.clear()
    node.ip("route del 10.11.2.0/24")
    until(lambda: runs.count == count + 1, what="a run begins", within=5)
    for number in range(20):
        agent.look()
        node.ip(f"route add 10.20.{number}.0/24 via 10.0.0.2")
    runs.go.set()
    until(lambda: node.routes() == BOTH, what="the route is back", within=5)
    until(lambda: runs.count >= count + 1, what="the run for the rest", within=5)
    assert runs.count <= count + 3


def test_a_run_that_fails_is_reported_and_tried_again(
    agent: Agent, runs: Runs, node: Node, plane: ControlPlane, caplog: pytest.LogCaptureFixture
) -> None:
    runs.fail = RuntimeError("the kernel is on holiday")
    node.ip("route del 10.11.2.0/24")
    until(lambda: plane.reports[-1].outcome == "failed", what="the report of the failure", within=5)
    (finding,) = plane.reports[-1].findings
    assert (finding.code, finding.why) == ("failed", "RuntimeError: the kernel is on holiday")
    assert any(record.exc_info for record in caplog.records)
    runs.fail = None
    until(lambda: node.routes() == BOTH, what="the route is back", within=5)
    until(lambda: plane.reports[-1].outcome != "failed", what="the report that it is well again", within=5)


def test_what_the_kernel_refuses_is_left_reported_and_tried_again(
    agent: Agent, node: Node, plane: ControlPlane
) -> None:
    node.ip("link set eth0 down")
    until(lambda: plane.reports[-1].outcome == "failed" or not node.routes(), what="trouble", within=5)
    node.ip("link set eth0 up")
    until(lambda: node.routes() == BOTH, what="the routes are back", within=5)
    until(lambda: plane.reports[-1].findings == (), what="the report that all is well", within=5)


def test_a_second_try_is_no_drift(agent: Agent, node: Node, plane: ControlPlane) -> None:
    """Nobody altered anything: the device was missing when the document came."""
    node.ip("link add late type bridge")
    adopted = {**documents.backend("late"), "device": "obr_late", "adopted": True}
    adopted["ranges"], adopted["subnets"], adopted["peers"] = ["10.12.0.0/16"], ["10.12.1.0/24"], []
    version = declare(plane, documents.body(documents.backend(), adopted))
    agent.look()
    until(lambda: plane.reports[-1].version == version, what="the new version", within=5)
    assert [finding.code for finding in plane.reports[-1].findings] == ["no-device"]
    node.ip("link set late name obr_late")
    until(lambda: plane.reports[-1].findings == (), what="the network is built", within=5)


def test_a_fight_is_slowed_down_and_said(agent: Agent, node: Node, plane: ControlPlane) -> None:
    def damped() -> bool:
        if node.routes() == BOTH:
            node.ip("route del 10.11.2.0/24")
        return any(finding.code == "damped" for finding in plane.reports[-1].findings)

    until(damped, what="the report says damped", within=20)
    until(lambda: node.routes() == BOTH, what="it is still repaired", within=5)
