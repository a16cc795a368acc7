"""What nodes must hold grew older: their version grows, and they are told once it is committed."""

from collections.abc import Iterable

from django.db.models import F

from nodes import wakeup
from nodes.models import Node


def changed(nodes: Iterable[int]) -> dict[int, int]:
    """The new version by node (key). In the transaction of the change, under the cluster's lock."""
    rows = Node.objects.filter(pk__in=set(nodes))
    rows.update(holdings=F("holdings") + 1)
    found = list(rows.values_list("pk", "holdings", "name"))
    wakeup.holdings_on_commit(name for _, _, name in found)
    return {pk: version for pk, version, _ in found}
