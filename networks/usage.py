"""Report -> rows: a node's newest report, its leases as allocations, its underlay as the networks' MTU.

What a node's lease stores hold appears as rows, and goes when it goes. Rows that were asked
for through the control plane are not touched here.
"""

from collections.abc import Iterable

from django.db import transaction
from netaddr import IPAddress

from networks import desired
from networks.models import Allocation, Learnt, Network, State
from nodes import reports, wakeup
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
    rows = Allocation.objects.filter(node=node, learnt=Learnt.STORE)
    held = set(rows.values_list("network__name", "address", "container", "interface"))
    return held == {(lease.network, IPAddress(lease.address), *_holder(lease)) for lease in leases}


@transaction.atomic
def follow(node: Node, leases: Iterable[Lease]) -> None:
    """Make the node's rows learnt from its stores the same as ``leases``. Fixed number of queries."""
    networks = {network.name: network for network in Network.objects.defer("peers_body")}
    seen = {
        (networks[lease.network].pk, IPAddress(lease.address)): lease
        for lease in leases
        if lease.network in networks
    }
    held = {
        (row.network_id, row.address): row
        for row in Allocation.objects.filter(node=node, learnt=Learnt.STORE)
    }
    gone = [row.pk for key, row in held.items() if key not in seen or _other_holder(row, seen[key])]
    Allocation.objects.filter(pk__in=gone).delete()
    kept = {key for key, row in held.items() if row.pk not in gone}
    by_pk = {network.pk: network for network in networks.values()}
    Allocation.objects.bulk_create(
        [_row(node, by_pk[key[0]], key[1], lease) for key, lease in seen.items() if key not in kept],
        # The same address asked for through the control plane is that row's business.
        ignore_conflicts=True,
        batch_size=500,
    )


def _other_holder(row: Allocation, lease: Lease) -> bool:
    return (row.container, row.interface) != _holder(lease)


def _holder(lease: Lease) -> tuple[str, str]:
    """Container and interface as far as the columns are wide: a store may hold any text."""
    container, interface = Allocation._meta.get_field("container"), Allocation._meta.get_field("interface")
    return lease.container[: container.max_length], lease.interface[: interface.max_length]


def _row(node: Node, network: Network, address: IPAddress, lease: Lease) -> Allocation:
    container, interface = _holder(lease)
    return Allocation(
        network=network,
        node=node,
        address=address,
        locality=locality(network, node),
        container=container,
        interface=interface,
        state=State.ATTACHED,
        learnt=Learnt.STORE,
    )


def locality(network: Network, node: Node) -> int:
    """The address space of an allocation: a local bridge has one per node."""
    return 0 if network.is_segmented else node.pk
