"""What nodes must hold grew older: their version grows, and they are told once it is committed.

A version is the time in microseconds, or one more than the last: so none is ever used twice, not even
by a node that was removed and added again, or after an older copy of the database was put back.
"""

import time
from collections.abc import Iterable

from django.db import connection

from nodes import wakeup

NEWER = """
UPDATE nodes_node SET holdings = CASE WHEN holdings < %s THEN %s ELSE holdings + 1 END
WHERE id IN ({keys}) RETURNING id, holdings, name
"""


def changed(nodes: Iterable[int]) -> dict[int, int]:
    """The new version by node (key). In the transaction of the change, under the cluster's lock."""
    keys = sorted(set(nodes))
    if not keys:
        return {}
    now = time.time_ns() // 1000
    with connection.cursor() as cursor:
        cursor.execute(NEWER.format(keys=", ".join(["%s"] * len(keys))), [now, now, *keys])
        found = cursor.fetchall()
    wakeup.holdings_on_commit(name for _, _, name in found)
    return {pk: version for pk, version, _ in found}
