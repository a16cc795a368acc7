"""What is served was changed: the serial grows in the same transaction, and DNS servers hear of it.

    changed()      by whoever changes an allocation, a network, a node or the cluster
    unserved(n)    who does not serve yet what was changed up to serial n

Nothing depends on the message: every DNS server looks at the serial once a second.
"""

import time
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest
from django.utils import timezone

from netadmin import broker
from networks.models import DnsSerial, DnsServer

ALIVE = timedelta(seconds=15)
"""A DNS server that was not heard of for longer is not waited for."""


@transaction.atomic
def changed() -> None:
    """Call it last in the transaction: its row is locked until the commit.

    The serial is never behind the time in seconds, so that it also grows (RFC 1982) when an older
    database is brought back.
    """
    now = int(time.time())
    if not DnsSerial.objects.update(serial=Greatest(F("serial") + 1, now)):
        DnsSerial.objects.get_or_create(pk=1, defaults={"serial": now})
    broker.on_commit(tell)


def serial() -> int:
    """Of the newest change; in its transaction, of this one. 1: there was none yet."""
    return DnsSerial.objects.values_list("serial", flat=True).first() or 1


def tell() -> None:
    """Publish that something changed; raises kombu's OperationalError."""
    with broker.connection() as connection:
        channel: Any = connection.default_channel
        channel.client.publish(broker.NAMES, "changed")


def servers() -> list[DnsServer]:
    """The DNS servers that were heard of lately."""
    return list(DnsServer.objects.filter(seen__gte=timezone.now() - ALIVE).order_by("name"))


def unserved(serial: int) -> list[str]:
    """The DNS servers that do not serve all changes up to this one yet."""
    return [server.name for server in servers() if server.serial < serial]


def acknowledge(name: str, serial: int) -> None:
    """A DNS server serves everything up to this serial, and no cache holds what was before."""
    DnsServer.objects.update_or_create(name=name, defaults={"serial": serial, "seen": timezone.now()})
