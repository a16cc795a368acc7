"""A change that cuts the node off: it is taken back by itself, and not tried again.

    plane 192.0.2.254/24 ---- 192.0.2.1/24 worker of n1

A bridge whose range holds the control plane's address has the narrower route: packets to it
stay on the node.
"""

import json
import time
from collections.abc import Callable, Iterator

import pytest

from lab.namespaces import Namespace
from lab.waiting import until
from tests.worker import documents
from tests.worker.conftest import Node, Process, declare
from tests.worker.control_plane import ControlPlane

Start = Callable[..., Process]
CONFIRM = 3.0
SLACK = 4.0
"""Seconds that the apply, a look and a first answer may take beside the confirm time on a busy machine."""
GOOD = documents.body(documents.backend(), confirm=CONFIRM)
BEHIND = documents.bridge("shadow", "192.0.2.252/30")
"""The control plane is on the bridge's subnet, where nobody answers."""
TAKEN = documents.bridge("shadow", "192.0.2.254/31")
"""The bridge has the address .255, and the control plane's is in its range."""
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


def bad(*shadows: dict[str, object]) -> bytes:
    return documents.body(documents.backend(), *(shadows or (BEHIND,)), confirm=CONFIRM, look_interval=1)


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
