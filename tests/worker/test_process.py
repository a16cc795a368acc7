"""The worker as people start it: one process, in the network namespace of its node."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.namespaces import CommandFailed
from lab.waiting import until
from tests.worker import documents
from tests.worker.broker import Broker
from tests.worker.conftest import ROOT, Node, Process, declare
from tests.worker.control_plane import GONE, Answer, ControlPlane

Start = Callable[..., Process]
BOTH = {"10.11.2.0/24", "10.11.3.0/24"}


def test_it_builds_what_is_declared_and_reports_it(node: Node, plane: ControlPlane, start: Start) -> None:
    start()
    until(lambda: node.routes() == BOTH, what="routes to both peers", within=10)
    until(lambda: plane.reports, what="a report", within=10)
    report = plane.reports[-1]
    assert report.version == plane.version
    assert report.outcome == "applied"
    assert report.routes == 2
    assert "obr_backend1" in {interface.name for interface in report.interfaces if interface.ours}
    assert set(report.files) == {"backend1.conflist"}
    assert report.drift == ()
    assert report.capabilities["kernel"] == os.uname().release
    assert "bridge" in report.capabilities["plugins"]
    assert report.capabilities["cni_config"] == str(node.config)


def test_it_restores_the_network_from_its_cache_while_everything_else_is_down(
    node: Node, start: Start
) -> None:
    node.cached(documents.body(documents.backend()))
    worker = start(NETADMIN_BROKER_URL="redis://127.0.0.1:2/0")
    until(lambda: node.routes() == BOTH, what="routes to both peers", within=10)
    worker.says("Cannot connect to redis://")
    assert worker.alive


def test_a_wake_up_brings_the_new_document_at_once(
    node: Node, plane: ControlPlane, broker: Broker, start: Start
) -> None:
    start()
    until(plane.told, what="the first report", within=60)
    until(lambda: broker.listeners() == 1, what="Celery listens", within=60)
    version = declare(plane, documents.body(documents.backend(peers=4)))
    broker.wake()
    until(lambda: "10.11.4.0/24" in node.routes(), what="the route to the new node", within=2)
    until(lambda: plane.reports[-1].version == version, what="the report of the new version", within=2)
    assert plane.reports[-1].drift == ()
    assert broker.denied() == []
    assert broker.waiting() == 0


def test_the_timer_brings_the_new_document_without_a_broker(
    node: Node, plane: ControlPlane, start: Start
) -> None:
    declare(plane, documents.body(documents.backend(), look_interval=1))
    start()
    until(lambda: node.routes() == BOTH, what="routes to both peers", within=10)
    declare(plane, documents.body(documents.backend(peers=4), look_interval=1))
    until(lambda: "10.11.4.0/24" in node.routes(), what="the route to the new node", within=3)


def test_a_wake_up_is_heard_after_the_broker_was_away(
    node: Node, plane: ControlPlane, broker: Broker, start: Start
) -> None:
    start()
    until(lambda: broker.listeners() == 1, what="Celery listens", within=60)
    broker.kill()
    declare(plane, documents.body(documents.backend(peers=4)))
    broker.start()
    broker.wake()
    until(lambda: "10.11.4.0/24" in node.routes(), what="the route to the new node", within=20)


def test_it_goes_on_when_the_broker_forbids_its_queue(
    node: Node, plane: ControlPlane, broker: Broker, start: Start
) -> None:
    """Celery ends then; the worker does not."""
    worker = start(NETADMIN_BROKER_URL=broker.url.replace("redis://", "redis://control:control@"))
    worker.says("no wake-ups: Celery ended")
    node.ip("route del 10.11.2.0/24")
    until(lambda: node.routes() == BOTH, what="the route is back", within=5)


def test_celery_does_not_bring_django_along(
    node: Node, plane: ControlPlane, broker: Broker, start: Start
) -> None:
    worker = start(DJANGO_SETTINGS_MODULE="a.module.that.is.not.there")
    until(lambda: broker.listeners() == 1, what="Celery listens", within=60)
    assert "Traceback" not in worker.said()


@pytest.mark.parametrize(
    "what", ["route del 10.11.2.0/24", "link del obr_backend1", "addr flush dev obr_backend1"]
)
def test_it_repairs_what_somebody_removes_and_calls_it_drift(
    node: Node, plane: ControlPlane, start: Start, what: str
) -> None:
    start()
    until(plane.told, what="the first report", within=60)
    fetched = plane.fetches
    node.ip(what)
    until(lambda: plane.reports[-1].drift, what="the report of the drift", within=5)
    assert node.routes() == BOTH
    assert "inet 10.11.1.1/24" in " ".join(node.ip("addr show obr_backend1"))
    assert plane.fetches == fetched


@pytest.mark.parametrize("what", ["delete table inet netadmin", "flush ruleset", "flush table inet netadmin"])
def test_it_repairs_the_firewall(node: Node, plane: ControlPlane, start: Start, what: str) -> None:
    start()
    until(plane.told, what="the first report", within=60)
    node.namespace.run(["nft", *what.split()])
    until(lambda: plane.reports[-1].drift, what="the report of the drift", within=5)
    assert "masquerade" in node.namespace.run(["nft", "list", "ruleset"])


def test_it_repairs_a_cni_file(node: Node, plane: ControlPlane, start: Start) -> None:
    start()
    until(plane.told, what="the first report", within=60)
    file = node.config / "backend1.conflist"
    written = file.read_text()
    file.unlink()
    until(file.exists, what="the file is back", within=5)
    assert file.read_text() == written


def test_it_does_not_run_for_its_own_changes(node: Node, plane: ControlPlane, start: Start) -> None:
    worker = start()
    until(plane.told, what="the first report", within=60)
    for _ in range(3):
        done = worker.said().count("repaired")
        node.ip("link del obr_backend1")
        until(lambda: worker.said().count("repaired") > done, what="the repair is logged", within=5)  # noqa: B023
    before, repairs = _ticks(worker.pid), worker.said().count("repaired")
    time.sleep(1)  # the one wait: that nothing happens has no condition to wait for
    assert _ticks(worker.pid) - before <= 10
    assert worker.said().count("repaired") == repairs


def test_a_lease_is_reported_within_a_second(node: Node, plane: ControlPlane, start: Start) -> None:
    start()
    until(plane.told, what="the first report", within=60)
    directory = node.leases_dir / "backend1"
    directory.mkdir()
    until(lambda: "obr_backend1" in node.links(), what="the bridge", within=5)
    (directory / "10.11.1.5").write_bytes(b"c0ffee\r\neth0")
    until(lambda: plane.reports[-1].leases, what="the lease in a report", within=1.5)
    lease = plane.reports[-1].leases[0]
    assert (lease.network, lease.address, lease.container, lease.interface) == (
        "backend1", "10.11.1.5", "c0ffee", "eth0",
    )  # fmt: skip
    (directory / "10.11.1.5").unlink()
    until(lambda: not plane.reports[-1].leases, what="the lease is gone", within=1.5)
    (writing := directory / "10.11.1.6").touch()
    os.utime(writing, (later := time.time() + 60, later))  # however slow this machine is
    (directory / "10.11.1.7").write_bytes(b"f00d\r\neth0")
    until(lambda: plane.reports[-1].leases, what="the other one in a report", within=1.5)
    writing.write_bytes(b"c0ffee\r\neth0")
    until(lambda: len(plane.reports[-1].leases) == 2, what="both in a report", within=1.5)
    assert all(lease.container for report in plane.reports for lease in report.leases)


@pytest.mark.parametrize(
    "answer",
    [Answer(500), Answer(503, {"Retry-After": "1"}), Answer(404), Answer(401), Answer(403), Answer(410)],
    ids=lambda answer: str(answer.status),
)
def test_it_keeps_and_repairs_the_network_whatever_the_control_plane_says(
    node: Node, plane: ControlPlane, start: Start, answer: Answer
) -> None:
    node.cached(documents.body(documents.backend()))
    plane.answer = answer
    worker = start()
    worker.says(f"{answer.status} ")
    until(lambda: node.routes() == BOTH, what="routes to both peers", within=10)
    node.ip("route del 10.11.2.0/24")
    until(lambda: node.routes() == BOTH, what="the route is back", within=5)
    assert (node.state / "document.json").exists()


def test_a_repair_does_not_wait_for_a_control_plane_that_hangs(
    node: Node, plane: ControlPlane, start: Start
) -> None:
    node.cached(documents.body(documents.backend()))
    plane.hold()
    start()
    until(lambda: node.routes() == BOTH, what="routes to both peers", within=10)
    until(lambda: plane.requests, what="a request that hangs", within=5)
    node.ip("route del 10.11.2.0/24")
    until(lambda: node.routes() == BOTH, what="the route is back", within=1)


def test_what_was_repaired_while_the_control_plane_was_away_is_told_when_it_is_back(
    node: Node, plane: ControlPlane, start: Start
) -> None:
    start()
    until(plane.told, what="the first report", within=60)
    plane.reports.clear()
    plane.answer = Answer(503)
    for destination in sorted(BOTH):
        node.ip(f"route del {destination}")
        until(lambda: node.routes() == BOTH, what="the route is back", within=5)
    until(lambda: plane.requests[-1][0] == "POST", what="an attempt to report", within=5)
    plane.answer = None
    until(lambda: plane.reports, what="the report", within=20)
    assert len(plane.reports[0].drift) == 2


def test_a_node_that_was_removed_cleans_up(node: Node, plane: ControlPlane, start: Start) -> None:
    declare(plane, documents.body(documents.backend(), look_interval=1))
    node.ip("route add 198.51.100.0/24 via 10.0.0.9")
    worker = start()
    until(lambda: node.routes() == BOTH, what="routes to both peers", within=10)
    plane.answer = GONE
    until(lambda: not node.routes(), what="our routes are gone", within=5)
    until(lambda: "obr_backend1" not in node.links(), what="our bridge is gone", within=5)
    until(lambda: not (node.state / "document.json").exists(), what="the cache is gone", within=5)
    assert node.namespace.run(["nft", "list", "ruleset"]) == ""
    assert list(node.config.iterdir()) == []
    assert any("198.51.100.0/24" in line for line in node.ip("route"))
    assert worker.alive
    plane.answer = None
    until(lambda: node.routes() == BOTH, what="it may come back", within=5)


def test_without_any_document_nothing_is_removed(node: Node, plane: ControlPlane, start: Start) -> None:
    assert start("once").ended() == 0
    (node.state / "document.json").unlink(missing_ok=True)
    plane.document = b""
    worker = start()
    worker.says("404")
    assert node.routes() == BOTH


def test_a_document_of_another_node_is_refused_and_reported(
    node: Node, plane: ControlPlane, start: Start
) -> None:
    old = declare(plane, documents.body(documents.backend(), look_interval=1))
    start()
    until(plane.told, what="the first report", within=60)
    declare(plane, documents.body(node="n2"))
    until(lambda: plane.reports[-1].findings, what="the report of the refusal", within=5)
    (finding,) = plane.reports[-1].findings
    assert finding.code == "document"
    assert "'n2'" in finding.why
    assert plane.reports[-1].version == old
    assert node.routes() == BOTH


def test_a_damaged_cache_is_ignored_and_said(node: Node, start: Start) -> None:
    node.cached(documents.body(documents.backend())[:-40])
    worker = start()
    worker.says("document.json: not a desired-state document")
    worker.says("Connection refused")
    assert "obr_backend1" not in node.links()


def test_killed_at_any_moment_it_converges_the_next_time(
    node: Node, plane: ControlPlane, start: Start
) -> None:
    for moment in range(8):
        worker = start()
        until(worker.said, what="it is up", within=10)
        time.sleep(moment * 0.004)  # not a condition: the moments are the test
        worker.kill()
        node.ip("route flush proto 157")
        node.namespace.run(["nft", "flush", "ruleset"])
    assert start("once").ended() == 0
    assert start("plan").ended() == 0
    assert node.routes() == BOTH
    assert [path.name for path in node.config.iterdir()] == ["backend1.conflist"]
    assert {path.name for path in node.state.iterdir()} <= {
        "document.json",
        "confirmed.json",
        "confirm.json",
        "holdings.json",
        "attachments",
        "lock",
    }


def test_plan_changes_nothing_and_once_does_it(node: Node, plane: ControlPlane, start: Start) -> None:
    plan = start("plan")
    assert plan.ended() == 1
    assert "would: add bridge obr_backend1" in plan.said()
    assert node.links() == {"lo", "eth0", "wire"}
    once = start("once")
    assert once.ended() == 0
    assert "changed: add bridge obr_backend1" in once.said()
    assert node.routes() == BOTH
    again = start("plan")
    assert again.ended() == 0
    assert again.said().endswith("all is as declared\n")


def test_there_is_one_worker_on_a_node_and_plan_may_run_beside_it(
    node: Node, plane: ControlPlane, start: Start
) -> None:
    start()
    until(plane.told, what="the first report", within=60)
    second = start()
    assert second.ended() == 2
    assert "another worker holds" in second.said()
    assert start("plan").ended() == 0


def test_once_and_plan_fall_back_to_the_cache_but_not_when_the_node_was_removed(
    node: Node, plane: ControlPlane, start: Start
) -> None:
    node.cached(documents.body(documents.backend()))
    plane.answer = Answer(500)
    plan = start("plan")
    assert plan.ended() == 1
    assert plan.said().startswith("from the cache: 500")
    plane.answer = GONE
    once = start("once")
    assert once.ended() == 2
    assert "the node was removed" in once.said()
    assert node.routes() == set()


STOPS_WITHIN = 2.0


def test_it_stops_at_once_and_leaves_the_network(
    node: Node, plane: ControlPlane, broker: Broker, start: Start
) -> None:
    worker = start()
    until(lambda: broker.listeners() == 1, what="Celery listens", within=60)
    until(lambda: node.routes() == BOTH, what="routes to both peers", within=10)
    assert worker.stop(STOPS_WITHIN) == 0
    assert node.routes() == BOTH
    assert "Traceback" not in worker.said()


@pytest.mark.parametrize("broker_is", ["refusing", "unreachable", "stalled"])
def test_it_stops_at_once_while_the_broker_is_away(
    node: Node, plane: ControlPlane, broker: Broker, start: Start, broker_is: str
) -> None:
    urls = {
        "refusing": "redis://127.0.0.1:2/0",
        "unreachable": "redis://10.0.0.77:6379/0",
        "stalled": broker.url,
    }
    worker = start(NETADMIN_BROKER_URL=urls[broker_is])
    until(lambda: node.routes() == BOTH, what="routes to both peers", within=10)
    if broker_is == "stalled":
        until(lambda: broker.listeners() == 1, what="Celery listens", within=60)
        broker.process.send_signal(signal.SIGSTOP)
    elif broker_is == "refusing":
        worker.says("Cannot connect")
    else:
        until(lambda: "10.0.0.77" in " ".join(node.ip("neigh")), what="it tries to connect", within=10)
    assert worker.stop(STOPS_WITHIN) == 0
    assert node.routes() == BOTH


def test_it_stops_at_once_while_the_control_plane_hangs(
    node: Node, plane: ControlPlane, start: Start
) -> None:
    plane.hold()
    worker = start()
    until(lambda: plane.requests, what="a request that hangs", within=5)
    assert worker.stop(STOPS_WITHIN) == 0


def test_it_says_which_setting_is_wrong(node: Node, start: Start) -> None:
    worker = start(NETADMIN_URL="")
    assert worker.ended() == 2
    assert worker.said().count("\n") == 1
    assert worker.said().startswith(
        "netadmin worker: NETADMIN_URL: is not set; give the control plane's address"
    )


def test_it_says_that_it_lacks_the_right_to_build_networks(node: Node) -> None:
    with pytest.raises(CommandFailed, match="exit status 2: netadmin worker: needs CAP_NET_ADMIN"):
        node.namespace.run(
            ["setpriv", "--bounding-set", "-net_admin", sys.executable, "-m", "workers"],
            env={**os.environ, **node.environment, "PYTHONPATH": str(ROOT)},
        )


def _ticks(pid: int) -> int:
    """CPU time of a process, in hundredths of a second."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
