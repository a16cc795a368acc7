"""The UNIX socket on which PowerDNS asks."""

import grp
import logging
import os
import pwd
import select
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from netadmin.problems import Fault, Problem

log = logging.getLogger(__name__)

Answer = Callable[[bytes], bytes]
LONGEST_LINE = 65536
"""Bytes; a question of PowerDNS has some hundred."""
CHUNK = 4096
"""Bytes that are read at once."""
BACKLOG = 128
PAUSE = 0.01
"""Seconds before the next look, while a connection waits that cannot be taken."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the socket is, and who may connect."""

    path: Path
    owner: str = ""
    """User by name or number; empty: who runs this."""
    group: str = ""
    mode: int = 0o660


class Gone(Exception):
    """The peer is not there any more, or is to be let go."""


class Peer:
    """A connection: a line comes, a line goes. It is not read while it does not take its answers."""

    def __init__(self, connection: socket.socket, answer: Answer) -> None:
        connection.setblocking(False)
        self.connection, self._answer = connection, answer
        self._begun = self._left = b""

    def ready(self) -> bool:
        """It can be read or written; whether it has taken all its answers. Raises Gone, OSError."""
        if not self._left:
            self._read()
        if self._left:
            try:
                self._left = self._left[self.connection.send(self._left) :]
            except BlockingIOError:
                return False
        return not self._left

    def _read(self) -> None:
        data = self.connection.recv(CHUNK)
        if not data:
            raise Gone
        *lines, self._begun = (self._begun + data).split(b"\n")
        if len(self._begun) > LONGEST_LINE:
            raise Gone
        self._left = b"".join(map(self._answer, lines))


class Listener(threading.Thread):
    """Answers every peer, one line after the other.

    An event loop of its own: a question of a client is five to eight of ours, and asyncio would cost ten
    times what the answer does. When it fails, the process ends, for its manager to start it again: who lives
    on without answering would look well to everybody but PowerDNS.
    """

    def __init__(self, place: socket.socket, answer: Answer) -> None:
        super().__init__(name="answers", daemon=True)
        self._place, self._answer = place, answer
        self._peers: dict[int, Peer] = {}
        """By descriptor."""
        self._full: set[int] = set()
        """Descriptors of those that do not take their answers."""
        self._is_shut = False
        """The last connection could not be taken."""

    def run(self) -> None:
        try:
            self._answer_all()
        except BaseException:
            log.critical("no question can be answered any more: the process ends", exc_info=True)
            os._exit(1)  # at once: another thread may wait for the database

    def _answer_all(self) -> None:
        with select.epoll() as self._ready:
            self._ready.register(self._place, select.EPOLLIN)
            while True:
                for descriptor, _ in self._ready.poll():
                    if peer := self._peers.get(descriptor):
                        self._serve(descriptor, peer)
                    else:
                        self._welcome()

    def _welcome(self) -> None:
        """Who cannot be let in, as no descriptor is free, waits in the backlog; the others are answered."""
        try:
            connection, _ = self._place.accept()
        except OSError as error:
            if not self._is_shut:
                log.warning("a connection cannot be taken (%s): it waits", error.strerror or error)
            self._is_shut = True
            time.sleep(PAUSE)
            return
        self._is_shut = False
        self._peers[connection.fileno()] = Peer(connection, self._answer)
        self._ready.register(connection, select.EPOLLIN)

    def _serve(self, descriptor: int, peer: Peer) -> None:
        try:
            is_done = peer.ready()
        except (Gone, OSError):
            del self._peers[descriptor]
            self._full.discard(descriptor)
            peer.connection.close()  # which the epoll forgets by itself
            return
        if is_done is (descriptor in self._full):
            self._full ^= {descriptor}
            self._ready.modify(descriptor, select.EPOLLIN if is_done else select.EPOLLOUT)


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
        made.listen(BACKLOG)
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
