"""Who holds addresses of a network, and who would lose them by a change.

    grounds before, grounds after -> losers -> refuse

A node's ground is what its containers stand on: type, bridge and range. A node whose ground is
another one afterwards, or that has none any more, takes the addresses of its containers with it.
"""

from collections.abc import Mapping

from django.db.models import Q, QuerySet

from netadmin.problems import Fault, InUse
from networks.models import OWN_RANGES, Address, Network

NAMED = 3
"""How many holders a refusal names."""

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
        return network.addresses.none()
    return network.addresses.filter(Q(allocation__node__in=moved) | Q(allocation__node=None))


def refuse(addresses: "QuerySet[Address]", consequence: str, where: str = "") -> None:
    """Raises InUse that names some of the holders, if there are any."""
    count = addresses.count()
    if not count:
        return
    holders = ", ".join(map(_holder, addresses.select_related("allocation__node")[:NAMED]))
    more = f" and {count - NAMED} more" if count > NAMED else ""
    raise InUse(
        Fault(
            "force",
            "false",
            f"{count} addresses are in use{where}: {holders}{more}; {consequence}",
            "Release them, or force it",
        )
    )


def _holder(row: Address) -> str:
    held = row.allocation
    where = f" on {held.node.name}" if held.node else ""
    return f"{row.address} ({held.service or held.container[:12] or held.state}{where})"
