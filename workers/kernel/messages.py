"""The wire format of rtnetlink: a header, a fixed part, attributes.

    nlmsghdr | ifinfomsg / ifaddrmsg / rtmsg | attribute | attribute | ...

Pure: bytes in, bytes out. Sources: RFC 3549, netlink(7), rtnetlink(7) and the kernel's
include/uapi/linux/{netlink,rtnetlink,if_link,if_addr}.h.
"""

import ipaddress
import socket
import struct
from collections.abc import Callable
from enum import IntEnum, IntFlag
from typing import NamedTuple

HEADER = struct.Struct("=IHHII")
"""nlmsghdr: length, type, flags, sequence number, port id."""
LINK_HEADER = struct.Struct("=BxHiII")
"""ifinfomsg: family, type, index, flags, mask of flags to change."""
ADDRESS_HEADER = struct.Struct("=BBBBI")
"""ifaddrmsg: family, prefix length, flags, scope, index."""
ROUTE_HEADER = struct.Struct("=BBBBBBBBI")
"""rtmsg: family, length of dst, length of src, tos, table, protocol, scope, type, flags."""

INET, INET6 = 2, 10
IndexOf = Callable[[str], int]
"""Finds the number of a device by its name, as addresses and routes name devices."""


class Type(IntEnum):
    ERROR = 2
    DONE = 3
    NEWLINK = 16
    DELLINK = 17
    GETLINK = 18
    NEWADDR = 20
    DELADDR = 21
    GETADDR = 22
    NEWROUTE = 24
    DELROUTE = 25
    GETROUTE = 26
    GETNEIGH = 30
    GETRULE = 34
    GETNSID = 90


class Flag(IntFlag):
    REQUEST = 0x1
    DUMP = 0x300
    REPLACE = 0x100
    EXCL = 0x200
    CREATE = 0x400


REQUEST = int(Flag.REQUEST)


class Request(NamedTuple):
    """One message but for its sequence number, which the door gives it."""

    type: IntEnum
    """A ``Type``, or what another protocol of netlink knows."""
    flags: int
    """Of ``Flag``, but for REQUEST."""
    body: bytes

    def bytes(self, sequence: int) -> bytes:
        kind, flags, body = self
        return HEADER.pack(HEADER.size + len(body), kind, flags | REQUEST, sequence, 0) + body


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def nested(kind: int, value: bytes) -> bytes:
    """An attribute that holds others (NLA_F_NESTED)."""
    return attribute(kind | 0x8000, value)


def number(kind: int, value: int) -> bytes:
    """An attribute that holds an unsigned 32 bit number."""
    return struct.pack("=HHI", 8, kind, value)


def text(kind: int, value: str) -> bytes:
    """An attribute that holds a string with its final zero."""
    return attribute(kind, value.encode() + b"\0")


def attributes(body: bytes, start: int) -> dict[int, bytes]:
    """The attributes of ``body`` from offset ``start`` on, by kind; of several the last."""
    found = {}
    end = len(body)
    while start + 4 <= end:
        length, kind = struct.unpack_from("=HH", body, start)
        if length < 4:
            break
        found[kind & 0x3FFF] = body[start + 4 : start + length]
        start += (length + 3) & ~3
    return found


def to_number(value: bytes) -> int:
    return int(struct.unpack("=I", value)[0])


def to_text(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="replace")


def packed(address: str) -> bytes:
    """4 or 16 bytes in network order."""
    return socket.inet_pton(INET6 if ":" in address else INET, address)


def unpacked(value: bytes) -> str:
    """The address in the form the kernel and everybody else writes."""
    if len(value) == 4:
        return ".".join(map(str, value))
    return str(ipaddress.IPv6Address(value))


def family(address: str) -> int:
    """Address family of an address or a CIDR."""
    return INET6 if ":" in address else INET
