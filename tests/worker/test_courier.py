"""The thread that talks to the control plane: what is in force, and what waits to be told."""

import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab.waiting import until
from tests.worker import documents
from tests.worker.conftest import Node, declare
from tests.worker.control_plane import GONE, Answer, ControlPlane
from workers import courier as couriers
from workers.cache import Cache
from workers.confirm import Confirm
from workers.control import Control
from workers.courier import BETWEEN_REPORTS, Courier, merged
from workers.desired import Desired
from workers.report import Probed, Report


class Woken(queue.Queue[set[str]]):
    """The reasons the courier woke the agent with."""

    def next(self) -> set[str]:
        return self.get(timeout=10)


@pytest.fixture
def woken() -> Woken:
    return Woken()


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "state", "n1")


@pytest.fixture
def questioned() -> threading.Event:
    """Set when the courier heard that questions wait."""
    return threading.Event()


@pytest.fixture
def held() -> list[int]:
    """Versions of the node's holdings that the courier heard of."""
    return []


@pytest.fixture
def courier(
    node: Node,
    plane: ControlPlane,
    cache: Cache,
    woken: Woken,
    questioned: threading.Event,
    held: list[int],
) -> Iterator[Courier]:
    confirm = Confirm(cache, node.settings)
    control = Control(node.settings, confirm.answered)
    courier = Courier(control, cache, confirm, Desired(), woken.put, questioned.set, held.append)
    with node.namespace.entered():  # a thread is where the one is that starts it
        courier.start()
    yield courier
    courier.stop()
    plane.drop_connections()
    courier.join()


def test_a_document_is_cached_before_the_agent_hears_of_it(
    courier: Courier, plane: ControlPlane, cache: Cache, woken: Woken
) -> None:
    courier.ask("start")
    assert woken.next() == {"document"}
    assert courier.desired.version == plane.version
    assert cache.read() == courier.desired.document


def test_one_that_is_known_wakes_nobody_but_after_a_wake_up(
    courier: Courier, plane: ControlPlane, woken: Woken
) -> None:
    courier.ask("start")
    woken.next()
    courier.ask("timer")
    until(lambda: plane.fetches == 2, what="the second fetch", within=5)
    courier.ask("wake-up")
    assert woken.next() == {"wake-up"}
    assert woken.empty()


def test_questions_are_heard_of_with_a_document_that_is_new_and_with_one_that_is_not(
    courier: Courier, plane: ControlPlane, woken: Woken, questioned: threading.Event
) -> None:
    courier.ask("start")
    woken.next()
    assert not questioned.is_set()
    plane.ask("echo", {})
    courier.ask("timer")
    assert questioned.wait(5)
    questioned.clear()
    declare(plane, documents.body(documents.backend(peers=4)))
    courier.ask("timer")
    assert questioned.wait(5)


def test_a_wake_up_looks_even_if_the_control_plane_is_away(
    courier: Courier, plane: ControlPlane, woken: Woken
) -> None:
    plane.answer = Answer(500)
    courier.ask("wake-up")
    assert woken.next() == {"wake-up"}
    assert courier.desired == Desired()


@pytest.mark.parametrize(
    "body",
    [
        documents.body(documents.backend(), node="n2"),
        documents.body(documents.backend())[:-9],
        documents.body(documents.backend()).replace(b"10.11.2.0", b"10.11.8.0"),
        b"<html>",
        b"[]",
    ],
    ids=["other node", "truncated", "altered", "html", "list"],
)
def test_one_that_is_not_right_changes_nothing_and_is_a_finding(
    courier: Courier, plane: ControlPlane, cache: Cache, woken: Woken, body: bytes
) -> None:
    courier.ask("start")
    woken.next()
    before = courier.desired
    plane.declare(body, "odd")
    courier.ask("timer")
    assert woken.next() == {"document"}
    assert courier.desired.document == before.document == cache.read()
    assert [finding.code for finding in courier.desired.findings] == ["document"]
    declare(plane, documents.body(documents.backend(peers=4)))
    courier.ask("timer")
    woken.next()
    assert courier.desired.findings == ()


def test_a_node_that_was_removed_gets_an_empty_document_in_the_same_directories(
    courier: Courier, plane: ControlPlane, woken: Woken
) -> None:
    declare(plane, documents.body(documents.backend(), config="/somewhere"))
    courier.ask("start")
    woken.next()
    plane.answer = GONE
    courier.ask("timer")
    woken.next()
    assert courier.desired.removed
    assert courier.desired.document is not None
    assert courier.desired.document.networks == ()
    assert courier.desired.document.cni_config == "/somewhere"


def test_a_cache_that_cannot_be_written_is_a_finding_and_no_obstacle(
    courier: Courier, plane: ControlPlane, cache: Cache, woken: Woken
) -> None:
    cache.path.parent.write_text("a file where the directory should be")
    courier.ask("start")
    woken.next()
    assert courier.desired.version == plane.version
    assert [finding.code for finding in courier.desired.findings] == ["cache"]


def test_only_the_newest_report_is_told_and_no_change_is_lost(courier: Courier, plane: ControlPlane) -> None:
    plane.answer = Answer(503)
    courier.post(_report(1, "add a"))
    until(lambda: plane.requests, what="a first attempt", within=5)
    courier.post(_report(2, "add b"))
    courier.post(_report(3))
    plane.answer = None
    until(lambda: plane.reports, what="the report", within=10)
    (report,) = plane.reports
    assert (report.sequence, report.outcome, report.changes) == (3, "applied", ("add a", "add b"))


def test_reports_keep_a_distance_but_for_the_first_of_a_version(
    courier: Courier, plane: ControlPlane
) -> None:
    start = time.monotonic()
    for sequence, version in enumerate(("a", "b", "c")):
        courier.post(_report(sequence, version=version))
        until(lambda: len(plane.reports) == sequence + 1, what="the report", within=5)  # noqa: B023
    assert time.monotonic() - start < BETWEEN_REPORTS
    courier.post(_report(4, version="c"))
    until(lambda: len(plane.reports) == 4, what="the report", within=5)
    assert time.monotonic() - start > BETWEEN_REPORTS


def test_a_report_that_is_refused_is_not_sent_again(courier: Courier, plane: ControlPlane) -> None:
    plane.answer = Answer(400)
    courier.post(_report(1))
    until(lambda: plane.requests, what="the attempt", within=5)
    plane.answer = None
    courier.post(_report(2))
    until(lambda: plane.reports, what="the next report", within=5)
    assert [report.sequence for report in plane.reports] == [2]


def test_a_wake_up_does_not_wait_for_the_end_of_a_back_off(
    courier: Courier, plane: ControlPlane, woken: Woken
) -> None:
    plane.answer = Answer(503, {"Retry-After": "60"})
    courier.ask("start")
    until(lambda: plane.fetches == 1, what="a first attempt", within=5)
    plane.answer = None
    start = time.monotonic()
    courier.ask("wake-up")
    assert "document" in woken.next()
    assert time.monotonic() - start < 5


def test_what_is_carried_over_is_bounded() -> None:
    older = _report(1, *(f"add {n}" for n in range(5000)))
    assert len(merged(older, _report(2, "add last")).changes) == 1000
    assert merged(older, _report(2, "add last")).changes[-1] == "add last"
    assert merged(None, older) is older


def _report(sequence: int, *changes: str, version: str = "v") -> Report:
    return Report("n1", sequence, version, "applied" if changes else "unchanged", changes)


def test_the_first_report_that_knows_whether_packets_cross_does_not_wait(
    courier: Courier, plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(couriers, "BETWEEN_REPORTS", 3600)

    def found(sequence: int, pending: int) -> Report:
        probes = (Probed("backend1", 4, 1, 1 - pending, 0, 0, pending, 1500),)
        return replace(_report(sequence), probes=probes)

    def told() -> list[int]:
        return [report.sequence for report in plane.reports]

    courier.post(found(1, pending=1))
    until(lambda: told() == [1], what="the first of a version", within=5)
    courier.post(found(2, pending=1))
    courier.post(found(3, pending=0))
    until(lambda: told() == [1, 3], what="the one that knows", within=5)
    courier.post(found(4, pending=0))
    courier.post(replace(found(5, pending=0), version="next"))
    until(lambda: told() == [1, 3, 5], what="only the next version goes before its time", within=5)


def test_it_hears_which_version_the_holdings_have(
    courier: Courier, plane: ControlPlane, woken: Woken, held: list[int]
) -> None:
    courier.ask("start")
    woken.next()
    assert held == []
    version = plane.want()
    courier.ask("timer")
    until(lambda: held == [version], what="the version is heard", within=5)
