"""Records as people list them: by name, type and zone."""

from collections.abc import Iterator
from dataclasses import dataclass

from netadmin.problems import Fault, Problem
from networks.dns.names import Record
from networks.dns.zones import Zones

TYPES = ("A", "AAAA", "SRV", "PTR", "SOA", "NS")


@dataclass(frozen=True, slots=True)
class Listed:
    zone: str
    record: Record


def records(zones: Zones, *, name: str = "", kind: str = "", zone: str = "") -> Iterator[Listed]:
    """Those that contain ``name``, are of this type and in this zone; empty: whatever. Raises Problem."""
    if kind and kind not in TYPES:
        raise Problem(Fault("type", kind, "is none that is served", f"Use one of {', '.join(TYPES)}"))
    for apex in [zone_named(zones, zone)] if zone else zones.facts.apexes:
        for record in zones.of_zone(apex):
            if name.lower() in record.name and kind in ("", record.type):
                yield Listed(apex, record)


def zone_named(zones: Zones, name: str) -> str:
    """The apex of a zone of ours, given with or without the final dot. Raises Problem."""
    apex = f"{name.lower().rstrip('.')}."
    if apex not in zones.apexes:
        raise Problem(Fault("zone", name, "is not served", f"Known: {', '.join(zones.facts.apexes)}"))
    return apex
