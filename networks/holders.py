"""Who holds addresses of a network, and who would lose them by a change.

    grounds before, grounds after -> losers -> refuse

A node's ground is what its containers stand on: type, bridge and range. A node whose ground is
another one afterwards, or that has none any more, takes the addresses of its containers with it.
"""

from collections.abc import Mapping, Sequence

from django.db.models import Exists, OuterRef, Q, QuerySet
from netaddr import IPAddress

from netadmin.problems import Fault, InUse
from networks.models import OWN_RANGES, Address, Allocation, Network, State

NAMED = 3
"""How many holders a refusal names."""
CONTAINER = 12
"""Characters of a container id that are shown, as Docker does."""
BATCH = 500

Ground = tuple[str, str, str]
Grounds = Mapping[int, Ground]
"""By node (primary key)."""


def grounds(network: Network) -> Grounds:
    """What each node has of the network as it is saved; nothing while it is switched off."""
    if network.is_off:
        return {}
    segments = {row.node_id: row for row in network.segments.exclude(node=None)}
    found = {}
    for pk in network.scope().values_list("pk", flat=True):
        segment = segments.get(pk)
        own = segment.own_range if segment and network.type in OWN_RANGES else ""
        part = (segment.subnet if segment else "") if network.is_segmented else own or network.network
        found[pk] = (str(network.type), network.device, part)
    return found


def losers(network: Network, before: Grounds, after: Grounds) -> "QuerySet[Address]":
    """The addresses that would be taken from those who hold them."""
    moved = [pk for pk, ground in before.items() if after.get(pk) != ground]
    if not moved:
        return outside(network)
    return network.addresses.filter(Q(allocation__node__in=moved) | Q(allocation__node=None))


def outside(network: Network) -> "QuerySet[Address]":
    """Reservations that no part of a routed_bridge can have any more."""
    rows = network.addresses.filter(allocation__state=State.RESERVED)
    if not network.is_segmented:
        return rows.none()
    for cidr in network.cidrs:
        first, last = IPAddress(cidr.first, cidr.version), IPAddress(cidr.last, cidr.version)
        rows = rows.exclude(address__range=(first, last))
    return rows


def refuse(addresses: "QuerySet[Address]", consequence: str, where: str = "") -> None:
    """Raises InUse that names some of the holders, if there are any."""
    count = addresses.count()
    if not count:
        return
    raise InUse(
        Fault(
            "force",
            "false",
            f"{_are(count)} in use{where}: {some(addresses, count)}; {consequence}",
            "Release them, or force it",
        )
    )


def refuse_waiting(asked: "QuerySet[Allocation]", consequence: str) -> None:
    """The same for services that asked for an address and have none yet in the network that it is to be of:
    one that is being moved still has that of the network that it comes from."""
    there = Address.objects.filter(allocation=OuterRef("pk"), network=OuterRef("network"))
    waiting = asked.exclude(resource="").exclude(Exists(there))
    if count := waiting.count():
        named = ", ".join(f"{row.service} {row.resource}" for row in waiting[:NAMED])
        more = f" and {count - NAMED} more" if count > NAMED else ""
        wait = "1 service waits" if count == 1 else f"{count} services wait"
        why = f"{wait} for an address: {named}{more}; {consequence}"
        raise InUse(Fault("force", "false", why, "Release them, or force it"))


def some(addresses: "QuerySet[Address]", count: int) -> str:
    """Some of the holders by name, and how many more there are."""
    holders = ", ".join(map(_holder, addresses.select_related("allocation__node")[:NAMED]))
    return holders + (f" and {count - NAMED} more" if count > NAMED else "")


def of_addresses(network: Network, addresses: Sequence[IPAddress]) -> dict[tuple[IPAddress, int], Address]:
    """Who has these addresses, by address and locality."""
    rows = network.addresses.select_related("allocation__node").order_by()
    return {
        (row.address, row.locality): row
        for start in range(0, len(addresses), BATCH)
        for row in rows.filter(address__in=addresses[start : start + BATCH])
    }


def described(held: Allocation) -> str:
    """Who it is, as a sentence names it: a service, a container, or what a reservation is for."""
    name = held.service or held.container[:CONTAINER]
    if held.state == State.RESERVED:
        what = purpose(held)
    else:
        what = f"{held.state} {name}".strip() if held.state == State.LOST else name or str(held.state)
    return f"{what} on {held.node.name}" if held.node else what


def purpose(reservation: Allocation) -> str:
    """What it is kept for, if that was said: ``reserved for nas``."""
    name = reservation.service or reservation.hostname or reservation.comment
    return f"reserved for {name}" if name else "reserved"


def _are(count: int) -> str:
    return "1 address is" if count == 1 else f"{count} addresses are"


def _holder(row: Address) -> str:
    return f"{row.address} ({described(row.allocation)})"
