"""Where a packet begins and ends on this node: who holds the address, and the bridge it is on; pure."""

from collections.abc import Iterator

from workers.document import DesiredNetwork
from workers.explained import Hop
from workers.explaining.course import Course, bridge_address
from workers.explaining.sight import Sight
from workers.host import Link
from workers.kernel.links import Bridge
from workers.kernel.neighbours import Neighbour
from workers.report import Lease

CONTAINER = 12
"""Characters of a container id that are shown, as Docker does."""
NOBODY = "nobody"


def source(course: Course, sight: Sight) -> Iterator[Hop]:
    """The holder of the source, then its bridge."""
    leg = course.leg
    if leg.starts == "container" and course.out_of:
        yield _container(course.out_of, leg.source, leg.sender, course, sight)
    elif leg.starts:
        yield _own(leg.source, course.out_of, course, sight)
    if course.out_of:
        yield bridge(course.out_of, leg.source, course, sight)


def destination(course: Course, sight: Sight) -> Iterator[Hop]:
    """The bridge of the destination, then its holder."""
    leg = course.leg
    if course.into and (course.into is not course.out_of or not leg.starts):
        yield bridge(course.into, leg.destination, course, sight)
    if leg.ends == "container" and course.into:
        yield _container(course.into, leg.destination, leg.receiver, course, sight)
    elif leg.ends:
        yield _own(leg.destination, course.into, course, sight)


def bridge(network: DesiredNetwork, address: str, course: Course, sight: Sight) -> Hop:
    """The bridge of a network: there, up, with its address and MTU."""
    own = bridge_address(network, address)
    wanted = course.wanted.get(("link", network.device))
    mtu = wanted.mtu if isinstance(wanted, Bridge) else 0
    declared = " ".join(filter(None, (network.device, own, f"mtu {mtu}" if mtu else "", "up")))
    link = sight.node.host.links.get(network.device)
    if link is None:
        why = f"{course.node} has no bridge {network.device}"
        return Hop("bridge", declared, "no such device", False, why, _restored(network))
    found = _shown(link, own, mtu)
    why, remedy = _wrong_with(link, network, own, mtu, course)
    return Hop("bridge", declared, found, not why, why, remedy)


def _shown(link: Link, own: str, mtu: int) -> str:
    address = own if any(held.address == own for held in link.addresses) else f"without {own}"
    return f"{link.name} {address} {f'mtu {link.mtu} ' if mtu else ''}{'up' if link.up else 'down'}"


def _wrong_with(link: Link, network: DesiredNetwork, own: str, mtu: int, course: Course) -> tuple[str, str]:
    if link.kind != "bridge":
        why = f"{link.name} on {course.node} is a {link.kind or 'hardware'} device and no bridge"
        return why, f"Remove it, or declare {network.name} with dev=ANOTHER"
    if not link.up:
        return f"{link.name} on {course.node} is down", _restored(network)
    if not any(held.address == own for held in link.addresses):
        return f"{link.name} on {course.node} does not have its address {own}", _restored(network)
    if mtu and link.mtu != mtu:
        return f"{link.name} on {course.node} has MTU {link.mtu} where {mtu} is declared", _restored(network)
    return "", ""


def _restored(network: DesiredNetwork) -> str:
    if network.adopted:
        return f"It is the operator's own: make it, set it up, or declare {network.name} without dev"
    return "The worker puts it back at its next look; if it does not, see whether it runs"


def _container(network: DesiredNetwork, address: str, known: str, course: Course, sight: Sight) -> Hop:
    """The holder of an address by the lease store, and whether it answers on the bridge."""
    lease = sight.node.leases.get((network.name, address))
    neighbour = sight.neighbours.get((network.device, address))
    held = f"{lease.container[:CONTAINER]} {lease.interface}".strip() if lease else NOBODY
    found = held + (f", {neighbour}" if neighbour and neighbour.mac else "")
    why, remedy = _wrong_holder(lease, address, known, course)
    if not why and lease and _dead(neighbour, sight.node.answers.get(address)):
        found = f"{held}, does not answer"
        why = f"{held} holds {address} and does not answer on {network.device}"
        remedy = f"See whether the container runs and its {lease.interface or 'interface'} is up"
    declared = known[:CONTAINER] or ("not reported yet" if lease else NOBODY)
    return Hop("address", declared, found, not why, why, remedy)


def _dead(neighbour: Neighbour | None, answered: bool | None) -> bool:
    """One that is heard of on the bridge may still refuse echoes; one that answers them is well."""
    if answered is None:
        return bool(neighbour and neighbour.missing)
    return not answered and not (neighbour and neighbour.state == "reachable")


def _wrong_holder(lease: Lease | None, address: str, known: str, course: Course) -> tuple[str, str]:
    """A lease that the rows do not know yet is nothing wrong; a report is under way."""
    if known and not lease:
        why = f"{known[:CONTAINER]} does not hold {address} on {course.node} any more"
        return why, "See whether the container still runs"
    if known and lease and not lease.container.startswith(known):
        why = (
            f"{address} on {course.node} is held by {lease.container[:CONTAINER]}, not by {known[:CONTAINER]}"
        )
        return why, "Ask again when the node has reported"
    return "", ""


def _own(address: str, network: DesiredNetwork | None, course: Course, sight: Sight) -> Hop:
    """An address of the node itself."""
    holders = [
        link.name
        for link in sight.node.host.links.values()
        for held in link.addresses
        if held.address.partition("/")[0] == address
    ]
    declared = f"{address} on {network.device if network else 'the node'}"
    right = network.device in holders if network else bool(holders)
    if right:
        return Hop("address", declared, f"{address} on {holders[0]}", True)
    found = f"on {holders[0]}" if holders else "on no device"
    why = f"{course.node} has {address} {found}"
    remedy = _restored(network) if network else "See its interfaces (ip address show)"
    return Hop("address", declared, found, False, why, remedy)
