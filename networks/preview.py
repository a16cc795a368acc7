"""What a declaration would do, found out by doing it and taking it back.

The same verbs, rules and segments as for real, in a transaction that is rolled back: no row,
no event and no wake-up is left.
"""

from collections.abc import Callable
from dataclasses import dataclass

from django.db import transaction
from netaddr import IPNetwork

from networks import addressing, holders
from networks.models import Network
from nodes.models import Node


@dataclass(frozen=True, slots=True)
class Part:
    """What one node would have of the network."""

    node: Node
    cidrs: tuple[IPNetwork, ...]
    before: tuple[IPNetwork, ...]
    """What it has now."""

    @property
    def bridge(self) -> list[str]:
        """The bridge's addresses, with prefix."""
        return [f"{addressing.first_address(cidr)}/{cidr.prefixlen}" for cidr in self.cidrs]

    @property
    def moves(self) -> bool:
        return bool(self.before) and self.before != self.cidrs


@dataclass(frozen=True, slots=True)
class Preview:
    """A network as it would be."""

    network: Network
    parts: tuple[Part, ...]
    taken: int
    """How many addresses those who hold them would lose."""

    @property
    def cidrs(self) -> tuple[IPNetwork, ...]:
        """What a node gets: the first one's part stands for all."""
        if self.parts:
            return self.parts[0].cidrs
        return tuple(self.network.grid.subnet(0) if self.network.is_segmented else self.network.cidrs)

    @property
    def prefixes(self) -> str:
        return " ".join(f"/{cidr.prefixlen}" for cidr in self.cidrs)

    @property
    def room(self) -> int:
        """Containers per node, in the family that holds fewer."""
        return min(map(addressing.room, self.cidrs), default=0)

    @property
    def slots(self) -> int:
        """How many nodes the network has segments for."""
        return self.network.grid.size if self.network.is_segmented else 0


def of(verb: Callable[[], Network]) -> Preview:
    """Call the verb, look, take it back. Raises the Problem that the verb raises."""
    with transaction.atomic():
        network = verb()
        after, grounds = _parts(network), holders.grounds(network)
        transaction.set_rollback(True)
    now = Network.objects.filter(pk=network.pk).first()
    before = _parts(now) if now else {}
    parts = tuple(Part(node, cidrs, before.get(node, ())) for node, cidrs in after.items())
    losers = holders.losers(now, holders.grounds(now), grounds).count() if now else 0
    return Preview(network, parts, losers)


def _parts(network: Network) -> dict[Node, tuple[IPNetwork, ...]]:
    segments = {segment.node_id: segment for segment in network.segments.exclude(node=None)}
    return {node: tuple(network.part(segments.get(node.pk))) for node in network.scope()}
