"""The zones as a master file (RFC 1035, 5.1), one record a line."""

from collections.abc import Iterable, Iterator

from networks.dns.zones import Zones


def lines(zones: Zones, apexes: Iterable[str] | None = None) -> Iterator[str]:
    """Of these zones, or of all: the cluster's first."""
    for apex in zones.facts.apexes if apexes is None else apexes:
        for record in zones.of_zone(apex):
            yield f"{record.name}\t{record.ttl}\tIN\t{record.type}\t{record.content}"
