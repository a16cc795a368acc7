"""The one way to write an event."""

from collections.abc import Iterable
from typing import Any

from django.utils import timezone

from netadmin import alike
from nodes.models import Event

COLUMNS = ("actor", "verb", "kind", "name", "before", "after")


def record(actor: str, verb: str, kind: str, name: str, *, before: Any = None, after: Any = None) -> Event:
    """Append an event; in the transaction of what it tells about, or not at all."""
    return Event.objects.create(actor=actor, verb=verb, kind=kind, name=name, before=before, after=after)


def record_all(those: Iterable[Event]) -> None:
    """The same, of several at once."""
    rows = list(those)
    columns = {name: [getattr(row, name) for row in rows] for name in COLUMNS}
    if rows:
        alike.insert(Event(at=timezone.now()), columns, "id")
