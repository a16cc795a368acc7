"""How far a node is with what a service asked for, and waiting for it.

requested -> the node acts on that version -> attached, or failed
"""

from collections.abc import Sequence

from netadmin import waiting
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


def wait(keys: Sequence[int], seconds: float) -> list[Allocation]:
    """The rows once nothing is to be waited for, or after so long."""
    return waiting.until(lambda: look(keys), _are_over, seconds)


def wait_beside_others(keys: Sequence[int], seconds: float) -> list[Allocation]:
    """The same for a request."""
    return waiting.beside_others(lambda: look(keys), _are_over, seconds)


def wait_until_gone(key: int, seconds: float) -> Allocation | None:
    """The row after so long, for a request; None: its node has let go of it."""
    rows = waiting.beside_others(lambda: look([key]), _are_gone, seconds)
    return rows[0] if rows else None


def _are_over(rows: Sequence[Allocation]) -> bool:
    return all(map(is_over, rows))


def _are_gone(rows: Sequence[Allocation]) -> bool:
    return not rows


def _is_acted_on(row: Allocation) -> bool:
    return row.node is not None and row.node.held >= row.version
