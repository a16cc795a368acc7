"""A change that cuts the node off: it is taken back by itself, and not tried again.

    plane 192.0.2.254/24 ---- 192.0.2.1/24 worker of n1

A bridge whose range holds the control plane's address has the narrower route: packets to it
stay on the node.
"""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab.namespaces import Namespace
from lab.pings import Pinging, ping
from lab.waiting import until
from tests.worker import documents
from tests.worker.conftest import Node, Process, declare
from tests.worker.control_plane import GONE, ControlPlane

Start = Callable[..., Process]
CONFIRM = 3.0
SLACK = 4.0
"""Seconds that the apply, a look and a first answer may take beside the confirm time on a busy machine."""
GOOD = documents.body(documents.backend(), confirm=CONFIRM)
BEHIND = documents.bridge("shadow", "192.0.2.252/30")
"""The control plane is on the bridge's subnet, where nobody answers."""
TAKEN = documents.bridge("shadow", "192.0.2.254/32")
"""The bridge has the control plane's address: the node itself refuses connections to it."""
LINK = """
link add ctl type veth peer name wire netns {peer}
addr add 192.0.2.1/24 dev ctl
link set ctl up
"""


@pytest.fixture
def control(node: Node) -> Iterator[Namespace]:
    """The machine of the control plane."""
    with Namespace("control") as control:
        node.namespace.run(["ip", "-batch", "-"], stdin=LINK.format(peer=control.path))
        control.run(["ip", "-batch", "-"], stdin="addr add 192.0.2.254/24 dev wire\nlink set wire up")
        yield control


@pytest.fixture
def plane(node: Node, control: Namespace) -> Iterator[ControlPlane]:
    with control.entered():
        plane = ControlPlane(address="192.0.2.254")
    declare(plane, GOOD)
    node.environment["NETADMIN_URL"] = plane.url
    with plane:
        yield plane


def bad(shadow: dict[str, Any] = BEHIND, attempt: int = 0) -> bytes:
    return documents.body(documents.backend(), shadow, confirm=CONFIRM, look_interval=1, attempt=attempt)


def confirmed(node: Node) -> str:
    return str(json.loads((node.state / "confirm.json").read_text())["confirmed"])


def started(node: Node, plane: ControlPlane, start: Start) -> Process:
    """With the good document confirmed."""
    declare(plane, documents.body(documents.backend(), confirm=CONFIRM, look_interval=1))
    worker = start()
    until(plane.told, what="the first report", within=20)
    until(lambda: confirmed(node) == plane.version, what="it is confirmed", within=5)
    return worker


def test_a_good_version_is_confirmed_by_its_first_report(
    node: Node, plane: ControlPlane, start: Start
) -> None:
    worker = started(node, plane, start)
    fetched = plane.fetches
    assert worker.said().count("confirmed version=") == 1
    assert (node.state / "confirmed.json").read_bytes() == plane.document
    assert plane.reports[-1].refused == ""
    assert fetched <= 2


def test_it_comes_back_by_itself_and_tells(node: Node, plane: ControlPlane, start: Start) -> None:
    started(node, plane, start)
    good, version = plane.version, declare(plane, bad())
    until(lambda: "obr_shadow" in node.links(), what="the bridge that cuts it off", within=5)
    cut = time.monotonic()
    until(lambda: plane.reports[-1].refused, what="the report of the roll-back", within=CONFIRM + SLACK)
    assert time.monotonic() - cut > CONFIRM / 2
    report = plane.reports[-1]
    assert (report.outcome, report.version, report.refused) == ("rolled-back", good, version)
    assert "obr_shadow" not in node.links()
    assert report.drift == ()
    (finding,) = report.findings
    assert (finding.code, finding.network) == ("rolled-back", "shadow")
    assert f"{plane.url} could not be reached for 3 s" in finding.why
    assert "manage.py node retry n1" in finding.remedy


def test_it_is_refused_over_restarts_until_a_newer_version_comes(
    node: Node, plane: ControlPlane, start: Start
) -> None:
    worker = started(node, plane, start)
    version = declare(plane, bad())
    until(lambda: plane.reports[-1].refused, what="the roll-back", within=2 * CONFIRM + SLACK)
    worker.kill()
    plane.reports.clear()
    worker = start()
    until(lambda: plane.reports, what="the first report", within=20)
    until(lambda: plane.fetches > 5, what="some looks", within=10)
    assert {report.refused for report in plane.reports} == {version}
    assert "obr_shadow" not in node.links()
    assert "applied version" not in worker.said()
    good = declare(plane, documents.body(documents.backend(peers=4), confirm=CONFIRM, look_interval=1))
    until(lambda: plane.reports[-1].version == good, what="the newer version", within=5)
    assert (plane.reports[-1].refused, plane.reports[-1].findings) == ("", ())
    until(lambda: confirmed(node) == good, what="it is confirmed", within=5)


def test_told_to_try_again_it_does(node: Node, control: Namespace, plane: ControlPlane, start: Start) -> None:
    """The networks are the same; the attempt makes another version of them."""
    started(node, plane, start)
    declare(plane, bad())
    until(lambda: plane.reports[-1].refused, what="the roll-back", within=2 * CONFIRM + SLACK)
    again = declare(plane, bad(attempt=1))
    until(lambda: "obr_shadow" in node.links(), what="it is tried", within=5)
    until(lambda: plane.reports[-1].refused == again, what="the next roll-back", within=CONFIRM + SLACK)


@pytest.mark.parametrize("shadow", [BEHIND, TAKEN], ids=["behind the bridge", "taken by the bridge"])
def test_killed_during_the_trial_it_still_comes_back(
    node: Node, plane: ControlPlane, start: Start, shadow: dict[str, Any]
) -> None:
    worker = started(node, plane, start)
    declare(plane, bad(shadow))
    until(lambda: "obr_shadow" in node.links(), what="the bridge that cuts it off", within=5)
    worker.kill()
    cut = time.monotonic()
    start()
    until(lambda: plane.reports[-1].refused, what="the roll-back", within=CONFIRM + SLACK)
    assert "obr_shadow" not in node.links()
    assert plane.reports[-1].drift == ()
    assert time.monotonic() - cut < CONFIRM + SLACK


def test_off_until_the_trial_was_over_it_goes_back_at_once(
    node: Node, plane: ControlPlane, start: Start
) -> None:
    worker = started(node, plane, start)
    declare(plane, bad())
    until(lambda: "obr_shadow" in node.links(), what="the bridge that cuts it off", within=5)
    worker.kill()
    until(lambda: over(node), what="the time is up", within=CONFIRM + 1)
    start()
    until(lambda: "obr_shadow" not in node.links(), what="the roll-back", within=SLACK)
    # A connection that was begun a moment before hangs, with an address that is gone.
    until(lambda: plane.reports[-1].refused, what="its report", within=SLACK)
    assert plane.reports[-1].drift == ()


def over(node: Node) -> bool:
    return bool(json.loads((node.state / "confirm.json").read_text())["deadline"] < time.time())


def test_a_control_plane_that_is_restarted_is_no_reason_to_go_back(
    node: Node, plane: ControlPlane, start: Start
) -> None:
    """Its machine refuses connections, over a way that is not ours."""
    worker = started(node, plane, start)
    version = declare(plane, documents.body(documents.backend(peers=4), confirm=CONFIRM, look_interval=1))
    plane.after_next_document = plane.away
    until(lambda: "10.11.4.0/24" in node.routes(), what="the good change", within=5)
    until(lambda: confirmed(node) == version, what="it is confirmed", within=CONFIRM)
    assert plane.gone
    assert worker.said().count("rolled back") == 0


def test_a_control_plane_whose_machine_is_gone_takes_the_change_back_and_retry_helps(
    node: Node, control: Namespace, plane: ControlPlane, start: Start
) -> None:
    started(node, plane, start)
    version = declare(plane, documents.body(documents.backend(peers=4), confirm=CONFIRM, look_interval=1))
    plane.after_next_document = lambda: control.run(["ip", "link", "set", "wire", "down"])
    until(lambda: "10.11.4.0/24" in node.routes(), what="the good change", within=5)
    until(lambda: "10.11.4.0/24" not in node.routes(), what="it is taken back", within=CONFIRM + SLACK)
    plane.after_next_document = None
    control.run(["ip", "link", "set", "wire", "up"])
    until(lambda: plane.reports[-1].refused == version, what="the report", within=10)
    body = documents.body(documents.backend(peers=4), confirm=CONFIRM, look_interval=1, attempt=1)
    again = declare(plane, body)
    until(lambda: plane.reports[-1].version == again, what="the second attempt", within=5)
    until(lambda: confirmed(node) == again, what="it is confirmed", within=5)


def test_a_control_plane_that_takes_connections_and_hangs_is_no_reason_to_go_back(
    node: Node, plane: ControlPlane, start: Start
) -> None:
    worker = started(node, plane, start)
    version = declare(plane, documents.body(documents.backend(peers=4), confirm=CONFIRM, look_interval=1))
    plane.after_next_document = plane.hold
    until(lambda: confirmed(node) == version, what="it is confirmed", within=CONFIRM)
    assert "10.11.4.0/24" in node.routes()
    assert "Read timed out" in worker.said()


def test_a_reboot_without_the_control_plane_keeps_the_confirmed_network(
    node: Node, control: Namespace, plane: ControlPlane, start: Start
) -> None:
    worker = started(node, plane, start)
    worker.kill()
    control.run(["ip", "link", "set", "wire", "down"])
    node.ip("link del obr_backend1")
    node.ip("route flush proto 157")
    worker = start()
    until(lambda: node.routes() == {"10.11.2.0/24", "10.11.3.0/24"}, what="the routes", within=10)
    worker.says("check NETADMIN_URL", within=10)
    time.sleep(CONFIRM + 1)  # the one wait: that nothing happens has no condition to wait for
    assert node.routes() == {"10.11.2.0/24", "10.11.3.0/24"}
    assert "rolled back" not in worker.said()


def test_a_node_that_joins_and_is_cut_off_by_its_first_version_comes_back(
    node: Node, plane: ControlPlane, start: Start
) -> None:
    version = declare(plane, bad())
    start()
    until(lambda: plane.reports and plane.reports[-1].refused, what="the roll-back", within=30)
    report = plane.reports[-1]
    assert (report.version, report.refused, report.outcome) == ("", version, "rolled-back")
    assert node.links() & {"obr_backend1", "obr_shadow"} == set()
    assert node.routes() == set()


def test_a_node_that_is_removed_during_a_trial_cleans_up(
    node: Node, plane: ControlPlane, start: Start
) -> None:
    started(node, plane, start)
    plane.after_next_document = lambda: setattr(plane, "answer", GONE)
    declare(plane, documents.body(documents.backend(peers=4), confirm=CONFIRM, look_interval=1))
    until(lambda: not node.routes(), what="our routes are gone", within=10)
    until(lambda: not (node.state / "confirm.json").exists(), what="nothing is remembered", within=5)
    assert not (node.state / "confirmed.json").exists()


def test_a_network_that_is_not_concerned_loses_no_packet(
    node: Node, plane: ControlPlane, start: Start
) -> None:
    """A container on backend1's bridge pings the bridge's address all the while."""
    started(node, plane, start)
    with Namespace("container") as container:
        node.namespace.run(
            ["ip", "-batch", "-"],
            stdin=f"link add c0 type veth peer name eth0 netns {container.path}\n"
            "link set c0 master obr_backend1 up\n",
        )
        container.run(["ip", "-batch", "-"], stdin="addr add 10.11.1.9/24 dev eth0\nlink set eth0 up\n")
        assert ping(container, "10.11.1.1", count=3, within=5).received
        pinging = Pinging(container, "10.11.1.1")
        declare(plane, bad())
        until(lambda: "obr_shadow" in node.links(), what="the bridge", within=5)
        until(lambda: plane.reports[-1].refused, what="the roll-back", within=CONFIRM + SLACK)
        pings = pinging.stop()
    assert pings.sent > 100 * CONFIRM / 2
    assert pings.lost == 0


def test_once_takes_back_what_cuts_the_node_off_and_plan_says_so(
    node: Node, plane: ControlPlane, start: Start
) -> None:
    started(node, plane, start).stop()
    declare(plane, bad())
    once = start("once")
    assert once.ended(within=CONFIRM + SLACK) == 1
    assert "obr_shadow" not in node.links()
    assert "was rolled back, as http://192.0.2.254" in once.said()
    again = start("once")
    assert again.ended() == 1
    assert "changed:" not in again.said()
    plan = start("plan")
    assert plan.ended() == 1
    assert "would:" not in plan.said()
    assert "was rolled back" in plan.said()


def test_once_confirms_what_is_good(node: Node, plane: ControlPlane, start: Start) -> None:
    started(node, plane, start).stop()
    version = declare(plane, documents.body(documents.backend(peers=4), confirm=CONFIRM))
    assert start("once").ended() == 0
    assert confirmed(node) == version
