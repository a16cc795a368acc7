"""Addresses that are kept for what we do not start: reserve, release, and what a node holds of them.

    Wish -> Choice -> rows, pointers, event -> holdings of the nodes -> the leases that their workers hold

A reservation is an allocation with one address. The worker of the node in whose part it lies holds a
lease for it in the IPAM store, so that no plugin hands it out. Each verb is one transaction under the
cluster's lock; those who reserve at the same time share one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction
from django.utils import timezone
from netaddr import IPAddress

from netadmin import alike
from netadmin.groupcommit import GroupCommit, Waiting
from netadmin.problems import Conflict, Fault, Missing, Problem
from netadmin.statements import Statement
from networks import conflist, holders, homes, wishes
from networks.choosing import Choice, Chosen
from networks.fields import packed
from networks.lookups import the_network, the_node
from networks.models import Address, Allocation, Learnt, Network, State, Type
from networks.wishes import Wish
from nodes import events, holdings
from nodes.models import Cluster, Event, Node
from workers import holdings as wire

NAMED = 3
"""How many rows a refusal names."""
BATCH = 500
DECLINED_REMEDY = "It is kept as soon as that is gone; or release it, and reserve another one"
BY_NAME = Statement(
    "SELECT {network} FROM networks_network network WHERE name = %s", but=("peers_body",), network=Network
)


@dataclass(frozen=True, slots=True)
class Kept:
    """A new reservation."""

    pk: int
    chosen: Chosen
    since: datetime
    version: int
    """Of the node's holdings that has it first; 0: no node holds it yet."""

    @property
    def address(self) -> IPAddress:
        return self.chosen.address


@dataclass(frozen=True, slots=True)
class _Request:
    network: str
    wanted: Sequence[Wish]
    by: str


_Waiting = Waiting[_Request, list[Kept]]


def reserve(network: str, wanted: Sequence[Wish], *, by: str) -> list[Kept]:
    """Keep addresses: all that are wished for, or none. Not inside of a transaction.

    Raises Problem for what cannot be, Conflict for what somebody has, or when there is no room.
    """
    wishes.judge(wanted)
    return _TOGETHER.call(_Request(network, wanted, by))


@transaction.atomic
def available(network: str, wish: Wish) -> list[Chosen]:
    """What the wish would get now; nothing is kept. As many as there are, at most ``wish.count``."""
    return Choice(_reservable(network)).some(wish)


@transaction.atomic
def look(network: str, wanted: Sequence[Wish]) -> list[Chosen]:
    """What the wishes would get now, all or none; nothing is kept. Raises what ``reserve`` raises."""
    wishes.judge(wanted)
    return Choice(_reservable(network)).request(wanted)


def _reserve_all(waiting: Sequence[_Waiting]) -> None:
    """Under the cluster's lock, network by network; in each, first come, first served."""
    Cluster.locked()
    by_network: dict[str, list[_Waiting]] = {}
    for one in waiting:
        by_network.setdefault(one.request.network, []).append(one)
    for name, those in sorted(by_network.items()):
        try:
            network = _reservable(name)
        except Problem as problem:
            for one in those:
                one.refuse(problem)
        else:
            _reserve_of(network, those)


def _reserve_of(network: Network, waiting: list[_Waiting]) -> None:
    choice, chosen, left = _choose(network, waiting)
    if not left:
        return
    choice.remember()
    kept = iter(_save(network, [one for those in chosen for one in those]))
    for one, those in zip(left, chosen, strict=True):
        one.answer = list(islice(kept, len(those)))
    events.record_all(
        Event(
            actor=one.request.by,
            verb="reserved",
            kind="network",
            name=network.name,
            after={"addresses": _brief([each.address for each in those]), **one.request.wanted[0].said},
        )
        for one, those in zip(left, chosen, strict=True)
    )


def _choose(network: Network, waiting: list[_Waiting]) -> tuple[Choice, list[list[Chosen]], list[_Waiting]]:
    """What each request gets, and those that get something. One that is refused has begun to take addresses:
    without it, the choice is made once more."""
    choice, chosen = Choice(network), []
    for one in waiting:
        try:
            chosen.append(choice.request(one.request.wanted))
        except Problem as problem:
            one.refuse(problem)
            return _choose(network, [other for other in waiting if other is not one])
    return choice, chosen, waiting


_TOGETHER = GroupCommit(_reserve_all)


@transaction.atomic
def release(keys: Sequence[int], *, network: str | None = None, by: str) -> None:
    """Give reservations back, all or none; of this network, if one is named. Raises Missing, or Conflict
    for what is no reservation."""
    Cluster.locked()
    rows = [row for row in _rows(keys) if network in (None, row.network.name)]
    if network and not rows:
        the_network(network)
    if missing := set(keys) - {row.pk for row in rows}:
        of = f" of {network}" if network else ""
        remedy = "List them: GET /api/v1/allocations/?state=reserved"
        raise Missing(Fault("id", str(min(missing)), f"is no allocation{of}", remedy))
    _release(rows, by)


@transaction.atomic
def release_addresses(network: str, addresses: Sequence[IPAddress], *, node: str = "", by: str) -> None:
    """The same, by their addresses; ``node`` says which one is meant of a network with local ranges."""
    Cluster.locked()
    declared = the_network(network, Network.objects.defer("peers_body"))
    held = holders.of_addresses(declared, addresses)
    if node:
        mine = the_node(node).pk
        held = {key: row for key, row in held.items() if row.allocation.node_id == mine}
    by_address: dict[IPAddress, list[Address]] = {}
    for row in held.values():
        by_address.setdefault(row.address, []).append(row)
    for address in addresses:
        found = by_address.get(address, [])
        if not found:
            where = f"{network} on {node}" if node else network
            remedy = f"List them: manage.py net ip ls --network {network}"
            raise Missing(Fault("address", str(address), f"nobody has it in {where}", remedy))
        if len(found) > 1:
            where = ", ".join(row.allocation.node.name for row in found if row.allocation.node)
            raise Problem(Fault("node", "", f"is missing: {address} is in use on {where}", "Say which one"))
    others = [row for row in held.values() if row.allocation.state != State.RESERVED]
    if others:
        raise Conflict(*(_no_reservation("address", row.address, row.allocation) for row in others[:NAMED]))
    _release([row.allocation for row in held.values()], by)


def of_node(node: Node) -> tuple[wire.Reservation, ...]:
    """What a node must hold of reservations; one query."""
    rows = Address.objects.filter(allocation__node=node, allocation__state=State.RESERVED).order_by()
    found = rows.values_list("allocation__uuid", "network__name", "address")
    return tuple(wire.Reservation(uuid.hex, network, str(address)) for uuid, network, address in found)


def take_in(node: Node, declined: Iterable[wire.Declined]) -> None:
    """What a node says of its reservations: those whose address somebody has say so, the others are held.

    Under the cluster's lock, as all that changes allocations. A fixed number of queries.
    """
    holder = {said.id: said.holder for said in declined}
    mine = Allocation.objects.filter(node=node, state=State.RESERVED)
    held_again = mine.filter(healthy=False).exclude(uuid__in=list(holder))
    held_again.update(healthy=True, why="", remedy="")
    if not holder:
        return
    rows = mine.filter(uuid__in=list(holder)).select_related("network").defer("network__peers_body")
    news = []
    for row in rows.prefetch_related("addresses"):
        why = f"{holder[row.uuid.hex][:200] or 'somebody without a name'} has it on {node.name}"
        if row.why != why:
            row.healthy, row.why, row.remedy = False, why, DECLINED_REMEDY
            news.append(row)
    Allocation.objects.bulk_update(news, ["healthy", "why", "remedy"], batch_size=BATCH)
    events.record_all(_declined(row, node) for row in news)


def _declined(row: Allocation, node: Node) -> Event:
    addresses = _brief([held.address for held in row.addresses.all()])
    after = {"addresses": addresses, "why": row.why, "remedy": row.remedy}
    actor = f"node {node.name}"
    return Event(actor=actor, verb="declined", kind="network", name=row.network.name, after=after)


def _reservable(name: str) -> Network:
    """The network; raises Problem when its addresses are not handed out of a lease store of ours."""
    found = next(BY_NAME.rows(name), None)
    network: Network = found[0] if found else the_network(name)  # which raises Missing
    why, remedy = "", "Declare a network of type routed_bridge, or bridge"
    if network.is_off or not network.network:
        why, remedy = "has no range, so it has no addresses to keep", "Declare its range first"
    elif network.type == Type.WEAVE:
        why = "is of type weave: weave hands its addresses out itself, and would hand out those that are kept"
    elif network.type == Type.LOOPBACK:
        why = "is of type loopback: it has one address, which every container has"
    elif network.type == Type.CNI and not _in_our_store(network):
        why = 'has a template without host-local and "dataDir": "{{store}}", so another store has its leases'
        remedy = "Give its template such an ipam"
    if why:
        raise Problem(Fault("network", name, why, remedy))
    return network


def _in_our_store(network: Network) -> bool:
    return "host-local" in conflist.programs(network.template) and "{{store}}" in network.template


def _save(network: Network, chosen: Sequence[Chosen]) -> list[Kept]:
    """The nodes' rows first, then the addresses in order: reports lock in this order too."""
    versions = holdings.changed({one.node.pk for one in chosen if one.node})
    since = timezone.now()
    template = Allocation(network=network, state=State.RESERVED, learnt=Learnt.REQUEST, since=since)
    ids = [uuid4().hex for _ in chosen]
    columns: dict[str, list[Any]] = {
        "uuid": ids,
        "node_id": [one.node.pk if one.node else None for one in chosen],
        "version": [versions[one.node.pk] if one.node else 0 for one in chosen],
        "wanted": [[str(one.address)] if one.wish.address else [] for one in chosen],
        **{text: [getattr(one.wish, text) for one in chosen] for text in wishes.TEXTS},
    }
    found = {_hex(key): pk for key, pk in alike.insert(template, columns, "uuid").items()}
    kept = [
        Kept(found[key], one, since, version)
        for key, one, version in zip(ids, chosen, columns["version"], strict=True)
    ]
    in_order = sorted(kept, key=lambda row: row.address)
    held: dict[str, list[Any]] = {
        "allocation_id": [row.pk for row in in_order],
        "address": [packed(row.address).hex() for row in in_order],
        "locality": [network.locality(row.chosen.node) for row in in_order],
    }
    alike.insert(Address(network=network), held, "allocation_id")
    return kept


def _hex(key: Any) -> str:
    """PostgreSQL gives a UUID, SQLite the text that is stored."""
    return key.hex if isinstance(key, UUID) else str(key)


def _rows(keys: Sequence[int]) -> list[Allocation]:
    rows = Allocation.objects.select_related("network", "node").defer("network__peers_body")
    return [
        row for start in range(0, len(keys), BATCH) for row in rows.filter(pk__in=keys[start : start + BATCH])
    ]


def _release(rows: Sequence[Allocation], by: str) -> None:
    """Raises Conflict for what is no reservation."""
    if others := [row for row in rows if row.state != State.RESERVED]:
        raise Conflict(*(_no_reservation("id", row.pk, row) for row in others[:NAMED]))
    keys = [row.pk for row in rows]
    gone: dict[str, list[IPAddress]] = {}
    for start in range(0, len(keys), BATCH):
        batch = Address.objects.filter(allocation__in=keys[start : start + BATCH])
        for name, address in batch.values_list("network__name", "address"):
            gone.setdefault(name, []).append(address)
        Allocation.objects.filter(pk__in=keys[start : start + BATCH]).delete()
    holdings.changed({row.node_id for row in rows if row.node_id})
    homes.tell_refused({row.network_id for row in rows})
    for name, addresses in gone.items():
        events.record(by, "released", "network", name, before={"addresses": _brief(addresses)})


def _no_reservation(field: str, value: object, row: Allocation) -> Fault:
    remedy = "Stop what uses it; a service gives it back when its allocation is deleted"
    return Fault(field, str(value), f"is no reservation: {holders.described(row)}", remedy)


def _brief(addresses: Iterable[IPAddress]) -> list[str]:
    """Ranges, as ``10.11.7.250-10.11.7.254``."""
    found: list[list[IPAddress]] = []
    for address in sorted(addresses):
        if found and found[-1][-1].version == address.version and int(address) == int(found[-1][-1]) + 1:
            found[-1] = [found[-1][0], address]
        else:
            found.append([address])
    return ["-".join(map(str, span)) for span in found]
