"""Which addresses wishes get: named ones as they are named, any from the parts of nodes.

    Choice.named(wishes) -> whose they are (homes) -> who has them already -> chosen
    Choice.any(wish)     -> parts in turn -> the next free ones (free) -> chosen

For any node the parts take turns, each giving up to BLOCK addresses, or its even share of many: a
node whose part was used up by reservations could start no container. Callers hold the cluster's lock.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db.models import Count
from netaddr import IPAddress

from netadmin.problems import Conflict, Fault, Problem
from networks import addressing, free, holders
from networks.free import Part
from networks.homes import Homes, node_of
from networks.models import Address, Network, Segment, State
from networks.wishes import Wish, placed
from nodes.models import Node

BLOCK = 128
NAMED = 3
"""How many holders a refusal names."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """One address, and whose part it lies in; None: nobody's yet."""

    address: IPAddress
    node: Node | None
    wish: Wish
    place: int
    """Of the wish among the wishes."""


class Choice:
    """The addresses that wishes get; nothing is written before ``remember``."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.chosen: list[Chosen] = []
        self._taken: dict[int | None, set[int]] = defaultdict(set)
        """Numbers that were chosen, by node (key)."""
        self._pointers: dict[tuple[int, int], int] = {}
        self._moved: dict[tuple[int, int], IPAddress] = {}
        self._turn = network.turn

    def named(self, wishes: Sequence[Wish]) -> None:
        """Those wishes that name an address. Raises Problem for one that cannot be, Conflict that names
        the holders when somebody has some."""
        homes = Homes(self.network, [wish.address for wish in wishes if wish.address is not None])
        found: dict[int, Chosen] = {}
        for place, wish in enumerate(wishes):
            if wish.address is None:
                continue
            with placed(wishes, place):
                node = homes.of(wish.address, wish.node)
                self._keep(Chosen(wish.address, node, wish, place))
                found[place] = self.chosen[-1]
        if found:
            self._require_free(wishes, found)

    def any(self, wish: Wish, place: int = 0) -> None:
        """``wish.count`` addresses; raises Conflict that says how full it is when there are not so many."""
        left = wish.count
        even = self._share(wish)
        for share in (even,) if even == wish.count else (even, wish.count):
            for part in self._parts(wish):
                left -= self._take(part, min(share, left), wish, place)
                if not left:
                    return
        raise Conflict(_full(self.network, wish, wish.count - left))

    def remember(self) -> None:
        """Where the next search begins."""
        free.move_pointers(self.network, self._moved)
        if self._turn != self.network.turn:
            Network.objects.filter(pk=self.network.pk).update(turn=self._turn)

    def _keep(self, one: Chosen) -> None:
        taken = self._taken[one.node.pk if one.node else None]
        if int(one.address) in taken:
            raise Problem(Fault("address", str(one.address), "is named twice", "Name it once"))
        taken.add(int(one.address))
        self.chosen.append(one)

    def _require_free(self, wishes: Sequence[Wish], found: dict[int, Chosen]) -> None:
        held = holders.of_addresses(self.network, [one.address for one in found.values()])
        faults = [
            Fault(
                f"[{place}].address" if len(wishes) > 1 else "address",
                str(one.address),
                f"is not free: {holders.described(row.allocation)}",
                "Name another one, or leave it out and take what is free",
            )
            for place, one in found.items()
            if (row := held.get((one.address, self.network.locality(one.node))))
        ]
        if faults:
            raise Conflict(*faults[:NAMED])

    def _share(self, wish: Wish) -> int:
        """How many come out of one part in the first round."""
        if wish.node or wish.count <= BLOCK:
            return wish.count
        parts = self.network.segments.exclude(node=None).exclude(subnet="").count()
        return max(BLOCK, -(-wish.count // max(parts, 1)))

    def _take(self, part: Part, wanted: int, wish: Wish, place: int) -> int:
        """How many it has."""
        taken = self._taken[part.node.pk]
        got = free.take(part, wanted, self._pointers.get(part.key), frozenset(taken))
        if got:
            taken.update(map(int, got))
            self.chosen += [Chosen(address, part.node, wish, place) for address in got]
            self._moved[part.key] = got[-1]
            self._pointers[part.key] = int(got[-1])
            self._turn = self._turn if wish.node else part.node.pk
        return len(got)

    def _parts(self, wish: Wish) -> Iterator[Part]:
        """The part of the node, or those of all nodes in turn."""
        if wish.node or not self.network.is_segmented:
            node = node_of(self.network, wish.node)
            segment = self.network.segments.filter(node=node).first()
            self._read_pointers([node])
            yield from _of_family(self.network, node, segment, wish)
            return
        full: set[int] = set()
        for number, segments in enumerate(self._segments(wish)):
            if number == 1:
                full = _full_nodes(self.network, wish)
            left = [(row, row.node) for row in segments if row.node and row.node.pk not in full]
            self._read_pointers([node for _, node in left])
            for segment, node in left:
                yield from _of_family(self.network, node, segment, wish)

    def _segments(self, wish: Wish) -> Iterator[list[Segment]]:
        """All segments, beginning behind the one whose turn it was last: first as many as may do."""
        turn, few = self._turn, -(-wish.count // BLOCK) + 1
        rows = self.network.segments.exclude(subnet="").select_related("node").order_by("node_id")
        behind, before = rows.filter(node_id__gt=turn), rows.filter(node_id__lte=turn)
        for some in (behind[:few], behind[few:], before):
            if found := list(some):
                yield found

    def _read_pointers(self, nodes: Sequence[Node]) -> None:
        for key, number in free.pointers(self.network, nodes).items():
            self._pointers.setdefault(key, number)


def _of_family(network: Network, node: Node, segment: Segment | None, wish: Wish) -> Iterator[Part]:
    """Raises Problem when the network has no addresses of the family."""
    cidrs = network.part(segment)
    found = [cidr for cidr in cidrs if wish.family in (0, cidr.version)]
    if wish.family and not found:
        has = " and ".join(f"IPv{cidr.version}" for cidr in cidrs)
        why = f"is a family that {network.name} has no addresses of"
        raise Problem(Fault("family", str(wish.family), why, f"It has {has}"))
    yield from (Part(network, node, cidr) for cidr in found[:1])


def _full_nodes(network: Network, wish: Wish) -> set[int]:
    """Nodes whose part is used up. One query that counts, for when part after part had nothing."""
    version = wish.family or network.cidrs[0].version
    [(cidr, prefix)] = [
        pair
        for pair in zip(network.grid.cidrs, network.grid.prefixes, strict=True)
        if pair[0].version == version
    ]
    room = addressing.room(addressing.segment(cidr, prefix, 0))
    inside = (IPAddress(cidr.first, version), IPAddress(cidr.last, version))
    rows = Address.objects.filter(network=network, address__range=inside).exclude(allocation__node=None)
    counted = rows.order_by().values_list("allocation__node").annotate(Count("pk"))
    return {node for node, count in counted if count >= room}


def _full(network: Network, wish: Wish, found: int) -> Fault:
    """Says how full it is, who has addresses, and what would help."""
    rows = network.addresses.order_by("allocation__state", "pk")
    if wish.node:
        rows = rows.filter(allocation__node__name=wish.node)
    count, lost = rows.count(), rows.filter(allocation__state=State.LOST).count()
    where = f"{network.name} on {wish.node}" if wish.node else network.name
    why = f"{found or 'none'} of {wish.count} are free in {where}: {count} are in use"
    help = "Release some, or give the network larger segments (ips_per_node)"
    if lost:
        why += f", {lost} of them by containers that are gone"
        help = f"Free what is lost: manage.py net ip check --release --network {network.name}"
    holding = f", by {holders.some(rows, count)}" if count else ""
    return Fault("count", str(wish.count), why + holding, help)
