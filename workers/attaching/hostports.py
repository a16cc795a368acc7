"""The host ports of a node: who has which, and the nftables table that carries them out.

    claim   before ADD: a port has one holder, and a second one is told who it is
    put     behind ADD: elements in, in one transaction
    free    before DEL: elements out
    keep    somebody changed a ruleset: what is missing is put back

``settle`` makes the kernel forget UDP connections that lead elsewhere (``conntrack``), behind the
answer to the caller: it walks the kernel's whole table.
"""

import logging
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from workers.attaching.entry import Entry
from workers.holdings import Attachment
from workers.kernel import addresses, conntrack, ports
from workers.kernel.messages import INET, INET6
from workers.kernel.netlink import Netlink
from workers.kernel.nft import Nft
from workers.kernel.ports import Elements, Mapped
from workers.kernel.procfs import Procfs

Key = tuple[str, int]
"""Protocol and port of the node."""
FAMILIES = {4: INET, 6: INET6}
NOWHERE = ("", 0)
UNKNOWN = -1
"""No generation of a ruleset: the table has to be looked at."""
log = logging.getLogger("netadmin.attaching")


class PortTaken(Exception):
    """Another attachment of the node has the host port; says which."""


class HostPorts:
    """For any thread."""

    def __init__(self, main_table: str) -> None:
        """``main_table``: name of the worker's firewall table, beside which this one stands."""
        self.table = ports.name(main_table)
        self._nft = Nft()
        self._procfs = Procfs()
        self._holders: dict[Key, Attachment] = {}
        self._mapped: dict[str, tuple[Mapped, ...]] = {}
        self._present: Elements = {}
        self._generation = UNKNOWN
        """Of the rulesets when the table was as ``_present`` says."""
        self._lock = threading.RLock()

    def claim(self, attachment: Attachment) -> None:
        """Hold its host ports, and no others any more; raises PortTaken, and then none of them."""
        keys = [(port.protocol, port.host_port) for port in attachment.expose if port.host_port]
        with self._lock:
            for key in keys:
                holder = self._holders.get(key)
                if holder and holder.id != attachment.id:
                    protocol, number = key
                    who = f"{holder.service} {holder.resource}"
                    raise PortTaken(f"host port {number}/{protocol} of this node belongs to {who}")
            self._give_back(attachment.id)
            self._holders.update(dict.fromkeys(keys, attachment))

    def restore(self, entry: Entry) -> None:
        """Hold the ports of an attachment that an earlier process made, and map them with the next
        ``keep``; raises PortTaken."""
        self.claim(entry.attachment)
        if mapped := _mapped(entry):
            self._mapped[entry.attachment.id] = mapped

    def put(self, entry: Entry) -> None:
        """Map the host ports of an attachment to the addresses it has now, and none else; raises NftError,
        OSError."""
        mapped = _mapped(entry)
        with self._lock:
            before = self._mapped.pop(entry.attachment.id, ())
            if mapped:
                self._mapped[entry.attachment.id] = mapped
            if mapped or before:
                self._carry_out()
        for bridge in {one.bridge for one in mapped if one.bridge and one.container.version == 4}:
            self._procfs.write(f"net/ipv4/conf/{bridge}/route_localnet", "1")

    def unmap(self, key: str) -> None:
        """Map nothing to an attachment any more, which keeps its ports; raises NftError."""
        with self._lock:
            if self._mapped.pop(key, ()):
                self._carry_out()

    def free(self, key: str) -> None:
        """Let others have the ports of an attachment; raises NftError."""
        with self._lock:
            self.unmap(key)
            self._give_back(key)

    def keep(self) -> bool:
        """Look at the table, and put right what is not as it must be; whether something was not.

        Raises NftError. Costs nothing when no ruleset changed.
        """
        with self._lock:
            generation = self._nft.generation()
            if generation == self._generation:
                return False
            wanted = ports.elements(self._all())
            if not self._look():
                if wanted:
                    self._nft.replace(self.table, ports.whole(self.table, wanted))
            elif not wanted:
                self._nft.remove(self.table)
            elif todo := ports.changes(self.table, self._present, wanted):
                self._nft.carry_out(todo)
            else:
                self._present, self._generation = wanted, generation
                return False
            self._present, self._generation = wanted, generation + 1
            return bool(wanted)

    def settle(self, entry: Entry) -> None:
        """Forget UDP connections to its host ports that do not lead to it; raises OSError."""
        mapped = [one for one in self._mapped.get(entry.attachment.id, ()) if one.protocol == "udp"]
        _forget((one, (str(one.container.ip), one.port)) for one in mapped)

    def unsettle(self, entry: Entry) -> None:
        """Forget UDP connections that led to its host ports; raises OSError."""
        _forget((one, NOWHERE) for one in _mapped(entry) if one.protocol == "udp")

    def close(self) -> None:
        self._nft.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _all(self) -> list[Mapped]:
        return [one for mapped in self._mapped.values() for one in mapped]

    def _give_back(self, key: str) -> None:
        self._holders = {port: holder for port, holder in self._holders.items() if holder.id != key}

    def _carry_out(self) -> None:
        """By the elements that differ, as long as nobody else touched a ruleset.

        A transaction adds one to the generation, so what others do meanwhile leads to a look.
        """
        wanted = ports.elements(self._all())
        if self._present and wanted and self._nft.generation() == self._generation:
            if todo := ports.changes(self.table, self._present, wanted):
                self._nft.carry_out(todo)
                self._present, self._generation = wanted, self._generation + 1
        else:
            self._generation = UNKNOWN
            self.keep()

    def _look(self) -> bool:
        """Read the table; whether it is there with its rules."""
        listing = self._nft.listing(self.table)
        ruleset = ports.parse(listing)
        self._present = ruleset.elements
        return bool(listing) and ruleset.rules == self._nft.canonical(self.table, ports.whole(self.table, {}))


def _mapped(entry: Entry) -> tuple[Mapped, ...]:
    if entry.by_plugins:
        return ()
    return tuple(
        Mapped(port.protocol, port.host_port, port.port, container, entry.bridge)
        for port in entry.attachment.expose
        if port.host_port
        for container in entry.addresses
    )


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
