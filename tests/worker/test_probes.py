"""What probes find out is reported by the agent, and nothing is looked at for it."""

import time
from collections.abc import Iterator

import pytest

from lab.namespaces import Namespace
from lab.waiting import until
from tests.worker import documents
from tests.worker.conftest import Node, Runs, declare
from tests.worker.control_plane import ControlPlane
from workers.agent import Agent
from workers.probing import schedule, trial
from workers.probing.trial import Trial
from workers.report import Probed

PEER = """
link set lo up
link set wire up
addr add 10.0.0.2/24 dev wire
link add obr_backend1 type bridge
addr add 10.11.2.1/24 dev obr_backend1
link set obr_backend1 up
route add 10.11.1.0/24 via 10.0.0.1
"""


@pytest.fixture
def peer(node: Node) -> Iterator[Namespace]:
    """The other end of the node's cable: n2, with its segment built."""
    with Namespace("n2") as namespace:
        node.ip(f"link set wire netns {namespace.path}")
        namespace.run(["ip", "-batch", "-"], stdin=PEER)
        yield namespace


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for before in trial.VOLLEYS:
        monkeypatch.setitem(trial.VOLLEYS, before, (0.0, 0.1))
    monkeypatch.setattr(trial, "PATIENCE", 0.3)
    monkeypatch.setattr(schedule, "FIRST_PAUSE", 0.3)


def probes(plane: ControlPlane) -> Probed:
    (found,) = plane.reports[-1].probes or [Probed("none", 4, 0, 0, 0, 0, 0, 0)]
    return found


def calm(runs: Runs) -> int:
    """Wait until nothing that was built leads to a run any more; how many there were."""
    last = [time.monotonic(), runs.count]

    def quiet() -> bool:
        if runs.count != last[1]:
            last[:] = time.monotonic(), runs.count
        return time.monotonic() - last[0] > 2

    until(quiet, what="no more runs", within=20)
    return runs.count


def wanted(plane: ControlPlane, **values: float) -> str:
    return declare(plane, documents.body(documents.backend(peers=2), **values))  # type: ignore[arg-type]


def test_a_new_version_is_told_at_once_and_again_when_its_packets_cross(
    peer: Namespace,
    agent: Agent,
    plane: ControlPlane,
) -> None:
    version = wanted(plane, probe_interval=30)
    agent.look()
    until(lambda: probes(plane).up == 1, what="the peer is up", within=5)
    told = [report for report in plane.reports if report.version == version]
    pending = [one.pending for report in told for one in report.probes]
    assert pending in ([1, 0], [0]), "the second, when the answer was there before the first was sent"
    assert [report.outcome for report in told] in (["applied", "unchanged"], ["applied"])
    assert sum(bool(report.changes) for report in told) == 1
    (pair,) = probes(plane).pairs
    assert (pair.peer, pair.state, pair.largest, pair.way) == ("n2", "up", 1500, "eth0 via 10.0.0.2")


def test_a_pair_that_goes_down_is_a_report_and_no_run(
    peer: Namespace,
    agent: Agent,
    runs: Runs,
    plane: ControlPlane,
) -> None:
    wanted(plane, probe_interval=0.5)
    agent.look()
    until(lambda: probes(plane).up == 1, what="the peer is up", within=5)
    count = calm(runs)
    peer.run(["ip", "addr", "del", "10.11.2.1/24", "dev", "obr_backend1"])
    until(lambda: probes(plane).down == 1, what="it is down", within=10)
    assert probes(plane).pairs[0].code in ("blocked", "not-built")
    peer.run(["ip", "addr", "add", "10.11.2.1/24", "dev", "obr_backend1"])
    until(lambda: probes(plane).up == 1, what="it is up again", within=10)
    assert runs.count == count


def test_round_trips_alone_are_no_report(
    peer: Namespace,
    agent: Agent,
    plane: ControlPlane,
) -> None:
    wanted(plane, probe_interval=0.2)
    agent.look()
    until(lambda: probes(plane).up == 1, what="the peer is up", within=5)
    count, at = len(plane.reports), agent._prober.probed[0].pairs[0].at
    until(lambda: agent._prober.probed[0].pairs[0].at > at + 1, what="more rounds", within=10)
    assert len(plane.reports) == count


def test_what_is_not_wanted_any_more_is_not_told(
    peer: Namespace,
    agent: Agent,
    plane: ControlPlane,
) -> None:
    wanted(plane, probe_interval=30)
    agent.look()
    until(lambda: probes(plane).up == 1, what="the peer is up", within=5)
    version = wanted(plane, probe_interval=0)
    agent.look()
    until(lambda: plane.reports[-1].version == version, what="the new version", within=5)
    until(lambda: plane.reports[-1].probes == (), what="nothing is probed", within=5)


def test_between_rounds_no_socket_is_open(
    peer: Namespace,
    node: Node,
    agent: Agent,
    plane: ControlPlane,
) -> None:
    """Else every answer to somebody else's ping would wake the worker."""
    wanted(plane, probe_interval=30)
    agent.look()
    until(lambda: probes(plane).up == 1, what="the peer is up", within=5)
    until(lambda: node.namespace.run(["cat", "/proc/net/raw"]).count("\n") == 1, what="none", within=5)


def test_a_failure_of_the_prober_is_said_once_and_it_begins_anew(
    peer: Namespace,
    agent: Agent,
    plane: ControlPlane,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("out of luck")

    with monkeypatch.context() as patched:
        patched.setattr(Trial, "due", broken)
        wanted(plane, probe_interval=30)
        agent.look()
        until(lambda: plane.reports[-1].findings, what="the finding", within=5)
        (finding,) = plane.reports[-1].findings
        assert (finding.code, finding.why) == ("no-probes", "RuntimeError: out of luck")
        assert probes(plane).pending == 1
    until(lambda: probes(plane).up == 1, what="the peer is up", within=10)
    until(lambda: plane.reports[-1].findings == (), what="all is well", within=5)
    assert sum("probing failed" in record.message for record in caplog.records) == 1
