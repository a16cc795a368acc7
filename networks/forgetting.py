"""What services have, given up by force: nobody waits until a node has let go.

rows -> events that keep what they had -> gone, with addresses and host ports
     -> their nodes hold something else, and those that were refused an address look again
"""

from collections.abc import Iterable

from django.db.models import prefetch_related_objects

from networks import homes, resources
from networks.dns import changes
from networks.models import Allocation
from nodes import events, holdings
from nodes.models import Event


def forget(rows: Iterable[Allocation], *, by: str) -> None:
    """Their nodes are dead or removed, or their network goes: addresses and host ports are free at once.

    A fixed number of queries.
    """
    rows = list(rows)
    prefetch_related_objects(rows, "addresses", "network", "node")
    events.record_all(
        Event(
            actor=by,
            verb="forced",
            kind="service",
            name=row.service,
            before={
                **resources.describe(row),
                "addresses": [str(held.address) for held in row.addresses.all()],
            },
        )
        for row in rows
    )
    keys = [row.pk for row in rows]
    # What is being moved still has its address in the network that it comes from.
    networks = {held.network_id for row in rows for held in row.addresses.all()}
    Allocation.objects.filter(pk__in=keys).delete()
    holdings.changed({row.node_id for row in rows if row.node_id is not None})
    homes.tell_refused(networks)
    changes.changed(keys)
