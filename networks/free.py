"""The next free addresses of a node's part of a network.

    part (a CIDR less what nobody may have) -> windows downwards from the pointer -> what is in use -> free

From the high end downwards, as the plugins hand out upwards from the low end. The pointer is the address
that was reserved last: the search goes on below it, and from the top again once the low end is
reached. So an address that was freed is reserved again last, and a pick reads a window of some dozen
addresses, however many are in use elsewhere. Callers hold the cluster's lock.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import connection
from netaddr import IPAddress, IPNetwork

from netadmin.statements import Statement
from networks.fields import MAPPED, packed
from networks.models import Network
from nodes.models import Node

WINDOW = 64
"""Addresses that are looked at first; then twice as many, and so on."""
WIDEST = 1 << 16
IN_USE = Statement(
    "SELECT address FROM networks_address"
    " WHERE network_id = %s AND locality = %s AND address BETWEEN %s AND %s"
)
IN_ORDER = (
    "SELECT address FROM networks_address"
    " WHERE network_id = %s AND locality = %s AND address BETWEEN %s AND %s ORDER BY address"
)
MOVE = """
INSERT INTO networks_pointer (network_id, node_id, family, address) VALUES {rows}
ON CONFLICT (network_id, node_id, family) DO UPDATE SET address = excluded.address
"""


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


def move_pointers(network: Network, last: dict[tuple[int, int], IPAddress]) -> None:
    """Remember what was reserved last, by node and family."""
    values = [
        value
        for (node, family), address in sorted(last.items())
        for value in (network.pk, node, family, packed(address))
    ]
    if values:
        with connection.cursor() as cursor:
            cursor.execute(MOVE.format(rows=", ".join(["(%s, %s, %s, %s)"] * len(last))), values)


def addresses(part: Part, last: int | None, first: int) -> Iterator[int]:
    """The free numbers of the part, in the order in which they are to be handed out; read as they are taken.

    ``last``: the pointer; None, or outside the part: from the top. ``first``: how many will be taken surely.
    """
    for window in windows(part.low, part.high, last, max(first, WINDOW)):
        used = _in_use(part, window)
        yield from (number for number in reversed(window) if number not in used)


def in_order(network: Network, cidr: IPNetwork) -> list[bytes]:
    """What is in use of a CIDR whose addresses all nodes share. Packed: of a hundred thousand the objects
    would cost more than the query."""
    first, last = (packed(IPAddress(number, cidr.version)) for number in (cidr.first, cidr.last))
    with connection.cursor() as cursor:
        cursor.execute(IN_ORDER, [network.pk, network.locality(None), first, last])
        return [raw for (raw,) in cursor.fetchall()]


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
    first, last = (packed(IPAddress(number, part.cidr.version)) for number in (window[0], window[-1]))
    offset = MAPPED if part.cidr.version == 4 else 0
    rows = IN_USE.rows(part.network.pk, part.network.locality(part.node), first, last)
    return {int.from_bytes(raw, "big") - offset for (raw,) in rows}
