"""What is there of an attachment, seen by ourselves: no process, some system calls.

    inside   the interface, up, with its MAC and addresses   | attach again
    outside  its other end, up, a port of the bridge         | set right on the spot
             (what else the plugins made on the node is theirs)
    store    a lease for each address in the attachment's name | attach again

The plugins' CHECK sees none of: the other end down, the bridge down, an address of another lease.
"""

import errno
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

from workers.attaching.entry import Entry
from workers.changes import Verb
from workers.cni.store import Store
from workers.kernel import addresses, links, namespaces
from workers.kernel.links import Up
from workers.kernel.messages import (
    LINK_HEADER,
    Flag,
    Request,
    Type,
    attribute,
    attributes,
    nested,
    number,
    text,
    to_number,
    to_text,
)
from workers.kernel.netlink import Netlink, NetlinkError

MASTER = 10
"""IFLA_MASTER (linux/if_link.h): the number of the bridge that a device is a port of."""
LINKINFO, SLAVE_KIND, SLAVE_DATA, HAIRPIN = 18, 4, 5, 4
"""IFLA_LINKINFO, in it IFLA_INFO_SLAVE_KIND and IFLA_INFO_SLAVE_DATA, in that IFLA_BRPORT_MODE: whether a
packet may leave a bridge by the port that it came from."""
LINK_NETNSID = 37
"""IFLA_LINK_NETNSID: the namespace of the device behind it, where that is another one."""
LOWER_UP = 0x10000
"""IFF_LOWER_UP (linux/if.h): there is a carrier."""
STORE = "/var/lib/cni/networks"
"""dataDir of host-local where a list gives none."""


@dataclass(frozen=True, slots=True)
class Device:
    """A network device as the kernel has it."""

    index: int
    up: bool
    mac: str
    master: int
    hairpin: bool = False
    is_end: bool = False
    """It is the node's end of a veth whose other end is in another namespace."""
    addresses: tuple[str, ...] = ()
    """With prefix length."""


def inside(descriptor: int, interface: str) -> Device | None:
    """The interface in the namespace, with its addresses; None: there is none. Raises OSError."""

    with namespaces.opened_in(descriptor) as netlink:
        there = device(netlink, interface)
        if there is None:
            return None
        held = (addresses.decode(one) for one in netlink.dump(addresses.DUMP))
        return replace(there, addresses=tuple(one.address for at, one in held if at == there.index))


def device(netlink: Netlink, name: str) -> Device | None:
    """A device of the namespace that the socket belongs to, without its addresses; None: there is none."""
    body = LINK_HEADER.pack(0, 0, 0, 0, 0) + text(links.IFNAME, name)
    try:
        answer = netlink.ask(Request(Type.GETLINK, Flag(0), body))
    except NetlinkError as error:
        if error.errno != errno.ENODEV:
            raise
        return None
    _, _, index, flags, _ = LINK_HEADER.unpack_from(answer)
    found = attributes(answer, LINK_HEADER.size)
    mac = found.get(links.ADDRESS, b"").hex(":")
    master = to_number(found.get(MASTER, bytes(4)))
    up = bool(flags & links.IFF_UP)
    return Device(index, up, mac, master, _is_hairpin(found), _is_end(found))


def _is_end(found: dict[int, bytes]) -> bool:
    """Its MAC does not tell: others on the node may give it another one, as systemd-udevd does."""
    kind = attributes(found.get(LINKINFO, b""), 0).get(links.INFO_KIND, b"")
    return to_text(kind) == "veth" and LINK_NETNSID in found


def _is_hairpin(found: dict[int, bytes]) -> bool:
    data = attributes(attributes(found.get(LINKINFO, b""), 0).get(SLAVE_DATA, b""), 0)
    return data.get(HAIRPIN, b"\0")[:1] == b"\1"


def amiss_inside(entry: Entry, descriptor: int) -> str:
    """What is wrong in the namespace; empty: nothing."""
    there, name = inside(descriptor, entry.attachment.interface), entry.attachment.interface
    if there is None:
        return f"interface {name} is no longer in the namespace"
    if entry.mac and there.mac != entry.mac:
        return f"interface {name} is another one, with MAC {there.mac} in place of {entry.mac}"
    if not there.up:
        return f"interface {name} is down"
    has = {ip_interface(one).ip for one in there.addresses}
    lost = [str(one.ip) for one in entry.addresses if one.ip not in has]
    return f"interface {name} has lost {' and '.join(lost)}" if lost else ""


def amiss_in_store(entry: Entry) -> str:
    """The first address whose lease is gone or somebody else's; empty: all are there."""
    for address, path in leases(entry):
        holder = _holder(path)
        if holder is None:
            return f"the lease of {address} is gone"
        if holder != entry.attachment.id:
            return f"the lease of {address} is held by {holder or 'nobody'}"
    return ""


def is_made(entry: Entry, there: Device) -> bool:
    """Whether an interface of the name, in a namespace of the number, is what ADD made, or began to: both may
    have been given to another one since. It has the MAC, or, as somebody may have changed that, and an ADD
    that was interrupted told none, an address that is leased to the attachment."""
    if entry.mac and there.mac == entry.mac:
        return True
    has = [str(ip_interface(one).ip) for one in there.addresses]
    files = (store / entry.attachment.network / address for store in _stores(entry) for address in has)
    return any(_holder(path) == entry.attachment.id for path in files)


def may_be_left(entry: Entry) -> bool:
    """Whether the interface may still be somewhere: with one end of a veth the other one goes."""
    with Netlink() as netlink:
        return not entry.ends or any(device(netlink, name) for name in entry.ends)


def mend_outside(entry: Entry) -> tuple[str, ...]:
    """Set the node's end right; what was wrong. Raises OSError when it cannot be."""
    with Netlink() as netlink:
        bridge = device(netlink, entry.bridge) if entry.bridge else None
        wrong = list(_outside(entry, netlink, bridge.index if bridge else 0))
        for _, request in wrong:
            for refused in netlink.send([request]):
                if refused:
                    raise refused
    return tuple(sentence for sentence, _ in wrong)


def remove_outside(entry: Entry) -> None:
    """What is left on the node of an interface whose namespace cannot be reached any more, and with it the
    interface, wherever that is. Raises OSError."""
    with Netlink() as netlink:
        for name in entry.ends:
            there = device(netlink, name)
            if there and there.is_end:
                body = LINK_HEADER.pack(0, 0, there.index, 0, 0)
                for refused in netlink.send([Request(Type.DELLINK, Flag(0), body)]):
                    if refused and refused.errno != errno.ENODEV:
                        raise refused


def held_in_store(entry: Entry) -> list[str]:
    """Addresses whose leases are in the attachment's name."""
    return [
        str(one.address)
        for store in _stores(entry)
        for one in Store(store).entries()
        if (one.network, one.container) == (entry.attachment.network, entry.attachment.id)
    ]


def leases(entry: Entry) -> Iterator[tuple[str, Path]]:
    """Address and file of each lease that host-local must have for the attachment."""
    for store in _stores(entry):
        for address in entry.addresses:
            yield str(address.ip), store / entry.attachment.network / str(address.ip)


def _stores(entry: Entry) -> Iterator[Path]:
    """Directories in which host-local keeps leases."""
    for plugin in json.loads(entry.conf)["plugins"]:
        ipam: dict[str, Any] = plugin.get("ipam", {})
        if ipam.get("type") == "host-local":
            yield Path(ipam.get("dataDir") or STORE)


def _holder(lease: Path) -> str | None:
    """Container id in the file of a lease; None: there is no such file."""
    try:
        return lease.read_text(errors="replace").partition("\n")[0].strip()
    except FileNotFoundError:
        return None


def _outside(entry: Entry, netlink: Netlink, bridge: int) -> Iterator[tuple[str, Request]]:
    for name in entry.ends:
        there = device(netlink, name)
        if there is None or not there.is_end:
            continue  # the interface is gone, which ``amiss_inside`` finds, or it is no end of one
        if bridge and there.master != bridge:
            body = LINK_HEADER.pack(0, 0, there.index, 0, 0) + number(MASTER, bridge)
            yield f"{name} was no port of {entry.bridge}", Request(Type.NEWLINK, Flag(0), body)
        if bridge and entry.reaches_itself and not (there.hairpin and there.master == bridge):
            yield f"{name} sent nothing back to where it came from", _hairpin(there.index)
        if not there.up:
            (request,) = links.encode_up(Verb.ADD, Up(name))
            yield f"{name} was down", request


def _hairpin(port: int) -> Request:
    how = attribute(SLAVE_KIND, b"bridge\0") + nested(SLAVE_DATA, attribute(HAIRPIN, b"\1"))
    return Request(Type.NEWLINK, Flag(0), LINK_HEADER.pack(0, 0, port, 0, 0) + nested(LINKINFO, how))


def name_of(event: bytes) -> str:
    """Of the device that a link event is about."""
    return to_text(attributes(event, LINK_HEADER.size).get(links.IFNAME, b""))


def is_amiss(kind: int, event: bytes) -> bool:
    """Whether a link event about the node's end of an interface is worth a look: it is gone, switched
    off, its other end is, or it is a port of no bridge."""
    flags = LINK_HEADER.unpack_from(event)[3]
    on = flags & links.IFF_UP and flags & LOWER_UP
    return kind == Type.DELLINK or not on or MASTER not in attributes(event, LINK_HEADER.size)
