"""Segments: assigned to the lowest slot never used, kept, released, reused last.

Callers hold the cluster's lock; the constraints of the table are the last word.
"""

from collections.abc import Iterable

from django.utils import timezone

from netadmin.problems import Conflict
from networks import addressing, rules
from networks.models import Network, Segment
from nodes.models import Node

BATCH = 500
"""Rows that are written at once."""


def assign(network: Network) -> None:
    """Give every node in scope that has none its segment, in cluster order.

    Raises Conflict with the size that the network would have to have.
    """
    if not network.is_segmented or not network.network:
        return
    scope = list(network.scope())
    rows = list(network.segments.all())
    by_node = {row.node_id: row for row in rows if row.node_id is not None}
    without = [node for node in scope if node.pk not in by_node or not by_node[node.pk].subnet]
    if not without:
        return
    fresh = network.grid.free_slots(row.cidrs for row in rows if row.subnet)
    released = sorted(
        (row for row in rows if row.node_id is None and row.subnet), key=lambda row: (row.released, row.pk)
    )
    chosen = [by_node.get(node.pk) or Segment(network=network, node=node) for node in without]
    reused: list[int] = []
    for row in chosen:
        if (slot := next(fresh, None)) is not None:
            row.subnet = addressing.text_of(network.grid.subnet(slot))
        elif (freed := _reusable(released, network)) is not None:
            reused.append(freed.pk)
            row.subnet = freed.subnet
        else:
            raise Conflict(rules.too_small(network, len(scope)))
    Segment.objects.filter(pk__in=reused).delete()
    Segment.objects.bulk_update([row for row in chosen if row.pk], ["subnet"], batch_size=BATCH)
    Segment.objects.bulk_create([row for row in chosen if not row.pk], batch_size=BATCH)


def _reusable(released: list[Segment], network: Network) -> Segment | None:
    """The segment that has been free for the longest time; one of another size than today's is
    only given up (its slots become fresh at the next look), not handed out."""
    prefixes = list(network.grid.prefixes)
    while released:
        segment = released.pop(0)
        if [cidr.prefixlen for cidr in segment.cidrs] == prefixes:
            return segment
    return None


def release(rows: Iterable[Segment]) -> None:
    """The nodes of these segments left the network or the cluster."""
    held: list[Segment] = []
    empty: list[Segment] = []
    for row in rows:
        (held if row.subnet else empty).append(row)
    Segment.objects.filter(pk__in=[row.pk for row in empty]).delete()
    for row in held:
        row.node, row.addr, row.gateway, row.declared = None, "", "", False
        row.released = timezone.now()
    fields = ["node", "addr", "gateway", "declared", "released"]
    Segment.objects.bulk_update(held, fields, batch_size=BATCH)


def release_outside(network: Network) -> None:
    """After the scope or the type changed."""
    in_scope: set[int] = set(network.scope().values_list("pk", flat=True))
    release(row for row in network.segments.exclude(node=None) if row.node_id not in in_scope)


def start_over(network: Network) -> None:
    """After the range or the size of a segment changed: declared subnets stay, others are chosen anew."""
    network.segments.filter(node=None).delete()
    chosen = network.segments.filter(declared=False)
    chosen.filter(addr="", gateway="", own_range="").delete()
    chosen.update(subnet="")


def of_node(node: Node) -> Iterable[Segment]:
    return node.segments.select_related("network")
