"""Which addresses wishes get: named ones as they are named, any from the parts of nodes.

    named    -> whose they are (homes) -> who has them already -> chosen
    any      -> parts in turn -> the next free ones (free) -> chosen

For any node the parts take turns, each giving up to BLOCK addresses, or its even share of many: a
node whose part was used up by reservations could start no container. One Choice serves all requests of
a transaction, one after the other. Callers hold the cluster's lock.
"""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from django.db import connection
from netaddr import IPAddress, IPNetwork

from netadmin.problems import Conflict, Fault, Problem
from netadmin.statements import Statement
from networks import free, holders
from networks.fields import packed
from networks.free import Part
from networks.homes import Homes, node_of
from networks.models import Network, Pointer, Segment, State
from networks.wishes import Wish, placed
from nodes.models import Node

BLOCK = 128
NAMED = 3
"""How many holders a refusal names."""
PATIENCE = 2
"""How often parts are looked at before it is counted which ones have room."""
LAST_KEY = 2**63 - 1
TURN = "UPDATE networks_network SET turn = %s WHERE id = %s"
PARTS = Statement(
    """
    SELECT {segment}, {node}, {pointer}
    FROM networks_segment segment
    JOIN nodes_node node ON node.id = segment.node_id
    LEFT JOIN networks_pointer pointer
    ON pointer.network_id = segment.network_id AND pointer.node_id = segment.node_id AND pointer.family = %s
    WHERE segment.network_id = %s AND segment.subnet <> '' AND segment.node_id > %s AND segment.node_id <= %s
    ORDER BY segment.node_id LIMIT %s
    """,
    segment=Segment,
    node=Node,
    pointer=Pointer,
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """One address, and whose part it lies in; None: nobody's yet."""

    address: IPAddress
    node: Node | None
    wish: Wish
    place: int
    """Of the wish among the wishes."""


class Choice:
    """The addresses that requests get; nothing is written before ``remember``."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._taken: dict[int | None, set[int]] = defaultdict(set)
        """Numbers that were chosen, by node (key)."""
        self._pointers: dict[tuple[int, int], int] = {}
        self._sources: dict[tuple[int, int], Iterator[int]] = {}
        """What is free in a part and was not looked at yet."""
        self._moved: dict[tuple[int, int], IPAddress] = {}
        self._given: Counter[int] = Counter()
        """How many, by node (key), of those that may lie anywhere."""
        self._open: dict[int, Part] = {}
        """By the family of a wish for any node: whose turn it is still."""
        self._in_use: dict[int, list[bytes]] = {}
        """Of the whole network, in order, by family; read when part after part had nothing."""
        self._turn = network.turn

    def request(self, wanted: Sequence[Wish]) -> list[Chosen]:
        """What the wishes get, in their order: all, or none.

        Raises Problem for one that cannot be, Conflict that names the holders when somebody has some, or says
        how full it is when there are not so many. Then it is of no more use.
        """
        chosen = self._named(wanted)  # first, so that a wish for any does not take one of them
        for place, wish in enumerate(wanted):
            if wish.address is None:
                with placed(wanted, place):
                    chosen += self.any(wish, place)
        chosen.sort(key=lambda one: one.place)
        return chosen

    def any(self, wish: Wish, place: int = 0) -> list[Chosen]:
        """``wish.count`` addresses."""
        found = self.some(wish, place)
        if len(found) < wish.count:
            raise Conflict(_full(self.network, wish, len(found)))
        return found

    def some(self, wish: Wish, place: int = 0) -> list[Chosen]:
        """Up to ``wish.count`` addresses."""
        found: list[Chosen] = []
        even = self._share(wish)
        for share in (even,) if even == wish.count else (even, wish.count):
            for part in self._parts(wish):
                found += self._take(part, min(share, wish.count - len(found)), wish, place)
                if len(found) == wish.count:
                    return found
        return found

    def remember(self) -> None:
        """Where the next search begins."""
        free.move_pointers(self.network, self._moved)
        if self._turn != self.network.turn:
            with connection.cursor() as cursor:
                cursor.execute(TURN, [self._turn, self.network.pk])

    def _named(self, wishes: Sequence[Wish]) -> list[Chosen]:
        """Those wishes that name an address."""
        named = [wish.address for wish in wishes if wish.address is not None]
        if not named:
            return []
        homes = Homes(self.network, named)
        found: dict[int, Chosen] = {}
        seen: set[tuple[int | None, IPAddress]] = set()
        for place, wish in enumerate(wishes):
            if wish.address is not None:
                with placed(wishes, place):
                    one = Chosen(wish.address, homes.of(wish.address, wish.node), wish, place)
                    if (_key(one), one.address) in seen:
                        raise Problem(Fault("address", str(one.address), "is named twice", "Name it once"))
                seen.add((_key(one), one.address))
                found[place] = one
        self._require_free(wishes, found)
        for one in found.values():
            self._taken[_key(one)].add(int(one.address))
        return list(found.values())

    def _require_free(self, wishes: Sequence[Wish], found: dict[int, Chosen]) -> None:
        """Neither in use, nor chosen by a request before this one."""
        held = holders.of_addresses(self.network, [one.address for one in found.values()])
        faults = []
        for place, one in found.items():
            row = held.get((one.address, self.network.locality(one.node)))
            if row or int(one.address) in self._taken[_key(one)]:
                who = holders.described(row.allocation) if row else "it was kept a moment ago"
                field = f"[{place}].address" if len(wishes) > 1 else "address"
                remedy = "Name another one, or leave it out and take what is free"
                faults.append(Fault(field, str(one.address), f"is not free: {who}", remedy))
        if faults:
            raise Conflict(*faults[:NAMED])

    def _share(self, wish: Wish) -> int:
        """How many come out of one part in the first round."""
        if wish.node or wish.count <= BLOCK:
            return wish.count
        parts = self.network.segments.exclude(node=None).exclude(subnet="").count()
        return max(BLOCK, -(-wish.count // max(parts, 1)))

    def _take(self, part: Part, wanted: int, wish: Wish, place: int) -> list[Chosen]:
        """As many as it has."""
        taken = self._taken[part.node.pk]
        if part.key not in self._sources:
            self._sources[part.key] = free.addresses(part, self._pointers.get(part.key), wanted)
        left = (number for number in self._sources[part.key] if number not in taken)
        got = [IPAddress(number, part.cidr.version) for number in islice(left, wanted)]
        if got:
            taken.update(map(int, got))
            self._moved[part.key] = got[-1]
            if not wish.node:
                self._pass_turn(part, len(got), wish)
        return [Chosen(address, part.node, wish, place) for address in got]

    def _pass_turn(self, part: Part, count: int, wish: Wish) -> None:
        """Once it gave a block; before that the next request goes on where this one has read already."""
        self._given[part.node.pk] += count
        self._turn = part.node.pk
        self._open.pop(wish.family, None)
        if self._given[part.node.pk] < BLOCK:
            self._open[wish.family] = part

    def _parts(self, wish: Wish) -> Iterator[Part]:
        """The part of the node, or those of all nodes in turn."""
        if wish.node or not self.network.is_segmented:
            node = node_of(self.network, wish.node)
            part = self._of_family(node, self.network.segments.filter(node=node).first(), wish)
            self._read_pointer(part)
            yield part
            return
        family = self._cidr(self.network.cidrs, wish).version
        if open := self._open.get(wish.family):
            yield open
        for number, parts in enumerate(self._parts_in_turn(wish, family)):
            yield from (part for part in parts if number < PATIENCE or self._has_room(part))

    def _has_room(self, part: Part) -> bool:
        """Whether not all of it is in use, whoever has it. One query for all parts, of whatever sizes."""
        version = part.cidr.version
        if version not in self._in_use:
            [whole] = [cidr for cidr in self.network.cidrs if cidr.version == version]
            self._in_use[version] = free.in_order(self.network, whole)
        used = self._in_use[version]
        low, high = (packed(IPAddress(number, version)) for number in (part.low, part.high))
        return bisect_right(used, high) - bisect_left(used, low) <= part.high - part.low

    def _parts_in_turn(self, wish: Wish, family: int) -> Iterator[list[Part]]:
        """Those of all nodes, beginning behind the one whose turn it was last: first as many as may do, then
        ever more."""
        most = -(-wish.count // BLOCK)
        for behind, to in ((self._turn, LAST_KEY), (0, self._turn)):
            while parts := self._read_parts(wish, family, behind, to, most):
                yield parts
                behind, most = parts[-1].node.pk, 4 * most

    def _read_parts(self, wish: Wish, family: int, behind: int, to: int, most: int) -> list[Part]:
        """Those of nodes with keys ``behind < key <= to``, and their pointers."""
        found = []
        for segment, node, pointer in PARTS.rows(family, self.network.pk, behind, to, most):
            part = self._of_family(node, segment, wish)
            if pointer:
                self._pointers.setdefault(part.key, int(pointer.address))
            found.append(part)
        return found

    def _read_pointer(self, part: Part) -> None:
        rows = Pointer.objects.filter(network=self.network, node=part.node, family=part.cidr.version)
        if part.key not in self._pointers and (row := rows.first()):
            self._pointers[part.key] = int(row.address)

    def _of_family(self, node: Node, segment: Segment | None, wish: Wish) -> Part:
        return Part(self.network, node, self._cidr(self.network.part(segment), wish))

    def _cidr(self, cidrs: Sequence[IPNetwork], wish: Wish) -> IPNetwork:
        """The one of the family; raises Problem when there is none."""
        for cidr in cidrs:
            if wish.family in (0, cidr.version):
                return cidr
        has = " and ".join(f"IPv{cidr.version}" for cidr in cidrs)
        why = f"is a family that {self.network.name} has no addresses of"
        raise Problem(Fault("family", str(wish.family), why, f"It has {has}"))


def _key(one: Chosen) -> int | None:
    return one.node.pk if one.node else None


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
