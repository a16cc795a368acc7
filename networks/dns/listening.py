"""The UNIX socket on which PowerDNS asks."""

import asyncio
import grp
import os
import pwd
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from netadmin.problems import Fault, Problem

LONGEST_LINE = 65536
"""Bytes; a question of PowerDNS has some hundred."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the socket is, and who may connect."""

    path: Path
    owner: str = ""
    """User by name or number; empty: who runs this."""
    group: str = ""
    mode: int = 0o660


class Connection(asyncio.Protocol):
    """A line comes, a line goes; a peer that sends no end of line is let go."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self._answer = answer
        self._begun = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *lines, self._begun = (self._begun + data).split(b"\n")
        for line in lines:
            self._transport.write(self._answer(line))
        if len(self._begun) > LONGEST_LINE:
            self._transport.abort()


def bound(place: Place) -> socket.socket:
    """A listening socket; nobody else could connect before owner and mode were set.

    What a process left behind that was killed is replaced. Raises Problem when the place is taken, is
    not a socket, or cannot be made.
    """
    try:
        _clear(place.path)
        return _bind(place)
    except OSError as error:
        why = f"cannot be made ({error.strerror or error})"
        raise Problem(
            Fault("socket", str(place.path), why, "Make its directory, or give another path")
        ) from error


def _clear(path: Path) -> None:
    if not os.path.lexists(path):
        return
    if not path.is_socket():
        raise Problem(Fault("socket", str(path), "is there and no socket", "Remove it, or give another path"))
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(str(path)) == 0:
            remedy = "Stop that process, or give another path"
            raise Problem(Fault("socket", str(path), "is served by another process", remedy))
    path.unlink()


def _bind(place: Place) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    try:
        before = os.umask(0o177)
        try:
            made.bind(str(place.path))
        finally:
            os.umask(before)
        os.chown(place.path, _user(place.owner), _group(place.group))
        place.path.chmod(place.mode)
    except BaseException:
        made.close()
        raise
    return made


def _user(name: str) -> int:
    if not name or name.isdecimal():
        return int(name or -1)
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError as error:
        raise Problem(Fault("owner", name, "is no user here", "Give a name or a number")) from error


def _group(name: str) -> int:
    if not name or name.isdecimal():
        return int(name or -1)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError as error:
        raise Problem(Fault("group", name, "is no group here", "Give a name or a number")) from error
