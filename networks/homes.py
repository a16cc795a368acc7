"""Whose an address is: the node whose part of the network it lies in.

    address -> segment -> node, or nobody yet
    segments came, went, moved -> settle(network) -> Allocation.node of reservations, versions of holdings
    addresses came free -> tell_refused(networks) -> versions of the holdings of nodes that were refused one

An address of a segment that nobody has is kept by nobody: no plugin could hand it out. The node that
gets the segment later holds it. Callers hold the cluster's lock.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import TypeVar

from django.db.models import Count, OuterRef, Q, Subquery
from netaddr import IPAddress, IPNetwork

from netadmin.problems import Fault, Problem
from networks import addressing, holders
from networks.lookups import the_node
from networks.models import Address, Allocation, Network, Segment, State
from nodes import holdings
from nodes.models import Node

BATCH = 500
T = TypeVar("T")


class Homes:
    """Whose the addresses are that somebody names. Two queries for a routed_bridge, however many."""

    def __init__(self, network: Network, addresses: Sequence[IPAddress]) -> None:
        self._network = network
        self._parts = _segments(network, addresses) if network.is_segmented else []
        self._locals: dict[str, tuple[Node, list[IPNetwork]]] = {}

    def of(self, address: IPAddress, node: str) -> Node | None:
        """Its node; None: nobody's yet. ``node``: as somebody says.

        Raises Problem for an address that nobody can have there, Missing when there is no such node.
        """
        if not any(address in cidr for cidr in self._network.cidrs) and self._network.is_segmented:
            raise Problem(_outside(address, self._network.name, self._network.cidrs))
        owner, cidr = self._segment(address) if self._network.is_segmented else self._local(address, node)
        if node and (owner is None or owner.name != node):
            raise Problem(_elsewhere(address, owner, cidr, the_node(node).name))
        if what := addressing.not_for_containers(cidr).get(address):
            last = IPAddress(cidr.last - (cidr.version == 4), cidr.version)
            remedy = f"Name one of {IPAddress(cidr.first + 2, cidr.version)} to {last}"
            raise Problem(Fault("address", str(address), f"is {what} ({cidr})", remedy))
        return owner

    def _segment(self, address: IPAddress) -> tuple[Node | None, IPNetwork]:
        for row, cidr in self._parts:
            if address in cidr:
                return row.node, cidr
        return None, _cell(self._network, address)[1]

    def _local(self, address: IPAddress, node: str) -> tuple[Node, IPNetwork]:
        if node not in self._locals:
            there = node_of(self._network, node)
            segment = self._network.segments.filter(node=there).first()
            self._locals[node] = there, self._network.part(segment)
        owner, cidrs = self._locals[node]
        for cidr in cidrs:
            if address in cidr:
                return owner, cidr
        raise Problem(_outside(address, f"{self._network.name} on {node}", cidrs))


def node_of(network: Network, name: str) -> Node:
    """The node of this name, which is to have the network; raises Missing or Problem."""
    if not name:
        why = f"is missing: {network.name} has the same addresses on each node"
        raise Problem(Fault("node", "", why, "Say on which one, like node=n1"))
    node = the_node(name)
    if not network.scope().filter(pk=node.pk).exists():
        remedy = f"Name one of its nodes, or take {name} into the scope of {network.name}"
        raise Problem(Fault("node", name, f"is not to have {network.name}", remedy))
    return node


def settle(network: Network) -> None:
    """After segments were given, taken or moved: each reservation is held where its address is."""
    if not network.is_segmented:
        return
    kept = Address.objects.filter(network=network, allocation__state=State.RESERVED).order_by()
    rows = list(kept.values_list("allocation", "allocation__node", "address"))
    if not rows:
        return
    owners = _Owners(network.segments.exclude(node=None).exclude(subnet=""))
    moved: dict[int | None, list[int]] = defaultdict(list)
    touched: set[int | None] = set()
    for allocation, node, address in rows:
        if (home := owners.of(address)) != node:
            moved[home].append(allocation)
            touched |= {node, home}
    for home, keys in moved.items():
        for batch in _batches(keys):
            Allocation.objects.filter(pk__in=batch).update(node=home, healthy=True, why="", remedy="")
    holdings.changed(node for node in touched if node is not None)


def drop_outside(network: Network) -> None:
    """What is reserved outside of the network's range, which was forced, is over."""
    outside = holders.outside(network)
    keys = list(outside.values_list("allocation", flat=True))
    for batch in _batches(keys):
        rows = Allocation.objects.filter(pk__in=batch)
        holdings.changed([node for node in rows.values_list("node", flat=True) if node is not None])
        rows.delete()
    if keys:
        tell_refused([network.pk])


def start_over(network: Network) -> None:
    """After one address space became one per node or the other way round (``Network.locality``), by force.

    What was reserved, or seen in lease stores, is over. Of services that have the same address now, the first
    one keeps it. Their nodes say anew what they have.
    """
    network.allocations.filter(resource="").delete()
    if network.is_segmented:
        first = network.addresses.filter(address=OuterRef("address")).order_by("pk").values("pk")[:1]
        network.addresses.exclude(pk=Subquery(first)).delete()
        network.addresses.update(locality=0)
    else:
        node = Allocation.objects.filter(pk=OuterRef("allocation")).values("node")
        network.addresses.update(locality=Subquery(node))
    holdings.changed(network.allocations.values_list("node", flat=True))


def tell_refused(networks: Collection[int]) -> None:
    """Addresses of these networks came free: nodes whose attachment has one that was somebody else's are to
    state it again. Of an attachment with both families one may be refused."""
    broken = Allocation.objects.filter(network__in=networks, state=State.ATTACHED, healthy=False)
    counted = broken.exclude(resource="").annotate(count=Count("addresses"))
    refused = counted.filter(Q(count=0) | Q(count=1, network__network__contains=" ")).order_by()
    holdings.changed(refused.values_list("node", flat=True))


class _Owners:
    """Who has the segment of an address."""

    def __init__(self, segments: Iterable[Segment]) -> None:
        self._spans = sorted(
            (cidr.version, int(cidr.first), int(cidr.last), row.node_id)
            for row in segments
            for cidr in row.cidrs
        )
        self._starts = [span[:2] for span in self._spans]

    def of(self, address: IPAddress) -> int | None:
        """The node (key)."""
        place = bisect_right(self._starts, (address.version, int(address))) - 1
        if place < 0:
            return None
        version, _, last, node = self._spans[place]
        return node if version == address.version and int(address) <= last else None


def _segments(network: Network, addresses: Iterable[IPAddress]) -> list[tuple[Segment, IPNetwork]]:
    """Those that the addresses may lie in: declared ones, which may have any size, come first."""
    inside = [address for address in addresses if any(address in cidr for cidr in network.cidrs)]
    grid = network.grid
    slots = {_cell(network, address)[0] for address in inside}
    texts = [addressing.text_of(grid.subnet(slot)) for slot in sorted(slots) if slot < grid.size]
    rows = network.segments.exclude(subnet="").select_related("node")
    found = list(rows.filter(declared=True))
    for batch in _batches(texts):
        found += rows.filter(subnet__in=batch, declared=False)
    return [(row, cidr) for row in found for cidr in row.cidrs]


def _cell(network: Network, address: IPAddress) -> tuple[int, IPNetwork]:
    """The slot of an address of the network, and what a segment there has of its family. One family may have
    room for more slots than the grid: no node ever gets those."""
    for cidr, prefix in zip(network.grid.cidrs, network.grid.prefixes, strict=True):
        if address in cidr:
            slot = int(address.value - cidr.first) >> (addressing.bits(cidr) - prefix)
            return slot, addressing.segment(cidr, prefix, slot)
    raise ValueError(f"{address} is not in {network}")


def _outside(address: IPAddress, where: str, cidrs: Sequence[IPNetwork]) -> Fault:
    remedy = f"Name one of {' or '.join(map(str, cidrs))}"
    return Fault("address", str(address), f"is outside of {where}", remedy)


def _elsewhere(address: IPAddress, owner: Node | None, cidr: IPNetwork, node: str) -> Fault:
    whose = f"in {cidr}, which is {owner.name}'s part" if owner else f"in {cidr}, which no node has yet"
    there = f"Name {owner.name} as the node" if owner else "Name no node"
    remedy = f"{there}, or an address of {node}'s part"
    return Fault("address", str(address), f"is {whose}", remedy)


def _batches(items: Sequence[T]) -> Iterable[Sequence[T]]:
    return (items[start : start + BATCH] for start in range(0, len(items), BATCH))
