"""The door to the kernel's links, addresses and routes: one raw AF_NETLINK socket.

    send     256 requests a datagram -> the kernel works them off in order, inside send()
             -> answers come only for the ones it refused, told apart by sequence number
    dump     one request -> many messages, filtered in the kernel (NETLINK_GET_STRICT_CHK)
    listen   a socket that hears what anybody changes

No acknowledgement is asked for, so 256 errors, as many as a default receive buffer holds,
are the most that can come back at once, and none is lost. The kernel goes on after an
error and handles a datagram inside one system call: a kill cannot split it. A socket
belongs for ever to the network namespace it was made in. Sources: netlink(7), RFC 3549.
"""

import errno
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import count
from operator import is_not
from struct import unpack_from
from types import TracebackType
from typing import NamedTuple, Self

from workers.kernel.messages import HEADER, LINK_HEADER, Flag, Request, Type, attributes, text, to_text

BATCH = 256
ATTEMPTS = 100
BUFFER = 1 << 17
DUMPING = 1
"""Sequence number of every dump."""

HEARING = 8 << 20
"""Bytes, as the kernel counts them: some 800 for an event."""

SO_RCVBUFFORCE = 33
SOL_NETLINK = 270
NETLINK_ADD_MEMBERSHIP, NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK = 1, 10, 11, 12
NETLINK_ROUTE, NETLINK_NETFILTER = 0, 12
NLM_F_DUMP_INTR, NLM_F_CAPPED, NLM_F_ACK_TLVS = 0x10, 0x100, 0x200
NLMSGERR_ATTR_MSG = 1
IFLA_IFNAME = 3

Message = tuple[int, int, int, int, bytes]
"""Type, flags, sequence number, port id of who caused it, body."""


class NetlinkError(OSError):
    """The kernel refused a request; ``strerror`` is its own sentence where it gave one."""


class Page(NamedTuple):
    """One datagram of the answer to a dump."""

    data: bytes
    bodies: tuple[bytes, ...]
    ends: bool
    interrupted: bool
    error: NetlinkError | None


class Dumped(NamedTuple):
    """A whole answer."""

    pages: tuple[Page, ...]
    bodies: tuple[bytes, ...]


class Netlink:
    """One socket for requests of one thread."""

    def __init__(self) -> None:
        self._socket = opened(NETLINK_ROUTE)
        for option in (NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK):
            self._socket.setsockopt(SOL_NETLINK, option, 1)
        self._sequence = count(DUMPING + 1)
        self._dumped: dict[Request, Dumped] = {}

    @property
    def port(self) -> int:
        """What the events that this socket causes carry."""
        return int(self._socket.getsockname()[0])

    def send(self, requests: Sequence[Request]) -> list[NetlinkError | None]:
        """Carry out in order; per request None or why the kernel refused it."""
        outcome: list[NetlinkError | None] = []
        for start in range(0, len(requests), BATCH):
            outcome += self._send(requests[start : start + BATCH])
        return outcome

    def dump(self, request: Request) -> list[bytes]:
        """Bodies of all messages that answer; again from the start when the kernel changed meanwhile."""
        return [body for page in self._whole_dump(request, []) for body in page.bodies]

    def glance(self, request: Request) -> list[bytes]:
        """As ``dump``, asked once: what came or went meanwhile may be missing or there twice."""
        return [body for page in self._dump(request, []) for body in page.bodies]

    def redump(self, request: Request) -> tuple[bytes, ...]:
        """As ``dump``, for what seldom changes: the very same object for as long as nothing did.

        What answers is compared with the last time, datagram by datagram; one that is the same
        is not taken apart again.
        """
        last = self._dumped.get(request, Dumped((), ()))
        pages = self._whole_dump(request, last.pages)
        if len(pages) != len(last.pages) or any(map(is_not, pages, last.pages)):
            last = Dumped(tuple(pages), tuple(body for page in pages for body in page.bodies))
            self._dumped[request] = last
        return last.bodies

    def ask(self, request: Request) -> bytes:
        """The body of the one message that answers; raises NetlinkError when the kernel refuses."""
        sequence = next(self._sequence)
        self._socket.send(request.bytes(sequence))
        for kind, flags, answered, _, answer in waiting(self._socket):
            if answered != sequence:
                continue
            if kind == Type.ERROR:
                raise refusal(flags, answer)
            return answer
        raise NetlinkError(errno.ENODATA, f"no answer to {request.type.name}")

    def index(self, device: str) -> int:
        """The number of the device; raises NetlinkError ENODEV when there is none."""
        body = LINK_HEADER.pack(0, 0, 0, 0, 0) + text(IFLA_IFNAME, device)
        answer = self.ask(Request(Type.GETLINK, Flag(0), body))
        return int(LINK_HEADER.unpack_from(answer)[2])

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _send(self, requests: Sequence[Request]) -> list[NetlinkError | None]:
        sequences = [next(self._sequence) for _ in requests]
        datagram = b"".join(request.bytes(n) for request, n in zip(requests, sequences, strict=True))
        try:
            self._socket.send(datagram)
        except OSError as error:
            return [NetlinkError(error.errno, error.strerror) for _ in requests]
        refused = {
            sequence: refusal(flags, body)
            for kind, flags, sequence, _, body in waiting(self._socket)
            if kind == Type.ERROR
        }
        return [refused.get(sequence) for sequence in sequences]

    def _whole_dump(self, request: Request, last: Sequence[Page]) -> list[Page]:
        for _ in range(ATTEMPTS):
            pages = self._dump(request, last)
            if not any(page.interrupted for page in pages):
                return pages
        raise NetlinkError(errno.EINTR, f"{request.type.name} was interrupted by changes {ATTEMPTS} times")

    def _dump(self, request: Request, last: Sequence[Page]) -> list[Page]:
        """An answer is always read to its end, so one sequence number does: equal answers are equal bytes."""
        self._socket.send(request.bytes(DUMPING))
        pages: list[Page] = []
        while not (pages and pages[-1].ends):
            data = self._socket.recv(BUFFER)
            before = last[len(pages)] if len(pages) < len(last) else None
            pages.append(before if before and before.data == data else _page(data))
        if error := pages[-1].error:
            raise error
        return pages


def _page(data: bytes) -> Page:
    bodies: list[bytes] = []
    ends = interrupted = False
    error = None
    for kind, flags, sequence, _, body in messages(data):
        if sequence != DUMPING:
            continue
        interrupted |= bool(flags & NLM_F_DUMP_INTR)
        if kind == Type.ERROR or (kind == Type.DONE and unpack_from("=i", body)[0] < 0):
            error = refusal(flags, body)
        ends |= kind in (Type.ERROR, Type.DONE)
        if not ends:
            bodies.append(body)
    return Page(data, tuple(bodies), ends, interrupted, error)


def opened(protocol: int) -> socket.socket:
    """A socket for requests of one thread; whoever wants it closes it."""
    made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
    made.bind((0, 0))
    return made


def listen(protocol: int, groups: Sequence[int]) -> socket.socket:
    """A socket that hears the multicast groups of ``protocol``; never blocks.

    Its buffer holds the events of some thousand changes at once, where we have the right to that.
    """
    listener = opened(protocol)
    with suppress(PermissionError):
        listener.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, HEARING)
    for group in groups:
        listener.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
    listener.setblocking(False)
    return listener


def refusal(flags: int, body: bytes) -> NetlinkError:
    """From nlmsgerr: the error, the header it answers (its body too unless capped), then attributes."""
    (code,) = unpack_from("=i", body)
    sentence = os.strerror(-code)
    if flags & NLM_F_ACK_TLVS:
        (length,) = unpack_from("=I", body, 4)
        start = 4 + (HEADER.size if flags & NLM_F_CAPPED else (length + 3) & ~3)
        if said := attributes(body, start).get(NLMSGERR_ATTR_MSG):
            sentence = to_text(said)
    return NetlinkError(-code, sentence)


def waiting(asked: socket.socket) -> Iterator[Message]:
    """All that waits: the kernel has answered before send() returns."""
    while True:
        try:
            data = asked.recv(BUFFER, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        yield from messages(data)


def messages(data: bytes) -> Iterator[Message]:
    """The messages of one datagram."""
    start = 0
    while start + HEADER.size <= len(data):
        length, kind, flags, sequence, port = HEADER.unpack_from(data, start)
        yield kind, flags, sequence, port, data[start + HEADER.size : start + length]
        start += (length + 3) & ~3
