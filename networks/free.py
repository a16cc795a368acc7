"""The next free addresses of a node's part of a network.

    part (a CIDR less what nobody may have) -> windows downwards from the pointer -> what is in use -> free

From the high end downwards, as the plugins hand out upwards from the low end. The pointer is the address
that was reserved last: the search goes on below it, and from the top again once the low end is
reached. So an address that was freed is reserved again last, and a pick reads a window of some dozen
addresses, however many are in use elsewhere. Callers hold the cluster's lock.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db.models import BinaryField
from django.db.models.functions import Cast
from netaddr import IPAddress, IPNetwork

from networks.fields import MAPPED
from networks.models import Address, Network, Pointer
from nodes.models import Node

WINDOW = 64
"""Addresses that are looked at first; then twice as many, and so on."""
WIDEST = 1 << 16


@dataclass(frozen=True, slots=True)
class Part:
    """What one node has of a network in one family."""

    network: Network
    node: Node
    cidr: IPNetwork

    @property
    def low(self) -> int:
        """The first address that can be kept: behind the network's own and the bridge's."""
        return int(self.cidr.first) + 2

    @property
    def high(self) -> int:
        """The last one: in IPv4 before the broadcast address."""
        return int(self.cidr.last) - (1 if self.cidr.version == 4 else 0)

    @property
    def key(self) -> tuple[int, int]:
        return self.node.pk, self.cidr.version


def pointers(network: Network, nodes: Sequence[Node]) -> dict[tuple[int, int], int]:
    """By node and family, the address that was reserved last."""
    rows = Pointer.objects.filter(network=network, node__in=[node.pk for node in nodes])
    return {(row.node_id, row.family): int(row.address) for row in rows}


def move_pointers(network: Network, last: dict[tuple[int, int], IPAddress]) -> None:
    """Remember what was reserved last."""
    rows = [
        Pointer(network=network, node_id=node, family=family, address=address)
        for (node, family), address in sorted(last.items())
    ]
    Pointer.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["network", "node", "family"],
        update_fields=["address"],
    )


def take(part: Part, wanted: int, last: int | None, but: frozenset[int] = frozenset()) -> list[IPAddress]:
    """Up to ``wanted`` free addresses, in the order in which they are to be handed out.

    ``last``: the pointer; None, or outside the part: from the top. ``but``: not these.
    """
    found: list[int] = []
    for window in windows(part.low, part.high, last, max(wanted, WINDOW)):
        used = _in_use(part, window)
        found += [number for number in reversed(window) if number not in used and number not in but]
        if len(found) >= wanted:
            break
    return [IPAddress(number, part.cidr.version) for number in found[:wanted]]


def windows(low: int, high: int, last: int | None, size: int) -> Iterator[range]:
    """The whole part once, in windows downwards from below ``last``, each twice as wide as the one before."""
    below = last if last is not None and low <= last <= high else low
    for bottom, top in ((low, below - 1), (below, high)):
        while top >= bottom:
            start = max(bottom, top - size + 1)
            yield range(start, top + 1)
            top, size = start - 1, min(2 * size, WIDEST)


def _in_use(part: Part, window: range) -> set[int]:
    """Read as bytes: with thousands of rows the objects would cost more than the query."""
    first, last = (IPAddress(number, part.cidr.version) for number in (window[0], window[-1]))
    rows = Address.objects.filter(
        network=part.network, locality=part.network.locality(part.node), address__range=(first, last)
    ).order_by()
    raws = rows.annotate(raw=Cast("address", BinaryField())).values_list("raw", flat=True)
    offset = MAPPED if part.cidr.version == 4 else 0
    return {int.from_bytes(raw, "big") - offset for raw in raws}
