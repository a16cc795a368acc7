"""The store of ``host-local``, read side: which address is held by which container.

    STORE/NETWORK/10.11.0.5     content: CONTAINER CR LF INTERFACE

Names that are no address (``lock``, ``last_reserved_ip.0``) are the plugin's own. Nothing
is locked: a reader that held the lock would make every attach wait, and a lease that comes
or goes meanwhile brings its own inotify event. An owner is read once and again only when
the file changed, since a segment may hold a thousand of them.
"""

import ipaddress
import os
from collections.abc import Iterator
from pathlib import Path

from workers.report import Lease

RESERVED = "netadmin:reserved:"
"""A container id that starts so is a reservation of ours, not a lease."""


class Store:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._read: dict[str, tuple[int, Lease]] = {}

    def networks(self) -> list[Path]:
        """One directory per network that ever had a lease."""
        try:
            return sorted(Path(entry.path) for entry in os.scandir(self.directory) if entry.is_dir())
        except FileNotFoundError:
            return []

    def leases(self) -> tuple[Lease, ...]:
        """Every lease, by network and then by address."""
        known, self._read = self._read, {}
        for network in self.networks():
            for path, changed in _addresses(network):
                before = known.get(path)
                if before and before[0] == changed:
                    self._read[path] = before
                elif lease := _lease(network.name, path):
                    self._read[path] = (changed, lease)
        return tuple(lease for _, lease in sorted(self._read.values(), key=lambda item: _order(item[1])))


def _addresses(network: Path) -> Iterator[tuple[str, int]]:
    try:
        entries = list(os.scandir(network))
    except FileNotFoundError:
        return
    for entry in entries:
        if _is_address(entry.name):
            try:
                yield entry.path, entry.stat().st_mtime_ns
            except FileNotFoundError:
                continue  # given back between the two calls


def _lease(network: str, path: str) -> Lease | None:
    try:
        text = Path(path).read_text(errors="replace").replace("\0", "")  # as a power cut may leave it
    except FileNotFoundError:
        return None  # given back meanwhile
    container, _, interface = text.strip().partition("\n")
    if container.startswith(RESERVED):
        return None
    return Lease(network, os.path.basename(path), container.strip(), interface.strip())


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _order(lease: Lease) -> tuple[str, int, int]:
    address = ipaddress.ip_address(lease.address)
    return lease.network, address.version, int(address)
