"""Changes reach the zones, then the caches, then who waits for them.

    message, or a second went by -> serial -> facts -> zones -> caches forget -> acknowledged

Rows are read in one thread and acknowledged in another, so that neither a slow database nor a lock
holds up an answer. While the database is away, what was read last is served.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import DatabaseError, InterfaceError, connection

from networks.dns import changes, names
from networks.dns.backend import Backend
from networks.dns.caches import Caches
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
ONCE_MORE = (0.1,)
"""Seconds after which caches forget again: an answer that was under way may have come in behind."""
NEW_ZONES = (*ONCE_MORE, 1.2, 2.4)
"""The same with another list of zones, which PowerDNS reads every second: until then it refuses what is
below a new one, and keeps that it did."""
AWAY = (DatabaseError, InterfaceError, Cluster.DoesNotExist)
"""A database that is being filled again has no cluster for a moment: that is no empty cluster."""

Result = TypeVar("Result")


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


class Follower:
    """Keeps the backend's zones as the rows are; ``news`` is set when somebody told of a change."""

    def __init__(self, backend: Backend, loader: Loader, caches: Caches, name: str) -> None:
        self._backend, self._loader, self._caches, self._name = backend, loader, caches, name
        self.news = asyncio.Event()
        self._reader, self._writer = Rows("rows"), Rows("acknowledge")
        self._looked = time.monotonic()
        self._acknowledged = (0, 0.0)
        self._untold: int | None = None
        """The serial under which names were found to be others than they were."""
        self._away = False

    async def run(self) -> None:
        """For ever."""
        await self._caches.forget_all()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._begin_again())
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
        served = self._backend.zones.facts.serial
        serial = await self._reader.call(changes.serial)
        await self._announce(serial)
        due = time.monotonic() - self._looked >= WHOLE_LOOK
        if self.news.is_set() or due or serial != served:
            self.news.clear()
            self._looked = time.monotonic()
            apexes = self._backend.zones.apexes
            if changed := self._take_in(await self._reader.call(self._loader.facts)):
                await self._caches.forget(changed)
                again = ONCE_MORE if apexes == self._backend.zones.apexes else NEW_ZONES
                tasks.create_task(self._forget_again(changed, again))
                self._untold = served
        await self._acknowledge()

    def _take_in(self, facts: Facts) -> set[str]:
        """The names that changed, with the apexes of their zones, whose serial is another one now."""
        zones = self._backend.zones
        new = facts.holders - zones.facts.holders
        changed = self._backend.follow(facts)
        for fault in (fault for holder in new for fault in names.faults(holder, facts.cluster)):
            log.warning("not served: %s", fault)
        return changed | {apex for name in changed if (apex := zones.zone_of(name))}

    async def _begin_again(self) -> None:
        """PowerDNS may still have put in what it had from the process before us."""
        for _ in NEW_ZONES:
            await asyncio.sleep(LOOK)
            await self._caches.forget_all()

    async def _forget_again(self, stale: set[str], moments: Iterable[float]) -> None:
        begun = time.monotonic()
        for moment in moments:
            await asyncio.sleep(begun + moment - time.monotonic())
            await self._caches.forget(stale)

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
                await self.news.wait()
        except TimeoutError:
            return
