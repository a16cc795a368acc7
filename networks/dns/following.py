"""Changes reach the zones, then the caches, then who waits for them.

    message                 -> the rows that it names -> facts -> zones -> caches forget -> acknowledged
    or a second went by     -> serial -> all rows, if it is another one

A message says which serial its change followed: when one is missing, or comes too late, everything is read.
Rows are read in one thread and acknowledged in another, so that neither a slow database nor a lock
holds up an answer. While the database is away, what was read last is served.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import DatabaseError, InterfaceError, connection

from networks.dns import changes, names
from networks.dns.backend import Backend
from networks.dns.caches import Caches
from networks.dns.changes import Change
from networks.dns.loaded import Loader
from networks.dns.zones import Facts
from nodes.models import Cluster

log = logging.getLogger(__name__)

LOOK = 1.0
"""Seconds between two looks at the serial."""
WHOLE_LOOK = 10.0
"""Seconds between two looks at everything: what nobody told of is seen then."""
HEARTBEAT = 5.0
"""Seconds between two acknowledgements of one serial."""
AGAIN = (0.1, 0.5)
"""Seconds after which caches forget again. PowerDNS has two, each filled by questions under way: what we
answered before comes into its query cache behind the first command, and from there into its packet cache
behind the second."""
NEW_ZONES = (*AGAIN, 1.2, 2.4)
"""The same with another list of zones, which PowerDNS reads every second: until then it refuses what is
below a new one, and keeps that it did."""
AWAY = (DatabaseError, InterfaceError, Cluster.DoesNotExist)
"""A database that is being filled again has no cluster for a moment: that is no empty cluster."""

Result = TypeVar("Result")


def _serial(served: int) -> int:
    """The serial by now. It is below the one that is served when an older copy of the database was put back,
    and grows above that one then: who has transferred a zone takes none with a lower serial. A database that
    is still being filled is not written to: its row of the serial may be on its way."""
    serial = changes.serial()
    if serial >= served:
        return serial
    Cluster.current()
    log.warning("the serial went back from %d to %d: it grows now", served, serial)
    changes.changed(above=served)
    return changes.serial()


class Rows:
    """A thread with a database connection of its own."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, name)

    async def call(self, function: Callable[..., Result], *args: object) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, function, args)

    def _run(self, function: Callable[..., Result], args: tuple[object, ...]) -> Result:
        try:
            return function(*args)
        except AWAY:
            connection.close()
            raise


class Heard:
    """Changes that were told of, until they are served."""

    def __init__(self) -> None:
        self._by_before: dict[int, Change] = {}

    def add(self, changes: Sequence[Change]) -> None:
        self._by_before.update((change.before, change) for change in changes)

    def since(self, served: int) -> Change | None:
        """All that came after the one that is served, without a gap, as one."""
        serial, rows = served, set[int]()
        whole = False
        while change := self._by_before.pop(serial, None):
            serial = change.serial
            whole = whole or change.rows is None
            rows.update(change.rows or ())
        return Change(served, serial, None if whole else tuple(rows)) if serial != served else None

    def forget(self, served: int) -> None:
        """What was before is served."""
        for before in [before for before in self._by_before if before < served]:
            del self._by_before[before]


class Follower:
    """Keeps the backend's zones as the rows are."""

    def __init__(self, backend: Backend, loader: Loader, caches: Caches, name: str) -> None:
        self._backend, self._loader, self._caches, self._name = backend, loader, caches, name
        self._heard, self._news = Heard(), asyncio.Event()
        self._reader, self._writer = Rows("rows"), Rows("acknowledge")
        self._looked = time.monotonic()
        """At everything."""
        self._acknowledged = (0, 0.0)
        self._untold: int | None = None
        """The serial under which names were found to be others than they were."""
        self._away = False

    def hear(self, changes: Sequence[Change]) -> None:
        """Of these changes, or that some may have been missed."""
        self._heard.add(changes)
        self._news.set()

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as tasks:
            await self._forget(None, tasks, NEW_ZONES)  # it may still have what the process before us said
            while True:
                try:
                    await self._turn(tasks)
                    self._away = False
                except AWAY as error:
                    if not self._away:
                        log.warning("the database is away (%s): serving what was read last", error)
                    self._away = True
                await self._told(LOOK)

    async def _turn(self, tasks: asyncio.TaskGroup) -> None:
        self._news.clear()
        apexes = self._backend.zones.apexes
        if (facts := await self._look()) and (changed := self._take_in(facts)):
            await self._forget(changed, tasks, AGAIN if apexes == self._backend.zones.apexes else NEW_ZONES)
        await self._acknowledge()

    async def _look(self) -> Facts | None:
        """What is to be served now; None: nothing was changed."""
        facts = self._backend.zones.facts
        is_due = time.monotonic() - self._looked >= WHOLE_LOOK
        told = self._heard.since(facts.serial)
        if told and told.rows is not None and not is_due:
            return await self._reader.call(self._loader.facts_after, facts, told.rows, told.serial)
        serial = await self._reader.call(_serial, facts.serial)
        await self._announce(serial)
        if serial == facts.serial and not is_due:
            return None
        self._looked = time.monotonic()
        found = await self._reader.call(self._loader.facts)
        self._heard.forget(found.serial)
        if found.holders != facts.holders or found.apexes != facts.apexes:
            self._untold = facts.serial
        return found

    def _take_in(self, facts: Facts) -> set[str]:
        """The names that changed, with the apexes of their zones, whose serial is another one now."""
        zones = self._backend.zones
        new = facts.holders - zones.facts.holders
        changed = self._backend.follow(facts)
        for fault in (fault for holder in new for fault in names.faults(holder, facts.cluster)):
            log.warning("not served: %s", fault)
        return changed | {apex for name in changed if (apex := zones.zone_of(name))}

    async def _forget(self, names: set[str] | None, tasks: asyncio.TaskGroup, again: Sequence[float]) -> None:
        """These, or all, now and again."""
        await self._caches.forget(names)
        tasks.create_task(self._forget_again(names, again))

    async def _forget_again(self, names: set[str] | None, moments: Sequence[float]) -> None:
        begun = time.monotonic()
        for moment in moments:
            await asyncio.sleep(begun + moment - time.monotonic())
            await self._caches.forget(names)

    async def _announce(self, serial: int) -> None:
        """Names that changed while the serial stays what it was: somebody wrote rows and did not tell. A
        second later, as rows may be read before the message of their commit comes."""
        if self._untold is None or time.monotonic() - self._looked < LOOK:
            return
        if self._untold == serial:
            log.warning("names were changed and nobody told of it: the serial grows now")
            await self._writer.call(changes.changed)
        self._untold = None

    async def _acknowledge(self) -> None:
        serial, now = self._backend.zones.facts.serial, time.monotonic()
        said, at = self._acknowledged
        if serial != said or now - at >= HEARTBEAT:
            await self._writer.call(changes.acknowledge, self._name, serial)
            self._acknowledged = serial, now

    async def _told(self, within: float) -> None:
        try:
            async with asyncio.timeout(within):
                await self._news.wait()
        except TimeoutError:
            return
