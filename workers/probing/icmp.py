"""Echoes as they go over the wire (RFC 792, RFC 4443), without the IP header.

    type code checksum | id sequence | cookie (8) number (4), then zeros up to the size

The cookie is the process's own, so that echoes of others are not taken for ours; the number
tells which echo it was. Errors bring back the beginning of what they are about.
"""

from struct import Struct
from typing import NamedTuple

ECHO = Struct("!BBHHH8sI")
"""Type, code, checksum, id, sequence, cookie, number."""
HEADERS = {4: 28, 6: 48}
"""Bytes of the IP and ICMP headers."""
REQUEST = {4: 8, 6: 128}
REPLY = {4: 0, 6: 129}
UNREACHABLE = {4: 3, 6: 1}
TOO_LARGE_6 = 2
FRAGMENTATION_NEEDED = 4
"""Code of an unreachable of IPv4: the packet is too large; the other half of its second word is the MTU."""
PROHIBITED = {4: (9, 10, 13), 6: (1, 5, 6)}
"""Codes of an unreachable that a filter sends."""
SMALLEST = {version: headers - 8 + ECHO.size for version, headers in HEADERS.items()}
"""Bytes of the smallest packet that carries an echo of ours."""


class Answer(NamedTuple):
    """What came back about one echo."""

    number: int
    error: "Error | None" = None
    """None: the echo itself."""


class Error(NamedTuple):
    """Somebody on the way could not pass an echo on."""

    kind: str
    """``unreachable``, ``prohibited`` or ``too-large``."""
    by: str
    """The address of who says so."""
    mtu: int = 0
    """Of ``too-large``: what fits, in bytes; 0: not said."""


def request(version: int, cookie: bytes, number: int, size: int) -> bytes:
    """An echo request that makes an IP packet of ``size`` bytes. The kernel sums up those of IPv6."""
    fields = (REQUEST[version], 0, 0, 0, number & 0xFFFF, cookie, number)
    head = ECHO.pack(*fields)
    if version == 4:
        head = ECHO.pack(*fields[:2], checksum(head), *fields[3:])
    return head + bytes(max(size - SMALLEST[version], 0))


def read(version: int, packet: bytes, sender: str, cookie: bytes) -> Answer | None:
    """What a packet says about an echo of ours; None: it is about something else.

    IPv4 packets come with their IP header.
    """
    message = _inside4(packet) if version == 4 else packet
    if len(message) < 8:
        return None
    kind, code = message[0], message[1]
    if kind == REPLY[version]:
        number = _number(message, REPLY[version], cookie)
        return None if number is None else Answer(number)
    about = _inside4(message[8:]) if version == 4 else message[8 + 40 :]
    number = _number(about, REQUEST[version], cookie)
    if number is None:
        return None
    return Answer(number, _error(version, kind, code, message, sender))


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of bytes; zeros behind them do not alter it."""
    total = sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _inside4(packet: bytes) -> bytes:
    return packet[(packet[0] & 0xF) * 4 :] if packet else b""


def _number(message: bytes, kind: int, cookie: bytes) -> int | None:
    if len(message) < ECHO.size:
        return None
    found, _, _, _, _, given, number = ECHO.unpack_from(message)
    return int(number) if (found, given) == (kind, cookie) else None


def _error(version: int, kind: int, code: int, message: bytes, sender: str) -> Error:
    if version == 4 and (kind, code) == (UNREACHABLE[4], FRAGMENTATION_NEEDED):
        return Error("too-large", sender, int.from_bytes(message[6:8], "big"))
    if version == 6 and kind == TOO_LARGE_6:
        return Error("too-large", sender, int.from_bytes(message[4:8], "big"))
    prohibited = kind == UNREACHABLE[version] and code in PROHIBITED[version]
    return Error("prohibited" if prohibited else "unreachable", sender)
