"""The process beside PowerDNS: zones in memory, a UNIX socket for its questions, changes followed."""

import asyncio
import logging
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass

from networks.dns import hearing
from networks.dns.backend import EVERYBODY, Backend
from networks.dns.caches import Caches, Program
from networks.dns.following import Follower
from networks.dns.listening import Listener, Place, bound
from networks.dns.loaded import Loader
from networks.dns.zones import Zones

log = logging.getLogger(__name__)

SWITCH = 0.0001
"""Seconds after which the threads that follow let an answer pass; Python's 0.005 is many answers."""


@dataclass(frozen=True, slots=True)
class Settings:
    place: Place
    programs: tuple[Program, ...]
    """Whose caches forget what was changed."""
    name: str
    """Of this DNS server, among several."""
    transfers_to: tuple[str, ...] = EVERYBODY
    """Networks whose hosts may have whole zones (AXFR)."""


def serve(settings: Settings) -> None:
    """Until SIGTERM or SIGINT. Raises Problem when the socket cannot be made, Django's DatabaseError
    when the rows cannot be read at the start."""
    sys.setswitchinterval(SWITCH)
    loader = Loader()
    backend = Backend(Zones(loader.facts()), settings.transfers_to)
    asyncio.run(_serve(backend, loader, settings))


async def _serve(backend: Backend, loader: Loader, settings: Settings) -> None:
    loop = asyncio.get_running_loop()
    Listener(bound(settings.place), backend.answer).start()
    follower = Follower(backend, loader, Caches(settings.programs), settings.name)
    hearing.begin(lambda changes: loop.call_soon_threadsafe(follower.hear, changes))
    following = asyncio.create_task(follower.run())
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, following.cancel)
    log.info("serving %s at %s", backend.zones.facts.cluster, settings.place.path)
    try:
        with suppress(asyncio.CancelledError):
            await following
    finally:
        settings.place.path.unlink(missing_ok=True)
