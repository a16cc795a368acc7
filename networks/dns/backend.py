"""PowerDNS' remote backend: a line with a question, a line with the answer. Pure, but for the turns of
addresses.

    {"method": "lookup", "parameters": {"qname": "Web.prod.svc.c1.", "qtype": "ANY", ...}}
    {"result": [{"qname": "web.prod.svc.c1.", "qtype": "A", "content": "10.11.0.7", "ttl": 60, ...}]}

PowerDNS asks for ANY and picks the type itself. As we configure it it does not shuffle (else it does, over
UDP alone): several addresses of a name take turns here, so what it kept for a while is followed by the next
turn. A name between others has one empty row, else its parents were missing (NXDOMAIN) and a resolver took
all below for missing too (RFC 8020). What we do not know is answered false: "nothing".
(https://doc.powerdns.com/authoritative/backends/remote.html)
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from networks.dns import names
from networks.dns.names import Record
from networks.dns.zones import Facts, Zones

log = logging.getLogger(__name__)

NOTHING = b'{"result":false}\n'
DONE = b'{"result":true}\n'
EVERYBODY = ("0.0.0.0/0", "::/0")
ANY = "ANY"
TURN = 0.01
"""Seconds for which all get the same: PowerDNS looks a name up several times a question, and in several
threads at once when a kept answer is over."""
Row = dict[str, Any]


class Turns:
    """The answers of a name with several rows of a type: each row comes first in turn."""

    def __init__(self, groups: Sequence[Sequence[bytes]]) -> None:
        """``groups``: the rows by type."""
        self._groups = groups
        self._turn = random.randrange(1 << 16)  # names that came together do not go in step
        self._begun = 0.0

    def answer(self) -> bytes:
        now = time.monotonic()
        if now - self._begun >= TURN:
            self._turn, self._begun = self._turn + 1, now
        rows: list[bytes] = []
        for group in self._groups:
            start = self._turn % len(group)
            rows += group[start:]
            rows += group[:start]
        return _joined(rows)


Ready = bytes | Turns
"""The line that answers, or what makes it."""


class Parameters(msgspec.Struct):
    """Those that we look at; what PowerDNS adds is passed over."""

    qname: str = ""
    qtype: str = ""
    name: str = ""
    zonename: str = ""
    kind: str = ""


class Question(msgspec.Struct):
    method: str
    parameters: Parameters = msgspec.field(default_factory=Parameters)


_decoder = msgspec.json.Decoder(Question)
_encode = msgspec.json.encode


class Backend:
    """Answers from the zones as they are now."""

    def __init__(self, zones: Zones, transfers_to: Iterable[str] = EVERYBODY) -> None:
        self.zones = zones
        self._whole = threading.Lock()
        """Held while zones change: a transfer is of before or of after."""
        self.transfers_to = list(transfers_to)
        """Networks whose hosts may have whole zones (AXFR)."""
        self._numbers: dict[str, int] = {}
        """Of zones, as PowerDNS knows them: once given, they stay."""
        self._ready: dict[str, Ready] = {}
        """Of every name that there is."""
        self._methods: dict[str, Callable[[Parameters], bytes]] = {
            "lookup": self._lookup,
            "list": self._list,
            "getAllDomains": self._all_domains,
            "getDomainInfo": self._domain_info,
            "getDomainMetadata": self._metadata,
            "getAllDomainMetadata": self._all_metadata,
            "initialize": lambda _: DONE,
        }
        for name in zones.every_name():
            self._prepare(name)

    def answer(self, line: bytes) -> bytes:
        """The line that answers a line; from any thread."""
        try:
            question = _decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning("not a question of PowerDNS (%s): %r", error, line[:200])
            return NOTHING
        asked = question.parameters
        if asked.qtype == ANY and question.method == "lookup":  # nearly all of them
            ready = self._ready.get(asked.qname.lower(), NOTHING)
            return ready if isinstance(ready, bytes) else ready.answer()
        method = self._methods.get(question.method)
        if method is None:
            return NOTHING
        with self._whole:
            return method(asked)

    def follow(self, facts: Facts) -> set[str]:
        """Be what the facts are now; the names that have other records than before."""
        with self._whole:
            changed = self.zones.follow(facts)
            for name in changed | self.zones.apexes:  # every SOA has another serial
                self._prepare(name)
        return changed

    def _prepare(self, name: str) -> None:
        groups: dict[str, list[bytes]] = {}
        for row in self._rows(name):
            groups.setdefault(row["qtype"], []).append(_encode(row))
        if not groups:
            self._ready.pop(name, None)
        elif all(len(group) == 1 for group in groups.values()):
            self._ready[name] = _joined(row for (row,) in groups.values())
        else:
            self._ready[name] = Turns(list(groups.values()))

    def _lookup(self, asked: Parameters) -> bytes:
        """Of one type, as PowerDNS asks that is configured so."""
        rows = self._rows(asked.qname.lower())
        return self._result(row for row in rows if asked.qtype in (ANY, row["qtype"]))

    def _rows(self, name: str) -> list[Row]:
        """All rows of a name."""
        apex = self.zones.zone_of(name)
        if not apex:
            return []
        if self.zones.is_between(name):
            return [self._row(Record(name, "", names.TTL, ""), apex)]
        found = [self._row(record, apex) for record in self.zones.records(name)]
        return [self._row(self.zones.soa(apex), apex), *found] if name == apex else found

    def _list(self, asked: Parameters) -> bytes:
        """A whole zone, for a transfer."""
        apex = _with_dot(asked.zonename)
        if apex not in self.zones.apexes:
            return NOTHING
        return self._result(self._row(record, apex) for record in self.zones.of_zone(apex))

    def _all_domains(self, asked: Parameters) -> bytes:
        return self._result(self._domain(apex) for apex in self.zones.facts.apexes)

    def _domain_info(self, asked: Parameters) -> bytes:
        apex = _with_dot(asked.name)
        return _line(self._domain(apex)) if apex in self.zones.apexes else NOTHING

    def _metadata(self, asked: Parameters) -> bytes:
        return _line(self._metadata_of(asked.name).get(asked.kind, []))

    def _all_metadata(self, asked: Parameters) -> bytes:
        return _line(self._metadata_of(asked.name))

    def _metadata_of(self, name: str) -> dict[str, list[str]]:
        ours = _with_dot(name) in self.zones.apexes
        return {"ALLOW-AXFR-FROM": self.transfers_to} if ours else {}

    def _domain(self, apex: str) -> Row:
        serial = self.zones.facts.serial % 2**32
        return {
            "id": self._number(apex),
            "zone": apex,
            "kind": "native",
            "serial": serial,
            "notified_serial": serial,
            "last_check": 0,
            "masters": [],
        }

    def _row(self, record: Record, apex: str) -> Row:
        return {
            "qname": record.name,
            "qtype": record.type,
            "content": record.content,
            "ttl": record.ttl,
            "domain_id": self._number(apex),
        }

    def _number(self, apex: str) -> int:
        return self._numbers.setdefault(apex, len(self._numbers) + 1)

    @staticmethod
    def _result(rows: Iterable[Row]) -> bytes:
        found = list(rows)
        return _line(found) if found else NOTHING


def _line(result: object) -> bytes:
    return _encode({"result": result}) + b"\n"


def _joined(rows: Iterable[bytes]) -> bytes:
    return b'{"result":[' + b",".join(rows) + b"]}\n"


def _with_dot(name: str) -> str:
    return f"{name.lower().rstrip('.')}."
