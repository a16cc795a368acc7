"""The door for echoes: raw ICMP and ICMPv6 sockets of one thread.

    send     source address, don't-fragment flag, whatever path MTU the kernel remembers
    receive  what came back about echoes of ours, with the kernel's time

The flag is what makes a full-size echo a proof (IP_PMTUDISC_PROBE, ip(7)). Raw sockets, as ping
sockets are open to nobody by default (net.ipv4.ping_group_range); they need CAP_NET_RAW and
belong to the network namespace of the thread that opens them.
"""

import os
import select
import socket
import struct
import time
from collections.abc import Iterator
from types import TracebackType
from typing import NamedTuple, Self

from workers.probing import icmp
from workers.probing.icmp import Answer

IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PROBE = 10, 23, 3
IP_PKTINFO, IPV6_DONTFRAG = 8, 62
ICMP_FILTER, ICMP6_FILTER = 1, 1
SOL_RAW = 255
SO_TIMESTAMPNS = 35
BUFFER = 1 << 20
LONGEST = 256
"""Bytes of an answer that are read: the headers, and what an error quotes of ours."""


class Heard(NamedTuple):
    answer: Answer
    at: int
    """Nanoseconds since 1970, when the kernel got it."""


class Echoes:
    """Context manager; sockets are opened when they are needed first, until ``close``."""

    def __init__(self) -> None:
        self._cookie = os.urandom(8)
        self._sockets: dict[int, socket.socket] = {}
        self._poll = select.poll()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the sockets; the next echo opens them again."""
        for opened in self._sockets.values():
            self._poll.unregister(opened)
            opened.close()
        self._sockets.clear()

    def send(self, number: int, address: str, source: str, size: int) -> int:
        """Send one echo of ``size`` bytes, the IP header included; nanoseconds since 1970.

        Raises OSError when the kernel does not send it.
        """
        version = 6 if ":" in address else 4
        packet = icmp.request(version, self._cookie, number, size)
        ancillary = [_from(version, source)] if source else []
        at = time.time_ns()
        self.open(version).sendmsg([packet], ancillary, 0, (address, 0))
        return at

    def wait(self, seconds: float, other: int) -> None:
        """Until an answer comes, or the descriptor ``other`` can be read."""
        self._poll.register(other, select.POLLIN)
        self._poll.poll(max(seconds, 0) * 1000)
        self._poll.unregister(other)

    def received(self) -> Iterator[Heard]:
        """All that came back by now."""
        for version, opened in self._sockets.items():
            while True:
                try:
                    packet, ancillary, _, sender = opened.recvmsg(LONGEST, 64)
                except BlockingIOError:
                    break
                if answer := icmp.read(version, packet, sender[0], self._cookie):
                    yield Heard(answer, _time(ancillary))

    def open(self, version: int) -> socket.socket:
        """The socket of a family, 4 or 6; raises OSError when the kernel gives none."""
        if version not in self._sockets:
            self._sockets[version] = _open4() if version == 4 else _open6()
            self._poll.register(self._sockets[version], select.POLLIN)
        return self._sockets[version]


def _open4() -> socket.socket:
    opened = _raw(socket.AF_INET, socket.IPPROTO_ICMP)
    wanted = 1 << icmp.REPLY[4] | 1 << icmp.UNREACHABLE[4]
    opened.setsockopt(SOL_RAW, ICMP_FILTER, struct.pack("=I", ~wanted & 0xFFFFFFFF))
    opened.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PROBE)
    return opened


def _open6() -> socket.socket:
    opened = _raw(socket.AF_INET6, socket.IPPROTO_ICMPV6)
    blocked = [0xFFFFFFFF] * 8
    for kind in (icmp.REPLY[6], icmp.UNREACHABLE[6], icmp.TOO_LARGE_6):
        blocked[kind >> 5] &= ~(1 << (kind & 31))
    opened.setsockopt(socket.IPPROTO_ICMPV6, ICMP6_FILTER, struct.pack("=8I", *blocked))
    opened.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, PROBE)
    opened.setsockopt(socket.IPPROTO_IPV6, IPV6_DONTFRAG, 1)
    return opened


def _raw(family: int, protocol: int) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, protocol)
    opened.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    return opened


def _from(version: int, source: str) -> tuple[int, int, bytes]:
    """The source address as ancillary data: in_pktinfo, in6_pktinfo."""
    if version == 4:
        address = socket.inet_pton(socket.AF_INET, source)
        return (socket.IPPROTO_IP, IP_PKTINFO, struct.pack("=i4s4s", 0, address, bytes(4)))
    address = socket.inet_pton(socket.AF_INET6, source)
    return (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, struct.pack("=16si", address, 0))


def _time(ancillary: list[tuple[int, int, bytes]]) -> int:
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            seconds, nanoseconds = struct.unpack("=qq", data[:16])
            return int(seconds * 1_000_000_000 + nanoseconds)
    return time.time_ns()
