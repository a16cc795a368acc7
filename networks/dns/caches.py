"""Caches of PowerDNS and of its recursor forget what was changed, by their control sockets.

One connection a command; the answer says how many entries went. PowerDNS keeps an answer for the seconds
of its ``cache-ttl``, a recursor for the record's own 60: without this a change shows that much later.
(https://doc.powerdns.com/authoritative/performance.html, /recursor/manpages/rec_control.1.html)
"""

import asyncio
import logging
import struct
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

LONGEST_COMMAND = 1000
"""Bytes: well below what PowerDNS reads as one line."""
MOST_NAMES = 500
"""More of them at once, and everything is forgotten."""
PATIENCE = 1.0
"""Seconds for one command."""


@dataclass(frozen=True, slots=True)
class Program:
    """How a program is told."""

    title: str
    control: Path
    forget: str
    """The command before the names."""
    everything: str
    """The command to forget all."""
    framed: Callable[[str], bytes]


def authoritative(control: Path) -> Program:
    return Program("PowerDNS", control, "PURGE", "PURGE", lambda command: f"{command}\n".encode())


def recursor(control: Path) -> Program:
    return Program("The recursor", control, "wipe-cache", "wipe-cache $", _counted)


class Caches:
    """Of these programs, in this order: who asks another one comes after it."""

    def __init__(self, programs: Sequence[Program]) -> None:
        self._programs = programs
        self._away: set[str] = set()

    async def forget(self, names: Collection[str] | None) -> None:
        """These names, or everything; a program that does not run has nothing to forget."""
        few = None if names is None or len(names) > MOST_NAMES else sorted(name.rstrip(".") for name in names)
        for program in self._programs:
            for command in _commands(program, few):
                await self._tell(program, command)

    async def _tell(self, program: Program, command: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await _exchange(program.control, program.framed(command))
        except (OSError, TimeoutError) as error:
            if program.title not in self._away:
                log.warning("%s is not reached at %s: %s", program.title, program.control, error)
            self._away.add(program.title)
        else:
            if program.title in self._away:
                log.info("%s is reached at %s again", program.title, program.control)
            self._away.discard(program.title)


async def _exchange(control: Path, message: bytes) -> None:
    reader, writer = await asyncio.open_unix_connection(control)
    try:
        writer.write(message)
        await writer.drain()
        await reader.readline()
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def _counted(command: str) -> bytes:
    """As rec_control(1) sends it: a status, the length, the command (rec_channel.cc of 4.8)."""
    return struct.pack("=iQ", 0, len(command)) + command.encode()


def _commands(program: Program, names: Sequence[str] | None) -> Iterable[str]:
    if names is None:
        return [program.everything]
    return (f"{program.forget} {words}" for words in _batches(names))


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
