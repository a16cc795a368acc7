"""Reservations from the control plane to the lease store, by a running worker."""

import fcntl
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.waiting import until
from tests import hostlocal
from tests.worker.attachments import attachment, container
from tests.worker.conftest import Node, Process
from tests.worker.control_plane import ControlPlane
from workers.agent import Agent
from workers.cni import gate
from workers.cni.store import Store
from workers.holdings import ATTACHED, Attachment, Declined, Reservation, Standing

SMALL = "10.11.1.0/28"


def store(node: Node) -> Path:
    return Path(node.environment["NETADMIN_CNI_STORE"])


def reserved(node: Node) -> set[str]:
    return {str(entry.address) for entry in Store(store(node)).entries() if entry.reserved}


def keep(agent: Agent, plane: ControlPlane, *addresses: str) -> tuple[Reservation, ...]:
    kept = tuple(Reservation(f"{n:032x}", "backend1", address) for n, address in enumerate(addresses, 7))
    plane.want(reserved=kept)
    agent.hold()
    return kept


def test_what_is_reserved_is_held_and_put_back_and_let_go(
    node: Node, plane: ControlPlane, agent: Agent
) -> None:
    keep(agent, plane, "10.11.1.9", "10.11.1.10")
    until(lambda: reserved(node) == {"10.11.1.9", "10.11.1.10"}, what="both are held", within=5)
    (store(node) / "backend1" / "10.11.1.9").unlink()
    until(lambda: reserved(node) == {"10.11.1.9", "10.11.1.10"}, what="it is back", within=2)
    keep(agent, plane)
    until(lambda: not reserved(node), what="both are let go", within=5)


def test_one_that_somebody_has_is_declined_until_he_goes(
    node: Node, plane: ControlPlane, agent: Agent
) -> None:
    address = hostlocal.add(store(node), "somebody", SMALL)
    (kept,) = keep(agent, plane, address)

    def declined() -> tuple[Declined, ...]:
        newest = max(plane.statements, key=lambda said: said.sequence, default=None)
        return (
            newest.declined if newest and newest.version == plane.holdings.version else (Declined("?", "?"),)
        )

    until(lambda: declined() == (Declined(kept.id, "somebody"),), what="it is declined", within=5)
    hostlocal.delete(store(node), "somebody", SMALL)
    until(lambda: declined() == (), what="it is held", within=2)
    assert reserved(node) == {address}


def test_it_is_held_before_anything_is_attached(node: Node, plane: ControlPlane, agent: Agent) -> None:
    """The first address that the plugin would hand out is reserved in the same breath."""
    with container(node.namespace) as (_, netns):
        one = attachment(netns=netns)
        kept = Reservation(f"{9:032x}", "backend1", "10.11.0.2")
        plane.want(one, reserved=(kept,))
        agent.hold()
        standing = until(lambda: attached(plane, one), what="it is attached", within=10)
        assert standing.addresses != ("10.11.0.2",)
        assert "10.11.0.2" in reserved(node)
        plane.want()
        agent.hold()
        until(lambda: plane.standing(one) is None and not reserved(node), what="all is gone", within=10)


@pytest.fixture
def kept(plane: ControlPlane) -> tuple[Reservation, ...]:
    """All that the plugins would hand out first."""
    addresses = [f"10.11.1.{last}" for last in range(2, 9)]
    kept = tuple(Reservation(f"{n:032x}", "backend1", address) for n, address in enumerate(addresses, 7))
    plane.want(reserved=kept)
    return kept


def offered(node: Node) -> bool:
    """Whether a runtime can attach a container to the network."""
    return any(node.config.glob("*backend1.conflist"))


def test_a_node_that_joins_offers_a_network_only_when_what_is_reserved_is_held(
    node: Node, plane: ControlPlane, start: type[Process], kept: tuple[Reservation, ...]
) -> None:
    plane.withholds = True
    start()
    why = "what is reserved could not be fetched yet"
    until(lambda: plane.told() and why in str(plane.reports[-1].findings), what="it is said", within=10)
    assert "obr_backend1" in node.links()
    assert not offered(node)
    plane.withholds = False
    until(lambda: offered(node), what="the network is offered", within=10)
    assert reserved(node) == {one.address for one in kept}
    until(lambda: not plane.reports[-1].findings, what="nothing waits any more", within=10)


@pytest.mark.parametrize("offered_before", [False, True])
def test_a_node_that_boots_with_an_empty_store_holds_what_is_reserved_before_others_start(
    node: Node, plane: ControlPlane, start: type[Process], kept: tuple[Reservation, ...], offered_before: bool
) -> None:
    first = start()
    until(lambda: offered(node) and len(reserved(node)) == len(kept), what="all is held", within=10)
    until(plane.told, what="the first report", within=10)
    until((node.state / "holdings.json").exists, what="holdings on disk", within=5)
    first.kill()
    plane.away()
    shutil.rmtree(store(node))
    if not offered_before:
        shutil.rmtree(node.config)
    with told(node) as ready:
        with busy(store(node) / "backend1"):
            start(NOTIFY_SOCKET=str(ready.getsockname()))
            time.sleep(1)
            assert not reserved(node)
            assert offered(node) == offered_before
            with pytest.raises(BlockingIOError):
                ready.recv(100)
        ready.settimeout(10)
        assert ready.recv(100) == b"READY=1"
    assert reserved(node) == {one.address for one in kept}
    assert offered(node)


def test_one_run_by_hand_holds_what_is_reserved_first(
    node: Node, plane: ControlPlane, start: type[Process], kept: tuple[Reservation, ...]
) -> None:
    plane.withholds = True
    once = start("once")
    assert once.ended() == 1
    assert "what is reserved could not be fetched yet" in once.said()
    assert not offered(node)
    plane.withholds = False
    assert start("once").ended() == 0
    assert reserved(node) == {one.address for one in kept}
    assert offered(node)


@pytest.mark.parametrize("left", [b"", b'{"format": 1, "node": '])
def test_one_run_by_hand_drops_nothing_when_nothing_is_known(
    node: Node, plane: ControlPlane, start: type[Process], kept: tuple[Reservation, ...], left: bytes
) -> None:
    """What must be held cannot be fetched, and what was fetched last is not there, or not whole."""
    assert start("once").ended() == 0
    if left:
        (node.state / "holdings.json").write_bytes(left)
    plane.withholds = True
    once = start("once")
    assert once.ended() == 0
    assert "reservations from the cache" in once.said()
    assert reserved(node) == {one.address for one in kept}


@contextmanager
def told(node: Node) -> Iterator[socket.socket]:
    """Where the service manager listens; not waiting."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
        ready.bind(str(node.config.parent / "notify"))
        ready.setblocking(False)
        yield ready


@contextmanager
def busy(network: Path) -> Iterator[None]:
    """A plugin has the store of a network for itself."""
    network.mkdir(parents=True)
    with open(network / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def attached(plane: ControlPlane, one: Attachment) -> Standing | None:
    standing = plane.standing(one)
    return standing if standing and standing.state == ATTACHED else None


def test_who_was_refused_hears_when_he_may_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "PATIENCE", 0.0)
    opened: list[bool] = []
    one = gate.Gate(lambda: opened.append(True))
    one.named(8)
    one.held(7, {})
    with pytest.raises(gate.Unreserved, match="could not be fetched"):
        one.let_pass("backend1")
    one.held(8, {"b2": "the disk is full"})
    one.let_pass("backend1")
    with pytest.raises(gate.Unreserved, match="the disk is full"):
        one.let_pass("b2")
    one.held(9, {})
    one.held(9, {})
    assert len(opened) == 2
