"""Reservations from the control plane to the lease store, by a running worker."""

from pathlib import Path

from lab.waiting import until
from tests import hostlocal
from tests.worker.attachments import attachment, container
from tests.worker.conftest import Node
from tests.worker.control_plane import ControlPlane
from workers.agent import Agent
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


def attached(plane: ControlPlane, one: Attachment) -> Standing | None:
    standing = plane.standing(one)
    return standing if standing and standing.state == ATTACHED else None
