"""Rows -> what a node must hold (format: ``workers.holdings``).

    allocations of services that are not taken back   -> attachments
    reservations in the node's part                   -> reservations

The version is read with the rows, or before them, never after: what is served may be newer than
its version says, which costs one more look, and is never older.
"""

from networks import expose, reservations
from networks.models import OF_SERVICES, Allocation, State
from nodes.models import Node
from workers import holdings as wire


def of_node(node: Node) -> wire.Holdings:
    """All that one node must hold. A fixed number of queries."""
    rows = Allocation.objects.filter(node=node, state__in=OF_SERVICES).exclude(resource="")
    found = list(rows.select_related("network").defer("network__peers_body").order_by("pk"))
    return wire.Holdings(
        node=node.name,
        version=max(node.holdings, *(row.version for row in found)) if found else node.holdings,
        attachments=tuple(map(_attachment, (row for row in found if row.state != State.RELEASING))),
        reservations=reservations.of_node(node),
    )


def _attachment(row: Allocation) -> wire.Attachment:
    return wire.Attachment(
        id=row.uuid.hex,
        network=row.network.name,
        service=row.service,
        resource=row.resource,
        netns=row.netns,
        interface=row.interface,
        addresses=tuple(row.wanted),
        expose=expose.parse_all(row.expose),
    )
