"""Statement -> rows: what a node says became of the attachments that services asked for.

    take_in    late or of an unknown version? ignored. What it declines is the reservations' business
      judge    row + standing -> the row as it is now, or gone; rows changed since are left alone
      claims   its addresses; who has one of them gives way, or the claim is refused
      save     rows, addresses, events

A node is the authority over its own part of a network: what its lease store seemed to hold there gives
way to what it says. Nothing else does: two allocations never share an address, so one whose address
somebody else has is not healthy, and says who has it.

What keeps it exactly-once: a row that was taken back goes (and its address with it) only by a statement
that does not list it, of the version that took it back or a later one, and newer than all before it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from netaddr import AddrFormatError, IPAddress

from netadmin.problems import Fault, Problem
from networks import homes, reservations
from networks.dns import changes
from networks.models import Address, Allocation, Learnt, Network, Segment, State
from nodes import holdings, reports
from nodes.models import Cluster, Event, Node
from workers import holdings as wire

BATCH = 500
Place = tuple[int, int, IPAddress]
"""Where an address is nobody else's: network, locality, address."""
FIELDS = ("state", "healthy", "why", "remedy", "container", "mac")
"""Columns that follow a standing."""


@transaction.atomic
def take_in(node: Node, said: wire.Statement) -> bool:
    """Follow a statement; False: it is older than the newest one, or of a version that there never was,
    and was ignored. Raises NodeGone when the node was removed in the meantime."""
    Cluster.locked()
    row = Node.objects.select_for_update(no_key=True).filter(pk=node.pk).first()
    if row is None:
        raise reports.gone(node.name)
    if not reports.is_newer(said.sequence, row.stated):
        return False
    if said.version > row.holdings:
        # An older copy of the database was put back: the node is to look again.
        holdings.changed([row.pk])
        return False
    Node.objects.filter(pk=row.pk).update(stated=said.sequence)
    reservations.take_in(row, said.declined)
    _save(_judged(row, said))
    return True


@dataclass(slots=True)
class Change:
    """A row as it is now, and as it was."""

    row: Allocation
    standing: wire.Standing | None
    before: dict[str, Any]
    had: dict[Place, Address]
    has: set[Place] = field(default_factory=set)
    """What it holds by this statement, and what was asked for by name."""
    ends: bool = False
    """The node has carried out, or could not, what was asked for last; it had not said so before."""

    @property
    def differs(self) -> bool:
        return self.before != _columns(self.row)

    @property
    def moved(self) -> bool:
        return self.has != set(self.had)


@dataclass(slots=True)
class Judgement:
    """What a statement makes of a node's rows."""

    node: Node
    changes: list[Change] = field(default_factory=list)
    gone: list[Allocation] = field(default_factory=list)
    untouched: dict[int, set[Place]] = field(default_factory=dict)
    """Rows that were changed since: what they may not lose."""


def _judged(node: Node, said: wire.Statement) -> Judgement:
    found = Judgement(node)
    listed = {standing.id: standing for standing in said.attachments}
    rows = Allocation.objects.filter(node=node, learnt=Learnt.REQUEST).exclude(resource="")
    for row in rows.select_related("network").defer("network__peers_body").prefetch_related("addresses"):
        standing = listed.get(row.uuid.hex)
        if row.version > said.version:
            found.untouched[row.pk] = _places(row.network, node, row.wanted)
        elif row.state == State.RELEASING and standing is None:
            found.gone.append(row)
        else:
            found.changes.append(_change(row, node, standing))
    return found


def _change(row: Allocation, node: Node, standing: wire.Standing | None) -> Change:
    had = {(held.network_id, held.locality, held.address): held for held in row.addresses.all()}
    change = Change(row, standing, _columns(row), had)
    if row.state == State.RELEASING:
        change.has = set(had)
    elif standing and _is_of_before(standing):
        change.has, row.state, row.healthy = set(had), State.REQUESTED, True
    else:
        row.state = State.ATTACHED if _is_attached(standing) else State.REQUESTED
        row.healthy = standing is None or standing.state not in (wire.BROKEN, wire.FAILED)
        stated = standing.addresses if standing else ()
        change.has = _places(row.network, node, [*stated, *row.wanted])
    for column, text in _said(standing).items():
        setattr(row, column, _fitting(column, text))
    if row.carried < row.version and not _is_pending(standing):
        change.ends, row.carried = True, row.version
    return change


def _is_pending(standing: wire.Standing | None) -> bool:
    return standing is None or standing.pending or _is_of_before(standing)


def _is_of_before(standing: wire.Standing) -> bool:
    """It tells of what was asked for before the last change, and is detached before that is carried out."""
    return standing.state == wire.RELEASING


def _is_attached(standing: wire.Standing | None) -> bool:
    return standing is not None and standing.state in (wire.ATTACHED, wire.BROKEN)


def _said(standing: wire.Standing | None) -> dict[str, str]:
    if standing is None:
        return dict.fromkeys(("why", "remedy", "container", "mac"), "")
    return {
        "why": standing.why,
        "remedy": standing.remedy,
        "container": standing.netns,
        "mac": standing.mac,
    }


def _fitting(column: str, text: str) -> str:
    field: Any = Allocation._meta.get_field(column)
    return text[: field.max_length]


def _columns(row: Allocation) -> dict[str, Any]:
    return {column: getattr(row, column) for column in FIELDS}


def _places(network: Network, node: Node, addresses: Iterable[str]) -> set[Place]:
    locality = network.locality(node)
    return {(network.pk, locality, _address(text)) for text in addresses}


def _address(text: str) -> IPAddress:
    try:
        address = IPAddress(text)
        return address.ipv4() if address.is_ipv4_mapped() else address  # as ``AddressField`` keeps it
    except (AddrFormatError, ValueError) as error:
        remedy = "Send it again, or run the worker of the control plane's release"
        raise Problem(Fault("addresses", text[:64], "is not an address", remedy)) from error


def _save(found: Judgement) -> None:
    """A fixed number of queries, whatever the number of attachments."""
    gave_way = _settle_claims(found)
    Allocation.objects.filter(pk__in=[row.pk for row in found.gone]).delete()
    let_go = [
        held.pk for change in found.changes for place, held in change.had.items() if place not in change.has
    ]
    Address.objects.filter(pk__in=[*let_go, *(held.pk for held in gave_way)]).delete()
    containers = {held.allocation_id for held in gave_way if held.allocation.learnt == Learnt.STORE}
    Allocation.objects.filter(pk__in=containers, addresses=None).delete()
    new = [
        Address(network_id=place[0], locality=place[1], address=place[2], allocation=change.row)
        for change in found.changes
        for place in sorted(change.has - set(change.had))
    ]
    Address.objects.bulk_create(new, batch_size=BATCH)
    differing = [change.row for change in found.changes if change.differs or change.ends]
    # A tenth of what bulk_update costs; the rows are there, as the cluster's lock is held.
    Allocation.objects.bulk_create(
        differing,
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=[*FIELDS, "carried"],
        batch_size=BATCH,
    )
    Event.objects.bulk_create(_events(found), batch_size=BATCH)
    if found.gone or let_go or gave_way:
        homes.tell_refused({row.network_id for row in [*found.gone, *(one.row for one in found.changes)]})
    touched = {row.pk for row in found.gone} | {held.allocation_id for held in gave_way}
    touched |= {change.row.pk for change in found.changes if change.differs or change.moved}
    if touched:
        changes.changed(touched)


def _settle_claims(found: Judgement) -> list[Address]:
    """Refuse claims on what somebody else keeps; returns the rows of those who give way."""
    claims: dict[Place, Change] = {}
    for change in found.changes:
        for place in sorted(change.has):
            if place in claims:
                _refuse(change, place, claims[place].row)
            else:
                claims[place] = change
    gave_way = []
    for held in _others(found, claims):
        place = (held.network_id, held.locality, held.address)
        if _gives_way(held, place, found):
            gave_way.append(held)
        else:
            _refuse(claims[place], place, held.allocation)
    return gave_way


def _others(found: Judgement, claims: Mapping[Place, Change]) -> list[Address]:
    """Rows of others at the addresses that are newly claimed."""
    new = {place for place, change in claims.items() if place not in change.had}
    if not new:
        return []
    rows = Address.objects.filter(
        address__in={place[2] for place in new}, network__in={place[0] for place in new}
    ).exclude(allocation__in=[row.pk for row in found.gone])
    return [
        held
        for held in rows.select_related("allocation__node").order_by("address")
        if (held.network_id, held.locality, held.address) in new
    ]


def _gives_way(held: Address, place: Place, found: Judgement) -> bool:
    """A row of the same node that the node does not list there any more; what a lease store seemed to hold in
    the node's own part."""
    other = held.allocation
    if other.learnt == Learnt.STORE:
        return other.node_id == found.node.pk or _is_part_of(found.node, place)
    if other.pk in found.untouched:
        return place not in found.untouched[other.pk]
    return any(change.row.pk == other.pk and place not in change.has for change in found.changes)


def _is_part_of(node: Node, place: Place) -> bool:
    segment = Segment.objects.filter(network=place[0], node=node).first()
    return segment is not None and any(place[2] in cidr for cidr in segment.cidrs)


def _refuse(change: Change, place: Place, holder: Allocation) -> None:
    change.has.discard(place)
    change.row.healthy = False
    change.row.why = f"{place[2]} belongs to {holder}"
    change.row.remedy = "Release one of the two; it is served when the address is its own"


def _events(found: Judgement) -> Iterable[Event]:
    actor = f"node {found.node.name}"
    for row in found.gone:
        yield _event(actor, "released", row, before=[str(held.address) for held in row.addresses.all()])
    for change in found.changes:
        if verb := _verb(change):
            yield _event(
                actor,
                verb,
                change.row,
                before=_texts(change.had),
                after=_texts(change.has),
                why=change.row.why,
            )


def _texts(places: Iterable[Place]) -> list[str]:
    return [str(place[2]) for place in sorted(places)]


def _event(
    actor: str,
    verb: str,
    row: Allocation,
    *,
    before: list[str],
    after: list[str] | None = None,
    why: str = "",
) -> Event:
    what: dict[str, Any] = {"resource": row.resource, "network": row.network.name}
    told = {**what, "addresses": after, **({"why": why} if why else {})} if after is not None else None
    return Event(
        actor=actor,
        verb=verb,
        kind="service",
        name=row.service,
        before={**what, "addresses": before},
        after=told,
    )


def _verb(change: Change) -> str:
    """What is worth remembering; empty: nothing is."""
    before, row = change.before, change.row
    if row.state == State.RELEASING:
        return "failed" if row.why and row.why != before["why"] else ""
    if row.state == State.ATTACHED:
        if not row.healthy:
            return "broken" if before["healthy"] or before["state"] != State.ATTACHED else ""
        return "attached" if change.moved or before["state"] != row.state or not before["healthy"] else ""
    if before["state"] == State.ATTACHED:
        return "detached"
    return "failed" if not row.healthy and (before["healthy"] or row.why != before["why"]) else ""
