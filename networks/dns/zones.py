"""All zones in memory: records by name, the names between them, and what a change concerns.

    zones = Zones(facts)            every zone of the cluster
    names = zones.follow(facts)     those whose records are others now: what caches must forget

What is asked for thousands of times a second is ready as text; a change costs what it changes.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from netadmin.problems import Fault
from networks.dns import names
from networks.dns.names import Holder, Record


@dataclass(frozen=True, slots=True)
class Facts:
    """What the zones are made of, as one look found it."""

    cluster: str
    """Its name: the forward zone."""
    servers: tuple[str, ...] = ()
    """Addresses of the DNS servers."""
    reverse: tuple[str, ...] = ()
    """Apexes of the reverse zones."""
    holders: frozenset[Holder] = field(default_factory=frozenset)
    serial: int = 1

    @property
    def apexes(self) -> tuple[str, ...]:
        return (f"{self.cluster}.", *self.reverse)

    @property
    def faults(self) -> list[Fault]:
        """Names that are not served, and why."""
        return [fault for holder in sorted(self.holders) for fault in names.faults(holder, self.cluster)]


class Zones:
    """The records of every zone but the SOAs, which are made when asked for."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self._begin(facts)
        self._add(facts.holders)

    def follow(self, facts: Facts) -> set[str]:
        """Be what the facts are now; the names that have other records than before."""
        before = self.facts
        if (before.cluster, before.servers, before.apexes) != (facts.cluster, facts.servers, facts.apexes):
            return self._rebuilt(facts)
        self.facts = facts
        gone, come = before.holders - facts.holders, facts.holders - before.holders
        return self._remove(gone) | self._add(come)

    def zone_of(self, name: str) -> str:
        """The apex of the zone that a name is in; empty: none of ours."""
        while name not in self.apexes:
            name = name.partition(".")[2]
            if not name:
                return ""
        return name

    def records(self, name: str) -> Sequence[Record]:
        """Those of one name, without the SOA; none for a name between others, or of nobody."""
        return tuple(self._records.get(name, ()))

    def every_name(self) -> set[str]:
        """All that are there: with records, between others, and apexes."""
        return self._records.keys() | self._below.keys() | self.apexes

    def is_between(self, name: str) -> bool:
        """Whether a name has no records and stands above one that has: an empty non-terminal."""
        return name in self._below and name not in self._records

    def of_zone(self, apex: str) -> Iterator[Record]:
        """The whole zone: SOA and name servers first, then by name."""
        yield self.soa(apex)
        yield from self.records(apex)
        for name in sorted(self._names[apex] - {apex}):
            yield from sorted(self._records[name])

    def soa(self, apex: str) -> Record:
        facts = self.facts
        return names.soa(apex, facts.cluster, facts.servers, facts.serial)

    def _begin(self, facts: Facts) -> None:
        self.facts = facts
        self.apexes = frozenset(facts.apexes)
        self._records: dict[str, Counter[Record]] = {}
        """How many holders bring a record: two nodes may have one address each of a local bridge."""
        self._below: Counter[str] = Counter()
        """How many names with records are below a name, down from the apexes."""
        self._names: defaultdict[str, set[str]] = defaultdict(set)
        for record in names.of_cluster(facts.cluster, facts.servers, facts.apexes):
            self._insert(record)

    def _rebuilt(self, facts: Facts) -> set[str]:
        before = self._records
        between = set(self._below)
        apexes = self.apexes
        self._begin(facts)
        self._add(facts.holders)
        moved = {
            name
            for name in before.keys() | self._records.keys()
            if before.get(name) != self._records.get(name)
        }
        return moved | (between ^ set(self._below)) | (apexes ^ self.apexes)

    def _add(self, holders: Iterable[Holder]) -> set[str]:
        changed: set[str] = set()
        for holder in holders:
            for record in names.of_holder(holder, self.facts.cluster):
                changed |= self._insert(record)
        return changed

    def _remove(self, holders: Iterable[Holder]) -> set[str]:
        changed: set[str] = set()
        for holder in holders:
            for record in names.of_holder(holder, self.facts.cluster):
                changed |= self._delete(record)
        return changed

    def _insert(self, record: Record) -> set[str]:
        """The names that this changes: its own, and those above that were not there."""
        if not (apex := self.zone_of(record.name)):
            return set()
        changed = {record.name}
        if (found := self._records.get(record.name)) is None:
            found = self._records[record.name] = Counter()
            self._names[apex].add(record.name)
            for above in _above(record.name, apex):
                self._below[above] += 1
                if self._below[above] == 1:
                    changed.add(above)
        found[record] += 1
        return changed

    def _delete(self, record: Record) -> set[str]:
        if not (apex := self.zone_of(record.name)):
            return set()
        changed = {record.name}
        found = self._records[record.name]
        found[record] -= 1
        if not found[record]:
            del found[record]
        if not found:
            del self._records[record.name]
            self._names[apex].discard(record.name)
            for above in _above(record.name, apex):
                self._below[above] -= 1
                if not self._below[above]:
                    del self._below[above]
                    changed.add(above)
        return changed


def _above(name: str, apex: str) -> Iterator[str]:
    """The names between a name and the apex of its zone, both left out."""
    while name != apex and (name := name.partition(".")[2]) != apex:
        yield name
