"""Leases of containers that are gone, as the running agent reports and frees them."""

import pytest

from lab.waiting import until
from tests import hostlocal
from tests.worker import documents
from tests.worker.attachments import attachment
from tests.worker.conftest import Node, declare
from tests.worker.control_plane import ControlPlane
from workers.agent import Agent
from workers.attaching.journal import UNREAD, Journal
from workers.leaks import finder, proof

SUBNET = "10.11.1.0/24"
GRACE = 3.0
"""Some looks long, so that a report in between has them as lost."""


@pytest.fixture
def plane(node: Node, plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> ControlPlane:
    """Nobody is young, and leases are looked at every second from the start."""
    monkeypatch.setattr(proof, "YOUNG", 0.0)
    monkeypatch.setattr(finder, "SHARE", 1)
    body = documents.body(documents.backend(), look_interval=1, lease_grace=GRACE)
    declare(plane, body)
    node.cached(body)
    return plane


def lost(plane: ControlPlane) -> set[str]:
    """Container ids that any report had as gone."""
    return {lease.container for said in plane.reports for lease in said.leases if lease.lost}


def test_a_lease_of_a_dead_container_is_reported_as_lost_and_goes(
    node: Node, plane: ControlPlane, agent: Agent
) -> None:
    hostlocal.add(node.leases_dir, "dead", SUBNET)
    until(lambda: lost(plane) == {"dead"}, what="it is reported as lost", within=20)
    until(lambda: not node.leases(), what="it is freed", within=20)
    until(lambda: plane.reports[-1].leases == (), what="it is reported no more", within=10)


def test_a_lease_of_an_attachment_of_ours_stays_even_when_its_entry_cannot_be_read(
    node: Node, plane: ControlPlane, agent: Agent
) -> None:
    """One of others is freed beside it: the finder has looked at both."""
    one = attachment()
    journal = Journal(node.state).directory
    journal.mkdir(exist_ok=True)
    (journal / f"{one.id}{UNREAD}").touch()
    address = hostlocal.add(node.leases_dir, one.id, SUBNET)
    hostlocal.add(node.leases_dir, "dead", SUBNET)
    until(lambda: "dead" not in node.leases().values(), what="the other is freed", within=20)
    assert node.leases() == {address: one.id}
    assert lost(plane) == {"dead"}
