"""The store of ``host-local``: which address is held by which container.

    STORE/NETWORK/10.11.0.5     content: CONTAINER CR LF INTERFACE

Names that are no address (``lock``, ``last_reserved_ip.0``) are the plugin's own. A reader locks
nothing: one that held the lock would make every attach wait, and a lease that comes or goes
meanwhile brings its own inotify event. An owner is read once and again only when the file
changed, since a segment may hold a thousand of them; one that is empty is still being written, and the
clock of a file system may not tell that apart. Who writes holds the plugin's own lock,
``STORE/NETWORK/lock``, by flock(2): without it a plugin would not notice.

What cannot be read hides nothing else, and its address is taken: a plugin hands none out that has a name
there, whatever has it.
"""

import errno
import fcntl
import ipaddress
import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from workers.report import Lease

RESERVED = "netadmin:reserved:"
"""A container id that starts so is a reservation of ours, not a lease; no runtime makes such an id."""
OURS = ".netadmin"
"""Directory in the store where files are made; no network can have that name."""
WRITING = 1.0
"""Seconds: a plugin makes the file of a lease and writes into it at once."""
PATIENCE = 2.0
"""Seconds for the lock: the plugin holds it for milliseconds."""
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class StoreBusy(Exception):
    """Somebody holds the lock of a network's store and does not let go; says which."""


class Entry(NamedTuple):
    """One file of the store, a lease or a reservation of ours."""

    network: str
    address: IPAddress
    container: str
    interface: str
    path: str
    written: int
    """Nanoseconds since 1970."""
    inode: int
    unread: bool = False
    """It cannot be read now, and this is how it was read last; without a container: never."""

    @property
    def reserved(self) -> str:
        """The id of the reservation; empty: it is a lease."""
        return self.container.removeprefix(RESERVED) if self.container.startswith(RESERVED) else ""

    @property
    def lease(self) -> Lease:
        return Lease(self.network, str(self.address), self.container, self.interface)


class Store:
    """For one thread."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.unread: dict[str, str] = {}
        """Why, by the path of each lease and of each network that could not be read at the last look."""
        self._read: dict[str, Entry] = {}

    def networks(self) -> list[Path]:
        """One directory per network that ever had a lease."""
        return [place for place in self._places() if os.path.isdir(place)]

    def entries(self) -> list[Entry]:
        """All that is held and can be read, by network and then by address."""
        return [entry for entry in self.taken() if not entry.unread]

    def taken(self) -> list[Entry]:
        """All that is held, also what cannot be read."""
        known, self._read, self.unread = self._read, {}, {}
        for network in self._places():
            self._read |= {entry.path: entry for entry in self._of(network, known)}
        return sorted(
            self._read.values(), key=lambda one: (one.network, one.address.version, int(one.address))
        )

    def _places(self) -> list[Path]:
        """The same with those of which that cannot be said."""
        try:
            found = [entry for entry in os.scandir(self.directory) if _is_network(entry)]
        except FileNotFoundError:
            return []
        return sorted(Path(entry.path) for entry in found)

    def _of(self, network: Path, known: Mapping[str, Entry]) -> Iterator[Entry]:
        """All that is held in a network; ``known``: what was at the last look, by path."""
        try:
            files = list(_addresses(network))
        except OSError as error:
            self.unread[str(network)] = str(error.strerror)
            yield from (one._replace(unread=True) for one in known.values() if one.network == network.name)
            return
        for file, address in files:
            before = known.get(file.path)
            try:
                now = _now(file, network.name, address, before)
            except OSError as error:
                self.unread[file.path] = str(error.strerror)
                never = Entry(network.name, address, "", "", file.path, 0, 0)
                now = (before or never)._replace(unread=True)
            if now:
                yield now

    def leases(self) -> tuple[Lease, ...]:
        """Every lease of a container, by network and then by address."""
        return tuple(entry.lease for entry in self.taken() if not entry.reserved)

    def settled(self) -> tuple[Lease, ...]:
        """The same without those whose owner a plugin is just writing, which is heard of as a change then.
        One that stays without an owner for WRITING is told as it is."""
        young = time.time_ns() - int(WRITING * 1e9)
        return tuple(
            entry.lease
            for entry in self.taken()
            if not entry.reserved and (entry.container or entry.written < young)
        )


@contextmanager
def locked(network: Path) -> Iterator[None]:
    """The plugin's own lock of a network: nothing is handed out or given back meanwhile.

    Raises StoreBusy, and OSError where there is no store.
    """
    descriptor = os.open(network / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o750)
    try:
        _wait_for(descriptor, network)
        yield
    finally:
        os.close(descriptor)


def _wait_for(descriptor: int, network: Path) -> None:
    """flock(2) knows no time-out, and who waits for ever would be as bad as who holds it so long."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                why = f"somebody has held it for {PATIENCE:g} s, so no container can be attached"
                raise StoreBusy(f"{network}/lock: {why}. See who: lslocks, fuser {network}/lock") from None
            time.sleep(0.002)


def read(path: str, network: str, address: IPAddress) -> Entry | None:
    """Who has an address; None: nobody any more. Raises OSError."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            status, text = os.fstat(file.fileno()), file.read()
    except FileNotFoundError:
        return None
    container, _, interface = text.replace("\0", "").strip().partition("\n")  # NUL: after a power cut
    return Entry(
        network, address, container.strip(), interface.strip(), path, status.st_mtime_ns, status.st_ino
    )


def _is_network(entry: os.DirEntry[str]) -> bool:
    """Or may be, which whoever looks into it learns. What is no text is no name of one, and could not be told
    on."""
    try:
        return entry.name != OURS and entry.name.isprintable() and entry.is_dir()
    except OSError:
        return True


def _addresses(network: Path) -> Iterator[tuple[os.DirEntry[str], IPAddress]]:
    """All names that are an address. Raises OSError."""
    try:
        entries = list(os.scandir(network))
    except FileNotFoundError:
        return
    for entry in entries:
        if (address := _address(entry.name)) is not None:
            yield entry, address


def _now(file: os.DirEntry[str], network: str, address: IPAddress, before: Entry | None) -> Entry | None:
    """Who has an address, as it was ``before`` or read again; None: nobody any more. Raises OSError."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return None  # given back meanwhile
    if not stat.S_ISREG(status.st_mode):  # opening it could last for ever
        raise OSError(errno.EINVAL, "is no file")
    if before is None or not before.container or before.unread:
        return read(file.path, network, address)
    same = (before.written, before.inode) == (status.st_mtime_ns, status.st_ino)
    return before if same else read(file.path, network, address)


def _address(name: str) -> IPAddress | None:
    """None for the plugin's own files."""
    if not name[0].isdigit() and ":" not in name:
        return None
    if not name.isprintable():  # a zone of IPv6 may be any text
        return None
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
