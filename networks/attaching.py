"""How far a node is with what a service asked for, and waiting for it.

requested -> the node acts on that version -> attached, or failed
                                              -> its names are served, if somebody waits for those too
"""

import time
from collections.abc import Sequence

from netadmin import waiting
from networks.dns import changes
from networks.models import Allocation, State

LONGEST_WAIT = 60.0


def is_done(row: Allocation) -> bool:
    """Attached, and well, as it was asked for last."""
    return _is_acted_on(row) and row.state == State.ATTACHED and row.healthy


def is_over(row: Allocation) -> bool:
    """Nothing is to be waited for: it is attached, or could not be."""
    return _is_acted_on(row) and (row.state == State.ATTACHED or not row.healthy)


def look(keys: Sequence[int]) -> list[Allocation]:
    """These rows as they are now, in the order given. Two queries."""
    rows = Allocation.objects.filter(pk__in=keys).select_related("network", "node")
    found = {row.pk: row for row in rows.defer("network__peers_body").prefetch_related("addresses")}
    return [found[key] for key in keys if key in found]


class Watched:
    """Rows that somebody waits for: until all are attached or could not be, and as long as one of them
    asks for that (``wait_dns``) until every DNS server serves its names."""

    def __init__(self, keys: Sequence[int]) -> None:
        self._keys = keys
        self._serial = 0
        self._attached = 0.0

    def look(self) -> list[Allocation]:
        return look(self._keys)

    def is_over(self, rows: Sequence[Allocation]) -> bool:
        if not all(map(is_over, rows)):
            return False
        patience = max((row.wait_dns for row in rows if is_done(row)), default=0)
        if not self._serial:
            self._serial, self._attached = changes.serial(), time.monotonic()
        return time.monotonic() - self._attached >= patience or not changes.unserved(self._serial)


def wait(keys: Sequence[int], seconds: float) -> list[Allocation]:
    """The rows once nothing is to be waited for, or after so long."""
    watched = Watched(keys)
    return waiting.until(watched.look, watched.is_over, seconds)


def wait_beside_others(keys: Sequence[int], seconds: float) -> list[Allocation]:
    """The same for a request."""
    watched = Watched(keys)
    return waiting.beside_others(watched.look, watched.is_over, seconds)


def wait_for_end(keys: Sequence[int], seconds: float) -> list[Allocation]:
    """Those of which their node has not let go, after so long."""
    return waiting.until(lambda: look(keys), _are_gone, seconds)


def wait_until_gone(key: int, seconds: float) -> Allocation | None:
    """The row after so long, for a request; None: its node has let go of it."""
    rows = waiting.beside_others(lambda: look([key]), _are_gone, seconds)
    return rows[0] if rows else None


def _are_gone(rows: Sequence[Allocation]) -> bool:
    return not rows


def _is_acted_on(row: Allocation) -> bool:
    return row.node is not None and row.carried >= row.version
