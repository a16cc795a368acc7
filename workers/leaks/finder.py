"""The thread that finds leases of containers that are gone, and frees them.

    timer -> leases there are? -> look -> suspects -> seen twice: lost -> for the grace time: freed
                                                       |                     lock, read again, look again
                                                       +--> the report tells

A lease of ours (an attachment that is in the journal), a reservation, and one that is younger than a
container takes to start is none of its business. What could not be looked at proves nothing, and
what was suspected before then has to be seen again from the start.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from workers.cni.store import Entry, Store, StoreBusy, locked, read
from workers.config import Settings
from workers.desired import LOOK_INTERVAL
from workers.document import Document
from workers.kernel.whereabouts import Hidden
from workers.leaks import proof, sight
from workers.report import Lease

SHARE = 200
"""A look takes at most 1 / SHARE of the time."""
GRACE = 300.0
"""Seconds, unless the document says otherwise."""
log = logging.getLogger("netadmin.leaks")


@dataclass(frozen=True, slots=True)
class Suspect:
    entry: Entry
    since: float
    """When it was seen dead first, as time.monotonic() counts."""
    times: int


class Finder(threading.Thread):
    """``lost``, ``marked`` and ``stop`` are for any thread."""

    def __init__(
        self,
        settings: Settings,
        in_force: Callable[[], Document | None],
        ours: Callable[[], set[str]],
        news: Callable[[], None],
    ) -> None:
        """``ours``: container ids of attachments of ours. ``news`` is called when others are lost."""
        super().__init__(name="leaks", daemon=True)
        self._store = Store(settings.cni_store)
        self._in_force = in_force
        self._ours = ours
        self._news = news
        self._suspects: dict[Entry, Suspect] = {}
        self._lost: frozenset[tuple[str, str]] = frozenset()
        self._hidden = ""
        self._stopped = threading.Event()

    def marked(self, leases: Iterable[Lease]) -> tuple[Lease, ...]:
        """The leases, those that are lost said to be so."""
        lost = self._lost
        return tuple(replace(one, lost=True) if (one.network, one.address) in lost else one for one in leases)

    def stop(self) -> None:
        self._stopped.set()

    def run(self) -> None:
        pause = 0.0
        while not self._stopped.wait(max(self._interval(), pause)):
            start = time.monotonic()
            try:
                self.turn()
            except Exception:
                log.exception("leases were not looked at; nothing is freed")
                self._suspects = {}
            pause = SHARE * (time.monotonic() - start)

    def turn(self) -> None:
        """One look, and what follows from it."""
        _, dead = self.look()
        now = time.monotonic()
        before = self._suspects
        self._suspects = {
            entry: replace(before[entry], times=before[entry].times + 1)
            if entry in before
            else Suspect(entry, now, 1)
            for entry in dead
        }
        ripe = [
            one.entry for one in self._suspects.values() if one.times > 1 and now - one.since >= self._grace()
        ]
        for entry in self.free(ripe):
            del self._suspects[entry]
        self._tell()

    def look(self) -> tuple[int, list[Entry]]:
        """How many leases were looked at, and whose containers are gone as far as this look says."""
        entries = self._of_others()
        return len(entries), self._dead(entries) if entries else []

    def free(self, entries: Iterable[Entry]) -> list[Entry]:
        """Free leases that were seen dead; those that were. Each is read and looked for again under the
        lock: whoever takes an address meanwhile keeps it."""
        freed = []
        for entry in entries:
            try:
                with locked(Path(entry.path).parent):
                    if read(entry.path, entry.network, entry.address) == entry and self._dead([entry]):
                        os.unlink(entry.path)
                        freed.append(entry)
            except StoreBusy as error:
                log.error("%s", error)
        for entry in freed:
            log.warning(
                "freed a lease whose container is gone", extra={"address": str(entry.address), **_said(entry)}
            )
        return freed

    def _of_others(self) -> list[Entry]:
        ours, old = self._ours(), time.time_ns() - int(proof.YOUNG * 1e9)
        return [
            entry
            for entry in self._store.entries()
            if not entry.reserved and entry.container not in ours and entry.written < old
        ]

    def _dead(self, entries: list[Entry]) -> list[Entry]:
        """Those of which this look says so; none when not everything could be looked at."""
        document = self._in_force()
        bridges = {one.name: one.device for one in document.networks if one.device} if document else {}
        try:
            found = proof.suspects(entries, sight.look(), bridges, sight.is_recorded)
        except Hidden as error:
            if str(error) != self._hidden:
                log.warning("it cannot be told which containers are gone: %s", error)
            self._hidden = str(error)
            return []
        self._hidden = ""
        return found

    def _tell(self) -> None:
        lost = frozenset(
            (one.entry.network, str(one.entry.address)) for one in self._suspects.values() if one.times > 1
        )
        if lost != self._lost:
            self._lost = lost
            self._news()

    def _interval(self) -> float:
        document = self._in_force()
        return max(document.look_interval, 1.0) if document else LOOK_INTERVAL

    def _grace(self) -> float:
        document = self._in_force()
        return document.lease_grace if document else GRACE


def _said(entry: Entry) -> dict[str, str]:
    return {"network": entry.network, "container": entry.container[:64]}
