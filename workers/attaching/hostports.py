"""The host ports of a node: who has which, and the nftables table that carries them out.

    claim   before ADD: a port has one holder, and a second one is told who it is
    put     behind ADD: elements in, in one transaction; ports that lead there no more are for others then
    free    before DEL: elements out
    keep    somebody changed a ruleset: what is missing is put back

``settle`` makes the kernel forget UDP connections that lead elsewhere (``conntrack``), behind the
answer to the caller: it walks the kernel's whole table.
"""

import logging
import threading
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from workers.attaching.entry import Entry
from workers.holdings import Attachment
from workers.kernel import addresses, conntrack, ports, tables
from workers.kernel.elements import Element, changes
from workers.kernel.messages import INET, INET6
from workers.kernel.netlink import Netlink
from workers.kernel.nft import Nft
from workers.kernel.ports import Mapped
from workers.kernel.procfs import Procfs
from workers.kernel.rulesets import Rulesets
from workers.kernel.tables import Names

Key = tuple[str, int]
"""Protocol and port of the node."""
FAMILIES = {4: INET, 6: INET6}
NOWHERE = ("", 0)
log = logging.getLogger("netadmin.attaching")


class PortTaken(Exception):
    """Another attachment of the node has the host port; says which."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The table, with all its rules, when the number of the rulesets was ``generation``."""

    elements: frozenset[Element]
    generation: int


class HostPorts:
    """For any thread."""

    def __init__(self, main_table: str) -> None:
        """``main_table``: name of the worker's firewall table, beside which this one stands."""
        self.table = ports.name(main_table)
        self._nft = Nft()
        self._rulesets = Rulesets()
        self._procfs = Procfs()
        self._holders: dict[Key, Attachment] = {}
        self._mapped: dict[str, frozenset[Element]] = {}
        """By attachment."""
        self._seen: Seen | None = None
        """None: it has to be looked at."""
        self._lock = threading.RLock()

    def claim(self, attachment: Attachment) -> None:
        """Hold its host ports, beside those that are mapped to it; raises PortTaken, and then no more than
        before."""
        keys = _keys(attachment)
        with self._lock:
            for key in keys:
                holder = self._holders.get(key)
                if holder and holder.id != attachment.id:
                    protocol, number = key
                    who = f"{holder.service} {holder.resource}"
                    raise PortTaken(f"host port {number}/{protocol} of this node belongs to {who}")
            if attachment.id not in self._mapped:
                self._give_back(attachment.id)
            self._holders.update(dict.fromkeys(keys, attachment))

    def restore(self, entry: Entry) -> None:
        """Hold the ports of an attachment that an earlier process made, and map them with the next
        ``keep``; raises PortTaken."""
        self.claim(entry.attachment)
        if mapped := _mapped(entry):
            self._mapped[entry.attachment.id] = ports.elements(mapped)

    def put(self, entry: Entry) -> None:
        """Map the host ports of an attachment to the addresses it has now, and none else; raises NftError,
        OSError."""
        elements = ports.elements(_mapped(entry))
        with self._lock:
            before = self._mapped.pop(entry.attachment.id, frozenset())
            if elements:
                self._mapped[entry.attachment.id] = elements
            if elements or before:
                self._carry_out()
            self._give_back(entry.attachment.id, but=_keys(entry.attachment))
        self.let_loopback_in(entry)

    def maps(self, entry: Entry) -> bool:
        """Whether its host ports are mapped to where it is."""
        with self._lock:
            return self._mapped.get(entry.attachment.id, frozenset()) == ports.elements(_mapped(entry))

    def let_loopback_in(self, entry: Entry) -> None:
        """Its device takes what the node sends from 127.0.0.1; a bridge that was made anew does not. Raises
        OSError."""
        devices = {one.device for one in _mapped(entry) if one.device and one.container.version == 4}
        for device in devices:
            self._turn(device, "0", "1")

    def unmap(self, key: str) -> None:
        """Map nothing to an attachment any more, which keeps its ports; raises NftError, OSError."""
        with self._lock:
            if self._mapped.pop(key, ()):
                self._carry_out()

    def free(self, key: str) -> None:
        """Let others have the ports of an attachment; raises NftError, OSError."""
        with self._lock:
            self.unmap(key)
            self._give_back(key)

    def keep(self) -> bool:
        """Look at the table, and put right what is not as it must be; whether something was not.

        Raises NftError, OSError. Costs nothing when no ruleset changed.
        """
        with self._lock:
            generation = self._rulesets.generation()
            if self._seen and self._seen.generation == generation:
                return False
            wanted = self._wanted()
            changed = self._put_right(ports.names(wanted))
            self._seen = Seen(wanted, generation + changed)
            return changed and bool(wanted)

    def settle(self, entry: Entry) -> None:
        """Forget UDP connections to its host ports that do not lead to it; raises OSError."""
        _forget((one, (str(one.container.ip), one.port)) for one in _udp(entry))

    def unsettle(self, entry: Entry, now: Entry | None = None) -> None:
        """Forget UDP connections that led to its host ports, but for those that it has ``now``; raises
        OSError."""
        has = {(one.host_port, one.container.version) for one in _udp(now)} if now else set()
        _forget((one, NOWHERE) for one in _udp(entry) if (one.host_port, one.container.version) not in has)

    def close(self) -> None:
        self._nft.close()
        self._rulesets.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _wanted(self) -> frozenset[Element]:
        return frozenset().union(*self._mapped.values())

    def _give_back(self, key: str, but: Collection[Key] = ()) -> None:
        self._holders = {
            port: holder for port, holder in self._holders.items() if holder.id != key or port in but
        }

    def _turn(self, device: str, was: str, now: str) -> None:
        """The switch that lets packets from and to 127.0.0.0/8 pass the device; raises OSError."""
        switch = f"net/ipv4/conf/{device}/route_localnet"
        with suppress(FileNotFoundError):  # the device went with its container
            if self._procfs.read(switch) == was:
                self._procfs.write(switch, now)

    def _shut(self, gone: Names) -> None:
        """Devices that lead to no host port any more, before their guard goes. Raises OSError."""
        for device in ports.guarded(gone):
            self._turn(device, "1", "0")

    def _carry_out(self) -> None:
        """By the elements that differ, as long as nobody else touched a ruleset; else by a look."""
        wanted = self._wanted()
        seen, self._seen = self._seen, None  # and so it stays when the kernel refuses
        if seen and seen.elements and wanted:
            self._shut(ports.names(seen.elements - wanted))
            todo = changes(self.table, seen.elements, wanted)
            if self._rulesets.commit(seen.generation, todo):
                self._seen = Seen(wanted, seen.generation + bool(todo))
        if self._seen is None:
            self.keep()

    def _put_right(self, wanted: Names) -> bool:
        """Make the table what it must be, whatever it is; whether it was not."""
        listing = self._nft.listing(self.table)
        self._shut(tables.parse(listing).elements - wanted)
        if not wanted:
            if listing:
                self._nft.remove(self.table)
            return bool(listing)
        rules = tables.parse(self._nft.canonical(self.table, ports.rules(self.table)))
        return self._nft.bring(self.table, rules.holding(wanted))


def _mapped(entry: Entry) -> tuple[Mapped, ...]:
    if entry.by_plugins:
        return ()
    return tuple(
        Mapped(port.protocol, port.host_port, port.port, container, entry.device)
        for port in entry.attachment.expose
        if port.host_port
        for container in entry.addresses
    )


def _udp(entry: Entry) -> list[Mapped]:
    return [one for one in _mapped(entry) if one.protocol == "udp"]


def _keys(attachment: Attachment) -> list[Key]:
    return [(port.protocol, port.host_port) for port in attachment.expose if port.host_port]


def _forget(connections: Iterable[tuple[Mapped, tuple[str, int]]]) -> None:
    pairs = list(connections)
    local = _local() if pairs else set()
    for one, served_by in pairs:
        family = FAMILIES[one.container.version]
        conntrack.forget(family, one.protocol, one.host_port, served_by, local)


def _local() -> set[str]:
    """Addresses of the node."""
    with Netlink() as netlink:
        held = [addresses.decode(body)[1] for body in netlink.dump(addresses.DUMP)]
    return {one.address.partition("/")[0] for one in held}
