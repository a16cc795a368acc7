"""The door to what lives on this machine: addresses in all network namespaces, and who is named where.

    whereabouts                     namespaces of processes, and those that are mounted
    /proc/PID/cgroup                containers by their ids
    RTM_GETNSID, IFLA_LINK_NETNSID  whether an end on the node leads to a namespace that was not found

What cannot be looked at is said and never passed over: nobody is dead because we could not look.
Sources: proc(5), namespaces(7), linux/net_namespace.h, linux/if_link.h.
"""

import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workers.host import IPAddress, address
from workers.kernel import addresses, links, namespaces, whereabouts
from workers.kernel.messages import LINK_HEADER, Flag, Request, Type, attributes, number, to_number, to_text
from workers.kernel.netlink import Netlink, NetlinkError
from workers.kernel.whereabouts import VANISHED, Hidden

RESULTS = Path("/var/lib/cni/results")
"""Where libcni keeps what it attached: NETWORK-CONTAINER-INTERFACE."""
SANDBOX = re.compile(r'"(?:sandbox|netns)":\s*"([^"]+)"')
IFLA_LINK, IFLA_MASTER, IFLA_LINK_NETNSID = 5, 10, 37
NETNSA_NSID, NETNSA_FD = 1, 3
RTGENMSG = struct.Struct("=Bxxx")
UNKNOWN = -1
NO_BRIDGE = 0
"""No device has this number."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What lives, as of one look."""

    addresses: frozenset[IPAddress]
    """On any interface of any namespace."""
    words: str
    """The control groups of all processes: a container's has its id in it."""
    blind: frozenset[str]
    """Bridges with a port whose other end cannot be told, or has no address by which to know it; empty text
    among them: an end of a veth that is no port is such a one."""


def look() -> Sight:
    """Raises Hidden, OSError."""
    found: dict[int, str] = {}
    words: set[str] = set()
    mounts: set[int] = set()
    for pid in whereabouts.processes():
        for inode, path in whereabouts.of_process(pid, mounts):
            found.setdefault(inode, path)
        words.add(_cgroup(pid))
    return _inside(found, "\n".join(words))


def is_recorded(network: str, container: str, interface: str) -> bool:
    """Whether libcni keeps a record of it that names a namespace which is there still."""
    path = RESULTS / f"{network}-{container}-{interface}"
    try:
        text = path.read_text(errors="replace")
    except FileNotFoundError:
        return False
    except OSError as error:
        raise Hidden(f"{path}: {error.strerror}") from error
    return any(os.path.exists(sandbox) for sandbox in SANDBOX.findall(text))


def _inside(found: dict[int, str], words: str) -> Sight:
    """Look into each namespace."""
    held: dict[int, set[tuple[int, IPAddress]]] = {}
    numbers: dict[int, int] = {}
    with Netlink() as netlink:
        for inode, path in found.items():
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except VANISHED:
                continue  # it ended meanwhile; one that lives on is found by another way, or not proven dead
            try:
                if os.fstat(descriptor).st_ino != inode:
                    continue  # the process has another one by now; the next look sees it
                held[inode] = _addresses(descriptor)
                numbers[_number(netlink, descriptor)] = inode
            finally:
                os.close(descriptor)
        blind = frozenset(_blind_bridges(netlink, numbers, held))
    everywhere = frozenset(one for inside in held.values() for _, one in inside)
    return Sight(everywhere, words, blind)


def _addresses(descriptor: int) -> set[tuple[int, IPAddress]]:
    """Device number and address, of each that a namespace has."""
    with namespaces.opened_in(descriptor) as netlink:
        found = [addresses.decode(body) for body in netlink.dump(addresses.DUMP)]
    return {(index, address(held.address.partition("/")[0])) for index, held in found}


def _blind_bridges(
    netlink: Netlink, numbers: dict[int, int], held: dict[int, set[tuple[int, IPAddress]]]
) -> Iterator[str]:
    names: dict[int, str] = {}
    ends: list[tuple[int, dict[int, bytes]]] = []
    for body in netlink.dump(links.DUMP):
        _, _, index, _, _ = LINK_HEADER.unpack_from(body)
        found = attributes(body, LINK_HEADER.size)
        names[index] = to_text(found[links.IFNAME])
        if IFLA_MASTER in found:
            ends.append((to_number(found[IFLA_MASTER]), found))
        elif _is_veth(found):
            ends.append((NO_BRIDGE, found))
    for bridge, found in ends:
        if IFLA_LINK_NETNSID in found and not _is_known(found, numbers, held):
            yield names.get(bridge, "")


def _is_veth(found: dict[int, bytes]) -> bool:
    """What else leads to another namespace and is no port, as a tunnel does, is no container's."""
    return to_text(attributes(found.get(links.LINKINFO, b""), 0).get(links.INFO_KIND, b"")) == "veth"


def _is_known(
    port: dict[int, bytes], numbers: dict[int, int], held: dict[int, set[tuple[int, IPAddress]]]
) -> bool:
    """Whether the other end was seen, with an address of more than its link."""
    inside = numbers.get(struct.unpack("=i", port[IFLA_LINK_NETNSID])[0])
    if inside is None:
        return False
    other = to_number(port[IFLA_LINK]) if IFLA_LINK in port else 0
    return any(index == other and not one.is_link_local for index, one in held[inside])


def _number(netlink: Netlink, descriptor: int) -> int:
    """By which number our namespace knows another one; UNKNOWN: by none."""
    body = RTGENMSG.pack(0) + number(NETNSA_FD, descriptor)
    try:
        answer = netlink.ask(Request(Type.GETNSID, Flag(0), body))
    except NetlinkError as error:
        raise Hidden(f"RTM_GETNSID: {error.strerror}") from error
    return int(struct.unpack("=i", attributes(answer, RTGENMSG.size)[NETNSA_NSID])[0])


def _cgroup(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cgroup").read_text(errors="replace")
    except VANISHED:
        return ""
    except PermissionError as error:
        raise Hidden(f"/proc/{pid}/cgroup: {error.strerror}") from error
