"""What is served was changed: the serial grows in the same transaction, and DNS servers hear of it.

    changed(rows)  by whoever changes allocations; without rows, a network, a node or the cluster
    unserved(n)    who does not serve yet what was changed up to serial n

Nothing depends on the message: every DNS server looks at the serial once a second. But who heard of every
change since what he serves has to read no more than their rows.
"""

import time
from collections import deque
from collections.abc import Collection
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec
from django.db import transaction
from django.utils import timezone

from netadmin import broker
from networks.models import DnsSerial, DnsServer

ALIVE = timedelta(seconds=15)
"""A DNS server that was not heard of for longer is not waited for."""


MOST_ROWS = 500
"""With more of them it is as quick to read all."""


class Change(msgspec.Struct, frozen=True):
    """One change, as it is told."""

    before: int
    """The serial that it followed."""
    serial: int
    rows: tuple[int, ...] | None
    """Allocations that are others now, or gone; None: read everything."""


_untold: deque[Change] = deque(maxlen=100)
"""What the broker is still to be told; of one that is away for long, DNS servers look for themselves."""


@transaction.atomic
def changed(rows: Collection[int] | None = None, *, above: int = 0) -> None:
    """Call it last in the transaction: its row is locked until the commit. ``rows``: the allocations, if
    nothing else was changed. ``above``: a serial that is known to be served.

    The serial is never behind the time in seconds, so that it also grows (RFC 1982) when an older
    database is brought back: with the next change, or as a DNS server sees that it went back.
    """
    row, _ = DnsSerial.objects.select_for_update().get_or_create(pk=1, defaults={"serial": 1})
    before, row.serial = row.serial, max(row.serial + 1, int(time.time()), above + 1)
    row.save(update_fields=["serial"])
    few = None if rows is None or len(rows) > MOST_ROWS else tuple(rows)
    transaction.on_commit(partial(_untold.append, Change(before, row.serial, few)))
    broker.on_commit(tell)


def serial() -> int:
    """Of the newest change; in its transaction, of this one. 1: there was none yet."""
    return DnsSerial.objects.values_list("serial", flat=True).first() or 1


def tell() -> None:
    """Publish what was changed since the last call; raises kombu's OperationalError."""
    told = [_untold.popleft() for _ in range(len(_untold))]
    with broker.connection() as connection:
        channel: Any = connection.default_channel
        channel.client.publish(broker.NAMES, msgspec.json.encode(told))


def heard(message: bytes) -> list[Change]:
    """What ``tell`` published; nothing of what is not ours."""
    try:
        return msgspec.json.decode(message, type=list[Change])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []


def servers() -> list[DnsServer]:
    """The DNS servers that were heard of lately."""
    return list(DnsServer.objects.filter(seen__gte=timezone.now() - ALIVE).order_by("name"))


def unserved(serial: int) -> list[str]:
    """The DNS servers that do not serve all changes up to this one yet."""
    return [server.name for server in servers() if server.serial < serial]


def acknowledge(name: str, serial: int) -> None:
    """A DNS server serves everything up to this serial, and no cache holds what was before."""
    now = timezone.now()
    if not DnsServer.objects.filter(name=name).update(serial=serial, seen=now):
        DnsServer.objects.create(name=name, serial=serial, seen=now)
