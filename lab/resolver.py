"""One DNS question over UDP, as small as it can be (RFC 1035, 4.1): for measuring, where dig(1) would take
longer to start than the answer takes to come.
"""

import secrets
import socket
import struct

from lab.namespaces import Namespace

A, IN = 1, 1
ADDRESS_BYTES = 4


class Resolver:
    """A context manager: one socket in a namespace, connected to a server."""

    def __init__(self, namespace: Namespace, address: str, port: int) -> None:
        with namespace.entered():
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(5)
        self._socket.connect((address, port))

    def ask(self, name: str) -> list[str]:
        """The IPv4 addresses of a name, in the order of the answer. Raises TimeoutError."""
        number = secrets.token_bytes(2)
        self._socket.send(
            number + struct.pack("!5H", 0, 1, 0, 0, 0) + _encoded(name) + struct.pack("!2H", A, IN)
        )
        while (answer := self._socket.recv(4096))[:2] != number:
            pass
        return _addresses(answer)

    def close(self) -> None:
        self._socket.close()


def _encoded(name: str) -> bytes:
    labels = name.rstrip(".").encode().split(b".")
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
