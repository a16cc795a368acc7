"""The verbs of an ip resource: request, change, release.

    Ask -> rules -> row, its fixed addresses and host ports -> holdings of the node -> its worker
    the worker's statement comes back through ``standings``

Each is one transaction under the cluster's lock. What was asked for has its fixed addresses and host
ports from then on; what is taken back keeps them until the node has let go, or until it is forced.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from netaddr import IPAddress

from netadmin.problems import Conflict, Fault, Missing, Problem
from networks import expose, forgetting, holders, homes, reservations, resources
from networks.declare import require_version
from networks.dns import changes
from networks.lookups import the_network
from networks.models import Address, Allocation, HostPort, Learnt, Network, State, Type
from networks.resources import DEFAULTS, FIRST_INTERFACE, LAST_INTERFACE, Ask, describe, values_of
from nodes import events, holdings
from nodes.models import Cluster, Node

UNFIT = {
    Type.LOOPBACK: ("is of type loopback, which every namespace has", "Name a network with addresses"),
}
MOVING = ("network", "netns", "interface", "wanted")
"""For a change of one of these its node detaches it, and attaches it again."""
Port = tuple[str, int]
"""Of a node: protocol and number."""
CHOOSES_ITSELF = {Type.WEAVE: "weave hands its addresses out itself"}


@transaction.atomic
def request(asked: Ask, *, by: str) -> tuple[Allocation, bool]:
    """Ask for an address of a service's resource on a node: (row, whether that is new).

    What is asked for already, in the same words, is answered as it is; in other words it is a Conflict
    that names what differs. One that is being taken back is asked for anew. Raises Problem, Missing.
    """
    service, resource = resources.path(asked.service), resources.resource(asked.resource)
    values = resources.canonical({**DEFAULTS, **asked.values})
    Cluster.locked()
    network, node = _place(values["network"], asked.node)
    row = _rows().filter(node=node, service=service, resource=resource).first()
    if row is not None and row.state != State.RELEASING:
        return _unless_it_differs(row, values), False
    if row is None:
        row = Allocation(service=service, resource=resource, learnt=Learnt.REQUEST)
    row.node = node
    _ask_anew(row)
    _settle(row, {**values, "network": network})
    events.record(by, "requested", "service", service, after=describe(row))
    return row, True


@transaction.atomic
def request_all(asked: Sequence[Ask], *, by: str) -> list[Allocation]:
    """Several, or none of them: a fault says in which, like ``[1].network``."""
    return [row for row, _ in _each(asked, lambda one: request(one, by=by))]


@transaction.atomic
def change(key: int, values: Mapping[str, Any], *, by: str, expected: int | None = None) -> Allocation:
    """Change what is given of a resource; its node detaches and attaches it again if that is needed.
    What is so already is not changed."""
    Cluster.locked()
    row = of_service(find(key))
    require_version(row.version, expected)
    if row.state == State.RELEASING:
        raise Conflict(Fault("id", str(key), f"{row} is being released", "Ask for it anew"))
    return change_row(row, values, by=by)


def change_row(row: Allocation, values: Mapping[str, Any], *, by: str) -> Allocation:
    """The same of a row as it was read under the cluster's lock, of a service and not taken back."""
    assert row.node is not None
    before, is_so = describe(row), {**values_of(row), "network": row.network}
    given = resources.canonical({**values_of(row), **values})
    given["network"], _ = _place(given["network"], row.node.name)
    given["interface"] = _interface(row, values, given["netns"])
    if is_so == given:
        return row
    if row.state == State.ATTACHED and any(is_so[name] != given[name] for name in MOVING):
        _ask_anew(row)
    _settle(row, given)
    events.record(by, "changed", "service", row.service, before=before, after=describe(row))
    changes.changed([row.pk])
    return row


def give_up(changing: Sequence[tuple[Allocation, Mapping[str, Any]]]) -> None:
    """Before each of these rows gets its values in the same transaction, take away what it is not to have
    any more of ports and interfaces: so another one of them can have it. The rows in memory stay what they
    were, as ``change_row`` compares with them."""
    _give_up_ports({row: _host_ports(values["expose"]) for row, values in changing})
    moving = [
        row.pk
        for row, values in changing
        if values["netns"] != row.netns or values.get("interface") not in (None, "", row.interface)
    ]
    Allocation.objects.filter(pk__in=moving).update(interface="")


@transaction.atomic
def release(key: int, *, by: str, expected: int | None = None, force: bool = False) -> Allocation | None:
    """Take a resource back: its address is free when its node has detached it. None: it is gone at once,
    as it was a reservation, or as it is forced: then the node is taken for dead."""
    Cluster.locked()
    row = find(key)
    require_version(row.version, expected)
    if row.state == State.RESERVED:
        reservations.release([key], by=by)
        return None
    row = of_service(row)
    assert row.node is not None
    if force:
        forgetting.forget([row], by=by)
        return None
    if row.state != State.RELEASING:
        row.state, row.version = State.RELEASING, holdings.changed([row.node.pk])[row.node.pk]
        row.save(update_fields=["state", "version"])
        events.record(
            by, "released", "service", row.service, before=describe(row), after={"state": row.state}
        )
        changes.changed([row.pk])
    return row


def find(key: int) -> Allocation:
    """Raises Missing."""
    row = _rows().filter(pk=key).first()
    if row is None:
        raise Missing(Fault("id", str(key), "is no allocation, or one that is gone", "List them again"))
    return row


def of_service(row: Allocation) -> Allocation:
    """The row, if a service asked for it; raises Conflict."""
    if not row.resource:
        what = "a reservation" if row.state == State.RESERVED else "of a container that others started"
        remedy = "Release it, and reserve anew" if row.state == State.RESERVED else "Stop that container"
        raise Conflict(Fault("id", str(row.pk), f"{row} is {what}", remedy))
    return row


def _rows() -> "QuerySet[Allocation]":
    rows = Allocation.objects.select_related("network", "node").defer("network__peers_body")
    return rows.prefetch_related("addresses")


def _each(asked: Sequence[Ask], call: Callable[[Ask], Any]) -> Iterable[Any]:
    for place, one in enumerate(asked):
        try:
            yield call(one)
        except Problem as problem:
            raise problem.under(f"[{place}]") from None


def _place(name: str, node: str) -> tuple[Network, Node]:
    """Raises Missing or Problem: the network is to be on the node, and containers can be attached to it."""
    network = the_network(name, Network.objects.defer("peers_body"))
    if network.is_off:
        raise Problem(Fault("network", name, "is switched off", "Declare its range first"))
    if network.type in UNFIT:
        raise Problem(Fault("network", name, *UNFIT[Type(network.type)]))
    return network, homes.node_of(network, node)


def _unless_it_differs(row: Allocation, asked: Mapping[str, Any]) -> Allocation:
    is_so = values_of(row)
    differing = [
        Fault(
            name,
            str(value),
            f"is {is_so[name] or 'empty'} of {row.service} {row.resource}",
            f"Change it: PATCH /api/v1/allocations/{row.pk}/ or manage.py service change",
        )
        for name, value in asked.items()
        if value != is_so[name] and not (name == "interface" and not value)
    ]
    if differing:
        raise Conflict(*differing)
    return row


def _ask_anew(row: Allocation) -> None:
    """What its node said tells nothing of what is asked for now: no name leads there until it is attached."""
    row.state, row.healthy, row.why, row.remedy = State.REQUESTED, True, "", ""


def _settle(row: Allocation, values: Mapping[str, Any]) -> None:
    """Make the row what was asked for; raises Conflict for what somebody else has."""
    assert row.node is not None
    for name, value in values.items():
        setattr(row, name, value)
    taken = _beside(row, row.netns)
    row.interface = row.interface or _free_interface(taken)
    _require_free_interface(row, taken)
    addresses = _fixed(row)
    row.version = holdings.changed([row.node.pk])[row.node.pk]
    row.save()
    _hold(row, addresses)
    _map(row)


def _interface(row: Allocation, values: Mapping[str, Any], netns: str) -> str:
    """What it is to be with these values: as they give it, and left out it stays. Empty: one is chosen, as
    in another namespace it is left open, or left out and another resource's there."""
    if netns == row.netns:
        return values.get("interface") or row.interface
    if "interface" in values:
        return str(values["interface"])
    return "" if row.interface in _beside(row, netns) else row.interface


def _beside(row: Allocation, netns: str) -> set[str]:
    """Interfaces of other resources in this namespace."""
    others = Allocation.objects.filter(node=row.node, netns=netns).exclude(pk=row.pk).exclude(resource="")
    if not netns:
        others = others.filter(service=row.service)
    return set(others.values_list("interface", flat=True))


def _free_interface(taken: Collection[str]) -> str:
    """Empty: all that are chosen from are taken."""
    names = (f"eth{number}" for number in range(FIRST_INTERFACE, LAST_INTERFACE + 1))
    return next((name for name in names if name not in taken), "")


def _require_free_interface(row: Allocation, taken: Collection[str]) -> None:
    where = f"in {row.netns}" if row.netns else f"in the namespace of {row.service}"
    free = _free_interface(taken)
    if not row.interface:
        why = f"is left out, and eth{FIRST_INTERFACE} to eth{LAST_INTERFACE} are taken {where}"
        raise Conflict(Fault("interface", "", why, "Give one of another name, or use another namespace"))
    if row.interface in taken:
        remedy = f"Leave it out, or use {free}" if free else "Give one of another name"
        raise Conflict(Fault("interface", row.interface, f"is another resource's {where}", remedy))


def _fixed(row: Allocation) -> list[IPAddress]:
    """The fixed addresses, which are in the node's part of the network and nobody else's."""
    addresses = [IPAddress(text) for text in row.wanted]
    if not addresses:
        return []
    assert row.node is not None
    if why := CHOOSES_ITSELF.get(Type(row.network.type)):
        raise Problem(Fault("wanted", row.wanted[0], why, "Leave it out"))
    there = homes.Homes(row.network, addresses)
    for address in addresses:
        try:
            there.of(address, row.node.name)
        except Problem as problem:
            raise type(problem)(
                *(Fault("wanted", fault.value, fault.why, fault.remedy) for fault in problem.faults)
            ) from None
    return addresses


def _hold(row: Allocation, addresses: Sequence[IPAddress]) -> None:
    """A reservation for the same service is used up; anybody else's address is a Conflict. What the node
    has attached meanwhile stays the row's until the node says otherwise."""
    locality = row.network.locality(row.node)
    held = holders.of_addresses(row.network, addresses)
    for address in addresses:
        holder = held.get((address, locality))
        if holder is None:
            Address.objects.create(network=row.network, allocation=row, address=address, locality=locality)
        elif holder.allocation_id != row.pk:
            _take_over(row, holder)


def _take_over(row: Allocation, holder: Address) -> None:
    other = holder.allocation
    its_own = (row.service, row.service.removeprefix("root/svc/"))
    if other.state != State.RESERVED or other.service not in its_own:
        why = f"is in use in {row.network.name}: {holders.described(other)}"
        raise Conflict(Fault("wanted", str(holder.address), why, "Ask for another one, or for any"))
    Address.objects.filter(pk=holder.pk).update(allocation=row)
    Allocation.objects.filter(pk=other.pk, addresses=None).delete()


def _host_ports(texts: Sequence[str]) -> set[Port]:
    return {(port.protocol, port.host_port) for port in expose.parse_all(texts) if port.host_port}


def _give_up_ports(wanted: Mapping[Allocation, set[Port]]) -> None:
    """But for rows that would exchange theirs: a node lets none of its ports go before it has the others."""
    held = {port: row for row in wanted for port in _host_ports(row.expose)}
    left = dict(wanted)
    while ready := [row for row, ports in left.items() if all(held.get(port, row) == row for port in ports)]:
        for row in ready:
            keeps = left.pop(row)
            if given_up := _host_ports(row.expose) - keeps:
                _unmap(row, keeps)
            for port in given_up:
                held.pop(port, None)


def _map(row: Allocation) -> None:
    """Its ports of the node; raises Conflict that names who has one."""
    wanted = _host_ports(row.expose)
    new = wanted - _unmap(row, wanted)
    taken = HostPort.objects.filter(node=row.node, port__in={port for _, port in new})
    for port in taken.select_related("allocation").order_by("port", "protocol"):
        if (port.protocol, port.port) in new:
            raise Conflict(_mapped(port, row))
    HostPort.objects.bulk_create(
        HostPort(node=row.node, allocation=row, protocol=protocol, port=port)
        for protocol, port in sorted(new)
    )


def _unmap(row: Allocation, wanted: Collection[Port]) -> set[Port]:
    """Take away its ports of the node but these; returns those that it keeps."""
    held = {(port.protocol, port.port): port for port in HostPort.objects.filter(allocation=row)}
    HostPort.objects.filter(pk__in=[port.pk for key, port in held.items() if key not in wanted]).delete()
    return held.keys() & wanted


def _mapped(port: HostPort, row: Allocation) -> Fault:
    holder = f"{port.allocation.service} {port.allocation.resource}"
    why, remedy = f"leads to {holder}", "Use another port of the node, or release that one"
    if port.allocation.state == State.RELEASING:
        # It may be released by the very text that asks for this one, which is all taken back then.
        why += ", which is being released"
        remedy = f"Use another port of the node, or leave {row.resource} out until {holder} is gone"
    return Fault("expose", f"{port.port}/{port.protocol}", why, remedy)
