"""What nodes must hold grew older: their version grows, and they are told once it is committed.

A version is the time in microseconds, or one more than the last: so none is ever used twice, not even
by a node that was removed and added again, or after an older copy of the database was put back.
"""

import time
from collections.abc import Iterable

from django.db.models import F, Value
from django.db.models.functions import Greatest

from nodes import wakeup
from nodes.models import Node


def changed(nodes: Iterable[int]) -> dict[int, int]:
    """The new version by node (key). In the transaction of the change, under the cluster's lock."""
    rows = Node.objects.filter(pk__in=set(nodes))
    rows.update(holdings=Greatest(F("holdings") + 1, Value(time.time_ns() // 1000)))
    found = list(rows.values_list("pk", "holdings", "name"))
    wakeup.holdings_on_commit(name for _, _, name in found)
    return {pk: version for pk, version, _ in found}
