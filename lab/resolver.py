"""One DNS question over UDP or TCP, as small as it can be (RFC 1035, 4.1): for measuring, where dig(1) would
take longer to start than the answer takes to come, and for questions that it asks in a way of its own.
"""

import secrets
import socket
import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from lab.namespaces import Namespace

A, IN = 1, 1
ADDRESS_BYTES = 4
AUTHORITATIVE, TRUNCATED = 0x0400, 0x0200
"""AA and TC among the flags."""
POINTER = 0xC0
"""The first two bits of a name that goes on elsewhere (RFC 1035, 4.1.4)."""


class Rcode(IntEnum):
    NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
    NOTAUTH = 9


class Found(NamedTuple):
    """What an answer says, without its data."""

    rcode: Rcode
    authoritative: bool = True
    truncated: bool = False
    answer: tuple[int, ...] = ()
    """Types of the records, in their order."""
    authority: tuple[int, ...] = ()
    additional: tuple[int, ...] = ()


class Resolver:
    """A context manager: one socket in a namespace, connected to a server."""

    def __init__(self, namespace: Namespace, address: str, port: int, kind: int = socket.SOCK_DGRAM) -> None:
        with namespace.entered():
            self._socket = socket.socket(socket.AF_INET, kind)
        self._is_stream = kind == socket.SOCK_STREAM
        self._socket.settimeout(5)
        self._socket.connect((address, port))

    def ask(self, name: str) -> list[str]:
        """The IPv4 addresses of a name, in the order of the answer. Raises TimeoutError."""
        return _addresses(self._answer(name, A, IN))

    def found(self, name: str, kind: int, of_class: int = IN) -> Found:
        """What is said of any type and class. Raises TimeoutError."""
        answer = self._answer(name, kind, of_class)
        flags, _, *counts = struct.unpack_from("!5H", answer, 2)
        types = _types(answer)
        sections = (tuple(next(types) for _ in range(count)) for count in counts)
        return Found(Rcode(flags & 15), bool(flags & AUTHORITATIVE), bool(flags & TRUNCATED), *sections)

    def _answer(self, name: str, kind: int, of_class: int) -> bytes:
        number = secrets.token_bytes(2)
        asked = number + struct.pack("!5H", 0, 1, 0, 0, 0) + _encoded(name)
        asked += struct.pack("!2H", kind, of_class)
        self._socket.sendall(struct.pack("!H", len(asked)) + asked if self._is_stream else asked)
        while (answer := self._message())[:2] != number:
            pass
        return answer

    def _message(self) -> bytes:
        if not self._is_stream:
            return self._socket.recv(4096)
        (length,) = struct.unpack("!H", self._socket.recv(2, socket.MSG_WAITALL))
        return self._socket.recv(length, socket.MSG_WAITALL)

    def close(self) -> None:
        self._socket.close()


def _encoded(name: str) -> bytes:
    labels = [label for label in name.encode().split(b".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def _addresses(answer: bytes) -> list[str]:
    (count,) = struct.unpack_from("!H", answer, 6)
    place = answer.index(b"\0", 12) + 5  # behind the question
    found = []
    for _ in range(count):
        kind, _, _, length = struct.unpack_from("!2HIH", answer, place + 2)  # the name is a pointer
        if kind == A and length == ADDRESS_BYTES:
            found.append(socket.inet_ntoa(answer[place + 12 : place + 12 + length]))
        place += 12 + length
    return found


def _types(answer: bytes) -> Iterator[int]:
    """Of the records behind the question, one after the other."""
    place = _behind_name(answer, 12) + 4
    while place < len(answer):
        place = _behind_name(answer, place)
        kind, _, _, length = struct.unpack_from("!2HIH", answer, place)
        yield kind
        place += 10 + length


def _behind_name(answer: bytes, place: int) -> int:
    while (length := answer[place]) and length < POINTER:
        place += 1 + length
    return place + (2 if length else 1)
