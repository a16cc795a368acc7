"""Report -> rows: a node's newest report, its leases as allocations, its underlay as the networks' MTU.

What a node's lease stores hold appears as rows, and goes when it goes. Rows that were asked
for through the control plane are not touched here.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from django.db import transaction
from django.db.models import QuerySet
from netaddr import IPAddress

from networks import desired
from networks.models import Address, Allocation, Learnt, Network, State
from nodes import events, reports, wakeup
from nodes.models import Cluster, Node
from workers.report import Lease, Report


@transaction.atomic
def take_in(node: Node, said: Report) -> bool:
    """Store a report and follow its leases; False: it is older than the newest one and was ignored.

    Allocations are declarations' business too (a network with some is not withdrawn), and an
    underlay that carries less makes new documents, so a report with other leases or another underlay
    than before waits its turn like a declaration; most reports do not.
    """
    moved = reports.underlay(said) != node.underlay
    if moved or not _same(node, said.leases):
        Cluster.locked()
    if not reports.accept(node, said):
        return False
    follow(node, said.leases)
    if moved:
        networks = Network.objects.filter(segments__node=node).distinct()
        resized = [network for network in networks if desired.resized(network)]
        wakeup.wake_on_commit(other.name for other in (desired.publish(resized) if resized else ()))
    return True


def _same(node: Node, leases: Iterable[Lease]) -> bool:
    """Whether the rows are what the stores hold already."""
    if _held(node) != _seen(node, leases, _names(Network.objects.all())):
        return False
    lost = Allocation.objects.filter(node=node, learnt=Learnt.STORE, state=State.LOST)
    said = {(lease.network, *_holder(lease)) for lease in leases if lease.lost}
    return set(lost.values_list("network__name", "container", "interface")) == said


@transaction.atomic
def follow(node: Node, leases: Iterable[Lease]) -> None:
    """Make the node's rows learnt from its stores the same as ``leases``. Fixed number of queries."""
    networks = {network.name: network for network in Network.objects.defer("peers_body")}
    seen = _seen(node, leases, {name: network.pk for name, network in networks.items()})
    held = _held(node)
    rows = Allocation.objects.filter(node=node, learnt=Learnt.STORE)
    gone = [row for row in rows if seen.get(_holder_of(row)) != held.get(_holder_of(row))]
    _remember_freed(node, [row for row in gone if row.state == State.LOST and _holder_of(row) not in seen])
    Allocation.objects.filter(pk__in=[row.pk for row in gone]).delete()
    new = {holder: addresses for holder, addresses in seen.items() if addresses != held.get(holder)}
    by_pk = {network.pk: network for network in networks.values()}
    _add(node, by_pk, new)
    _mark_lost(node, rows, {(lease.network, *_holder(lease)) for lease in leases if lease.lost})


def _mark_lost(node: Node, rows: QuerySet[Allocation], lost: set[tuple[str, str, str]]) -> None:
    """Containers that are gone, as far as the node can prove it, and those that came back after all."""
    for row in rows.all().select_related("network").defer("network__peers_body"):
        is_lost = (row.network.name, row.container, row.interface) in lost
        if is_lost == (row.state == State.LOST):
            continue
        state = State.LOST if is_lost else State.ATTACHED
        why = "its container is gone, and it was not given back" if is_lost else ""
        remedy = "It is freed by itself after cluster.lease_grace seconds" if is_lost else ""
        Allocation.objects.filter(pk=row.pk).update(state=state, why=why, remedy=remedy)
        events.record(
            f"node {node.name}", "lost" if is_lost else "found", "network", row.network.name, after=_told(row)
        )


def _remember_freed(node: Node, rows: Iterable[Allocation]) -> None:
    for row in rows:
        events.record(f"node {node.name}", "freed", "network", row.network.name, before=_told(row))


def _told(row: Allocation) -> dict[str, object]:
    addresses = [str(held.address) for held in row.addresses.all()]
    return {"addresses": addresses, "container": row.container, "interface": row.interface}


Holder = tuple[int, str, str]
"""Network, container and interface."""
Held = dict[Holder, frozenset[IPAddress]]


def _held(node: Node) -> Held:
    """What the rows say that containers of others hold."""
    found: dict[Holder, set[IPAddress]] = defaultdict(set)
    rows = Address.objects.filter(allocation__node=node, allocation__learnt=Learnt.STORE).order_by()
    for network, container, interface, address in rows.values_list(
        "network", "allocation__container", "allocation__interface", "address"
    ):
        found[network, container, interface].add(address)
    return {holder: frozenset(addresses) for holder, addresses in found.items()}


def _seen(node: Node, leases: Iterable[Lease], networks: Mapping[str, int]) -> Held:
    """What the stores say, but for what services asked for: those rows are not the stores' business."""
    asked = {row.hex for row in node.allocations.exclude(service="").values_list("uuid", flat=True)}
    found: dict[Holder, set[IPAddress]] = defaultdict(set)
    for lease in leases:
        if lease.network in networks and lease.container not in asked:
            found[networks[lease.network], *_holder(lease)].add(IPAddress(lease.address))
    return {holder: frozenset(addresses) for holder, addresses in found.items()}


def _add(node: Node, networks: Mapping[int, Network], new: Held) -> None:
    """Rows for holders that have none. An address that another row has is that row's business."""
    rows = [
        Allocation(
            network=networks[network],
            node=node,
            container=container,
            interface=interface,
            state=State.ATTACHED,
            learnt=Learnt.STORE,
        )
        for network, container, interface in new
    ]
    Allocation.objects.bulk_create(rows, batch_size=500)
    Address.objects.bulk_create(
        [
            Address(network=row.network, allocation=row, address=address, locality=row.network.locality(node))
            for row in rows
            for address in sorted(new[_holder_of(row)])
        ],
        ignore_conflicts=True,
        batch_size=500,
    )
    Allocation.objects.filter(pk__in=[row.pk for row in rows], addresses=None).delete()


def _holder_of(row: Allocation) -> Holder:
    return row.network_id, row.container, row.interface


def _holder(lease: Lease) -> tuple[str, str]:
    """Container and interface as far as the columns are wide: a store may hold any text."""
    container, interface = Allocation._meta.get_field("container"), Allocation._meta.get_field("interface")
    return lease.container[: container.max_length], lease.interface[: interface.max_length]


def _names(networks: QuerySet[Network]) -> dict[str, int]:
    return dict(networks.values_list("name", "pk"))
