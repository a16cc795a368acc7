"""Connections that the kernel tracks towards one port of the node, and how they are forgotten.

Address translation is decided by a connection's first packet. A client that goes on sending from one
port (UDP) is one connection for ever, and would be sent to where a container was, or to nobody if it
began before there was one. The kernel filters: what is not towards the port does not come up here.
Source: linux/netfilter/nfnetlink_conntrack.h, ctnetlink_alloc_filter() (5.8 and later).
"""

import errno
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from workers.kernel import netlink
from workers.kernel.messages import HEADER, INET, INET6, Flag, Type, attribute, attributes, nested, unpacked
from workers.kernel.netlink import NetlinkError

SUBSYSTEM = 1 << 8
"""NFNL_SUBSYS_CTNETLINK, in the upper byte of a message's type."""
NEW, GET, DELETE = SUBSYSTEM | 0, SUBSYSTEM | 1, SUBSYSTEM | 2
TUPLE_ORIG, TUPLE_REPLY, STATUS, ID, ZONE, FILTER = 1, 2, 3, 12, 18, 25
TUPLE_IP, TUPLE_PROTO = 1, 2
IP_SRC, IP_DST = {INET: 1, INET6: 3}, {INET: 2, INET6: 4}
PROTO_NUM, PROTO_SRC_PORT, PROTO_DST_PORT = 1, 2, 3
FILTER_ORIG_FLAGS, FILTER_REPLY_FLAGS = 1, 2
BY_PROTOCOL, BY_DST_PORT = 1 << 3, 1 << 5
"""Which parts of the given tuple count (CTA_FILTER_F_CTA_PROTO_NUM, CTA_FILTER_F_CTA_PROTO_DST_PORT)."""
ACK = 0x4
"""NLM_F_ACK."""
NUMBERS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}


class Connection(NamedTuple):
    """One that began with a packet to the port that was asked for."""

    to: str
    """Where the client sends."""
    served_by: tuple[str, int]
    """Whose answers it gets: address and port, after translation."""
    identity: bytes
    """Attributes by which the kernel knows it again."""


def forget(family: int, protocol: str, port: int, served_by: tuple[str, int], local: set[str]) -> int:
    """Forget the connections to ``port`` that are not served by that address and port, though they were
    sent to one of the ``local`` addresses; their number. Raises OSError."""
    listener = netlink.opened(netlink.NETLINK_NETFILTER)
    try:
        found = [
            one
            for one in _dump(listener, family, NUMBERS[protocol], port)
            if one.to in local and one.served_by != served_by
        ]
        for one in found:
            _delete(listener, family, one)
    finally:
        listener.close()
    return len(found)


def _dump(listener: socket.socket, family: int, protocol: int, port: int) -> Iterator[Connection]:
    towards = attribute(PROTO_NUM, bytes([protocol])) + attribute(PROTO_DST_PORT, struct.pack(">H", port))
    body = _head(family) + nested(TUPLE_ORIG, nested(TUPLE_PROTO, towards))
    flags = struct.pack("=I", BY_PROTOCOL | BY_DST_PORT)
    body += nested(FILTER, attribute(FILTER_ORIG_FLAGS, flags) + attribute(FILTER_REPLY_FLAGS, bytes(4)))
    for kind, answer in _exchange(listener, GET, Flag.REQUEST | Flag.DUMP, body):
        if kind == NEW:
            yield _connection(family, attributes(answer, 4))


def _delete(listener: socket.socket, family: int, connection: Connection) -> None:
    """One that ended meanwhile is as good as forgotten."""
    try:
        for _ in _exchange(listener, DELETE, Flag.REQUEST | ACK, _head(family) + connection.identity):
            pass
    except NetlinkError as error:
        if error.errno != errno.ENOENT:
            raise


def _exchange(listener: socket.socket, kind: int, flags: int, body: bytes) -> Iterator[tuple[int, bytes]]:
    listener.send(HEADER.pack(HEADER.size + len(body), kind, flags, 0, 0) + body)
    while True:
        for answered, _, _, _, answer in netlink.messages(listener.recv(netlink.BUFFER)):
            if answered == Type.DONE:
                return
            if answered == Type.ERROR:
                (code,) = struct.unpack_from("=i", answer)
                if code:
                    raise NetlinkError(-code, "connection tracking: " + errno.errorcode.get(-code, str(code)))
                return
            yield answered, answer


def _connection(family: int, found: dict[int, bytes]) -> Connection:
    orig, reply = attributes(found[TUPLE_ORIG], 0), attributes(found[TUPLE_REPLY], 0)
    ports = attributes(reply[TUPLE_PROTO], 0)
    server = unpacked(attributes(reply[TUPLE_IP], 0)[IP_SRC[family]])
    identity = nested(TUPLE_ORIG, found[TUPLE_ORIG])
    for one in (ID, ZONE):
        identity += attribute(one, found[one]) if one in found else b""
    return Connection(
        unpacked(attributes(orig[TUPLE_IP], 0)[IP_DST[family]]),
        (server, struct.unpack(">H", ports[PROTO_SRC_PORT])[0]),
        identity,
    )


def _head(family: int) -> bytes:
    """nfgenmsg."""
    return struct.pack("=BBH", family, 0, 0)
