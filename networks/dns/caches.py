"""PowerDNS' caches forget what was changed, by its control socket: ``PURGE NAME ...``.

One connection a command; the answer is how many entries went. PowerDNS keeps an answer for the seconds
of its ``cache-ttl``, whatever the record's own TTL, so without this a change shows that much later.
(https://doc.powerdns.com/authoritative/performance.html)
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

LONGEST_COMMAND = 1000
"""Bytes: well below what PowerDNS reads as one line."""
MOST_NAMES = 500
"""More of them at once, and everything is forgotten."""
PATIENCE = 1.0
"""Seconds for one command."""


class Caches:
    def __init__(self, control: Path | None) -> None:
        self._control = control
        """None: nobody's caches are ours to empty."""
        self._reachable = True

    async def forget(self, names: Iterable[str]) -> None:
        """These names; PowerDNS that does not run has nothing to forget."""
        found = sorted(name.rstrip(".") for name in names)
        if len(found) > MOST_NAMES:
            await self.forget_all()
            return
        for words in _batches(found):
            await self._tell(f"PURGE {words}")

    async def forget_all(self) -> None:
        await self._tell("PURGE")

    async def _tell(self, command: str) -> None:
        if self._control is None:
            return
        try:
            async with asyncio.timeout(PATIENCE):
                await self._exchange(command)
        except (OSError, TimeoutError) as error:
            if self._reachable:
                log.warning(
                    "PowerDNS is not reached at %s (%s): its caches are not emptied", self._control, error
                )
            self._reachable = False
        else:
            if not self._reachable:
                log.info("PowerDNS is reached at %s again", self._control)
            self._reachable = True

    async def _exchange(self, command: str) -> None:
        reader, writer = await asyncio.open_unix_connection(self._control)
        try:
            writer.write(f"{command}\n".encode())
            await writer.drain()
            await reader.readline()
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


def _batches(names: Iterable[str]) -> Iterator[str]:
    """As many names with blanks between as one command takes."""
    batch = ""
    for name in names:
        if batch and len(batch) + len(name) > LONGEST_COMMAND:
            yield batch
            batch = ""
        batch = f"{batch} {name}" if batch else name
    if batch:
        yield batch
