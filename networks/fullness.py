"""How full the segments are: addresses in use against those that a node can hand out.

Services of ours, reservations and containers of others take them from one store. A node whose segment is
full starts no container on that network, however empty the network as a whole is.
"""

from collections import Counter
from dataclasses import dataclass, replace

from django.db.models import Count, F, Q, QuerySet
from netaddr import IPAddress, IPNetwork

from networks import addressing, holders
from networks.models import Address, Allocation, Network, Segment
from nodes.models import Node

NEARLY = 0.9
"""From this share on a segment is worth a warning."""
NONE_LEFT = "no IP addresses available"
"""In words of host-local: a range is full."""
IPV4 = Q(address__range=(IPAddress("0.0.0.0"), IPAddress("255.255.255.255")))


Counts = Counter[tuple[int, int, int]]
"""Addresses in use by network, node and family."""


@dataclass(frozen=True, slots=True)
class Fullness:
    """One node's part of one network, in one family."""

    network: Network
    node: Node
    cidr: IPNetwork
    used: int

    @property
    def bridge(self) -> str:
        """The bridge's address, with prefix."""
        return f"{addressing.first_address(self.cidr)}/{self.cidr.prefixlen}"

    @property
    def room(self) -> int:
        """How many containers can have an address."""
        return addressing.room(self.cidr)

    @property
    def held(self) -> QuerySet[Address]:
        """The addresses of it that somebody has."""
        inside = IPAddress(self.cidr.first, self.cidr.version), IPAddress(self.cidr.last, self.cidr.version)
        return self.network.addresses.filter(allocation__node=self.node, address__range=inside)

    @property
    def full(self) -> bool:
        return self.used > 0 and self.used >= self.room

    @property
    def nearly_full(self) -> bool:
        return self.used > 0 and self.used >= NEARLY * self.room

    @property
    def sentence(self) -> str:
        """How much of it is in use; when it is full (one query) also by whom."""
        by_whom = f", it is full: {holders.some(self.held, self.used)}" if self.full else ""
        return f"{self.used} of the {self.room} addresses of {self.cidr} are in use{by_whom}"


class Reasons:
    """Why rows are as they are, for one who reads several: a range that is full is said with its holders."""

    def __init__(self) -> None:
        self._full: dict[tuple[int, int], list[str]] = {}
        """Sentences by network and node."""

    def of(self, row: Allocation) -> str:
        """Four queries for each part that a node found full, whatever the number of rows; else none."""
        if row.healthy or row.node is None or NONE_LEFT not in row.why:
            return row.why
        key = row.network_id, row.node.pk
        if key not in self._full:
            self._full[key] = [part.sentence for part in _parts(row.network, row.node) if part.full]
        return "; ".join([row.why, *self._full[key]])


def counted(held: QuerySet[Address] | None = None) -> Counts:
    """Those of nodes among these addresses (or all). One query."""
    found = (Address.objects.all() if held is None else held).exclude(allocation__node=None)
    rows = found.order_by().values("network", node=F("allocation__node"))
    rows = rows.annotate(v4=Count("pk", filter=IPV4), total=Count("pk"))
    counts: Counts = Counter()
    for row in rows:
        counts[row["network"], row["node"], 4] = row["v4"]
        counts[row["network"], row["node"], 6] = row["total"] - row["v4"]
    return counts


def of(network: Network, node: Node, segment: Segment | None, counts: Counts) -> tuple[Fullness, ...]:
    """What a node has of a network, one part per family."""
    return tuple(
        _inside(Fullness(network, node, cidr, counts[network.pk, node.pk, cidr.version]))
        for cidr in network.part(segment)
    )


def _parts(network: Network, node: Node) -> tuple[Fullness, ...]:
    segment = network.segments.filter(node=node).first()
    return of(network, node, segment, counted(network.addresses.filter(allocation__node=node)))


def _inside(part: Fullness) -> Fullness:
    """Without what the node still has of a range that it had before; counted (one query) where it could make
    a part seem full."""
    return replace(part, used=part.held.count()) if part.nearly_full else part


def wherever_addresses_are() -> list[Fullness]:
    """Every part of which something is in use, in cluster order. Four queries."""
    counts = counted()
    networks = Network.objects.defer("peers_body").in_bulk({key[0] for key in counts})
    nodes = Node.objects.in_bulk({key[1] for key in counts})
    segments = {(row.network_id, row.node_id): row for row in Segment.objects.filter(network__in=networks)}
    keys = {key[:2] for key in counts if key[1] in nodes}
    in_order = sorted(keys, key=lambda key: (nodes[key[1]].position, networks[key[0]].name))
    return [
        part
        for network, node in in_order
        for part in of(networks[network], nodes[node], segments.get((network, node)), counts)
    ]
