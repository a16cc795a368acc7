"""Reservations in the IPAM store: addresses that no plugin hands out, since a file of ours is in the way.

    wanted + entries -> missing, surplus, taken by others
        missing   STORE/.netadmin/N   written, synced -> lock -> linked as STORE/NETWORK/ADDRESS
        surplus   lock -> read again -> unlinked

A link makes a file that is whole, and fails where there is one: a kill at any point leaves no address
half taken. All that takes time happens before the lock, and with it for no more than BATCH links: a
plugin waits for milliseconds. Who has an address cannot always be read: nobody else gets it then, and the
rest is held all the same.
"""

import ipaddress
import logging
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from workers import files
from workers.cni.store import OURS, RESERVED, Entry, IPAddress, Store, StoreBusy, locked, read
from workers.holdings import Declined, Reservation

BATCH = 256
log = logging.getLogger("netadmin.attaching")
T = TypeVar("T")

Place = tuple[str, IPAddress]
"""Network and address."""


@dataclass(frozen=True, slots=True)
class Held:
    """What became of reservations; all others are held."""

    declined: tuple[Declined, ...] = ()
    troubles: Mapping[str, str] = field(default_factory=dict)
    """Why some could not be held or dropped now, a sentence by network; to be tried again."""


@dataclass(slots=True)
class _Todo:
    """What has to change in the store of one network."""

    drop: list[Entry] = field(default_factory=list)
    make: list[tuple[IPAddress, str]] = field(default_factory=list)


class Reserving:
    """For one thread."""

    def __init__(self, directory: Path) -> None:
        self._store = Store(directory)
        self._told: set[str] = set()
        """Paths that could not be read."""

    def hold(self, wanted: Iterable[Reservation]) -> Held:
        """Make the store hold these reservations, and no others of ours. Safe to repeat at any time; when
        all is so already, it reads the names of the store and writes nothing."""
        places = {(one.network, ipaddress.ip_address(one.address)): one.id for one in wanted}
        entries = self._taken()
        todo = _todo(places, entries)
        troubles = self._unread({network for network, _ in places})
        for network, changes in sorted(todo.items()):
            try:
                self._change(network, changes)
            except (OSError, StoreBusy) as error:
                troubles[network] = str(error)
        if todo:
            entries = self._taken()
        return Held(_declined(places, entries), troubles)

    def _taken(self) -> dict[Place, Entry]:
        entries = {(entry.network, entry.address): entry for entry in self._store.taken()}
        for path in self._store.unread.keys() - self._told:
            log.error(
                "%s: cannot be read (%s); what is there counts as taken", path, self._store.unread[path]
            )
        self._told = set(self._store.unread)
        return entries

    def _unread(self, networks: Iterable[str]) -> dict[str, str]:
        """Those of these networks that cannot be looked into, with why."""
        paths = {network: str(self._store.directory / network) for network in networks}
        return {
            network: f"{path}: {why}"
            for network, path in paths.items()
            if (why := self._store.unread.get(path))
        }

    def _change(self, network: str, todo: _Todo) -> None:
        """Raises OSError or StoreBusy; what was done so far stays."""
        store, scratch = self._store.directory / network, self._store.directory / OURS
        store.mkdir(parents=True, exist_ok=True)
        scratch.mkdir(mode=0o700, exist_ok=True)
        for drop in _batches(todo.drop):
            with locked(store):
                for entry in drop:
                    _drop(entry)
        for make in _batches(todo.make):
            _make(make, store, scratch)
        files.sync(store)


def _todo(wanted: dict[Place, str], entries: dict[Place, Entry]) -> dict[str, _Todo]:
    """By network."""
    todo: dict[str, _Todo] = defaultdict(_Todo)
    for place, entry in entries.items():
        if entry.reserved and entry.reserved != wanted.get(place):
            todo[entry.network].drop.append(entry)
    for (network, address), key in wanted.items():
        there = entries.get((network, address))
        if there is None or (there.reserved and there.reserved != key):
            todo[network].make.append((address, key))
    return dict(todo)


def _drop(entry: Entry) -> None:
    """Under the lock: what somebody put in its place meanwhile stays."""
    now = read(entry.path, entry.network, entry.address)
    if now and now.reserved == entry.reserved:
        os.unlink(entry.path)


def _make(made: Sequence[tuple[IPAddress, str]], store: Path, scratch: Path) -> None:
    unnamed = [scratch / str(number) for number in range(len(made))]
    for file, (_, key) in zip(unnamed, made, strict=True):
        _write(file, key)
    with locked(store):
        for file, (address, _) in zip(unnamed, made, strict=True):
            try:
                os.link(file, store / str(address))
            except FileExistsError:
                continue  # a plugin was faster; it is told as declined
    for file in unnamed:
        file.unlink()


def _write(path: Path, key: str) -> None:
    """A new file in the form of a lease (libcni: id, CR LF, interface).

    What a killed worker left of that name is another name of a reservation: never written over.
    """
    path.unlink(missing_ok=True)
    with open(path, "xb") as file:
        file.write(f"{RESERVED}{key}\r\n-".encode())
        file.flush()
        os.fsync(file.fileno())


def _declined(wanted: dict[Place, str], entries: dict[Place, Entry]) -> tuple[Declined, ...]:
    return tuple(
        Declined(key, entries[place].container)
        for place, key in wanted.items()
        if place in entries and not entries[place].reserved
    )


def _batches(items: Sequence[T]) -> Iterable[Sequence[T]]:
    return (items[start : start + BATCH] for start in range(0, len(items), BATCH))
