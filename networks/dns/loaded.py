"""Rows -> Facts: what the zones are made of. A fixed number of queries."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from netaddr import IPNetwork

from networks import expose
from networks.dns import changes, reverse
from networks.dns.names import Holder
from networks.dns.zones import Facts
from networks.fields import unpacked
from networks.models import Address, Network, Segment, State, Type
from nodes.models import Cluster

Row = tuple[Any, ...]

COLUMNS = (
    "allocation",
    "allocation__service",
    "allocation__resource",
    "allocation__node__name",
    "allocation__node__weight",
    "address",
    "allocation__hostname",
    "allocation__dns_name_suffix",
    "allocation__expose",
)


def facts() -> Facts:
    """Once; who looks again and again keeps a ``Loader``."""
    return Loader().facts()


class Loader:
    """Looks again and again: at everything, or at the allocations that are known to have changed.

    What the database says of an address is compared as it comes, and only what is new is taken apart.
    """

    def __init__(self) -> None:
        self._holders: dict[Row, Holder] = {}
        self._rows: defaultdict[int, set[Row]] = defaultdict(set)
        """Of each allocation."""

    def facts(self) -> Facts:
        """The serial is read first: what is changed meanwhile is seen again under a newer one."""
        serial = changes.serial()
        cluster = Cluster.current()
        ranges = _ranges()
        rows, known = _read(served()), self._holders
        self._holders, self._rows = {}, defaultdict(set)
        self._take(rows, known)
        return Facts(
            cluster=cluster.name,
            servers=tuple(cluster.dns),
            reverse=tuple(reverse.apexes(ranges)),
            holders=frozenset(self._holders.values()),
            serial=serial,
        )

    def facts_after(self, facts: Facts, allocations: Collection[int], serial: int) -> Facts:
        """Those that were read last, with these allocations as they are now. No two addresses of services
        are the same holder: of a resource on a node there is one allocation."""
        rows = _read(served().filter(allocation__in=allocations))
        gone = {row: self._holders.pop(row) for key in allocations for row in self._rows.pop(key, ())}
        come = self._take(rows, gone)
        return replace(facts, holders=facts.holders.difference(gone.values()).union(come), serial=serial)

    def _take(self, rows: Iterable[Row], known: dict[Row, Holder]) -> list[Holder]:
        found = []
        for row in rows:
            holder = self._holders[row] = known.get(row) or _holder(*row[1:])
            self._rows[row[0]].add(row)
            found.append(holder)
        return found


def _read(rows: "QuerySet[Address]") -> list[Row]:
    """As the database has them: an address as 16 bytes, the ports as JSON."""
    with connection.cursor() as cursor:
        cursor.execute(*rows.values_list(*COLUMNS).query.sql_with_params())
        found: list[Row] = cursor.fetchall()
        return found


def served() -> "QuerySet[Address]":
    """Addresses of services that are attached and passed their last check."""
    attached = Address.objects.filter(allocation__state=State.ATTACHED, allocation__healthy=True)
    return attached.exclude(allocation__service="").exclude(allocation__node=None).order_by()


def _holder(
    service: str,
    resource: str,
    node: str,
    weight: int,
    address: bytes,
    hostname: str,
    suffix: str,
    ports: str,
) -> Holder:
    exposed = expose.parse_all(json.loads(ports))
    return Holder(service, resource, node, weight, str(unpacked(address)), hostname, suffix, exposed)


def _ranges() -> set[IPNetwork]:
    """Of every network, and of nodes that have another one; what never leaves a host has no names."""
    networks = Network.switched_on().exclude(type=Type.LOOPBACK)
    texts = [*networks.values_list("network", flat=True)]
    texts += (
        Segment.objects.filter(network__in=networks).exclude(own_range="").values_list("own_range", flat=True)
    )
    return {IPNetwork(cidr) for text in texts for cidr in text.split()}
