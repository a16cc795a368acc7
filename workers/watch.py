"""What wakes the agent: one place to wait in, for the kernel, the files and other threads.

    netlink (links, addresses, routes, rules) --+
    nftables -----------------------------------+--> one poll --> the reasons, coalesced
    inotify (CNI files, leases) ----------------+
    eventfd (wake-up, document, stop) ----------+

Events say that it is time to look; what the kernel said goes to ``heard`` first, which may repair
at once what the look then confirms. So an overrun (ENOBUFS) is an
event like any other, and what is still queued when a look begins can be forgotten
(``forget``): the look sees it. That is also why the worker does not loop on its own
changes: it looks once more after an apply, and its own echoes are older than that look.

What the kernel does not tell: IPv4 routes that go with their device or source address (the
link or address event stands for them) and sysctls but for forwarding and rp_filter (the timer
looks at them).
"""

import ctypes
import errno
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from workers.kernel import netlink
from workers.kernel.netlink import Message

QUIET = 0.001
"""Seconds without a further event that end a burst."""
BURST = 0.05
"""Seconds after which a burst that does not end is looked at all the same."""
LULL, FLOOD = 0.005, 0.15
"""As QUIET and BURST, of a flood of one kind: whoever causes it may have to wait for the processor."""

EVENTS = {"kernel", "firewall", "files", "leases"}
"""The reasons that come from the machine itself and not from another thread."""

ROUTE_GROUPS = (1, 5, 7, 8, 9, 11, 19, 24, 25)
"""RTNLGRP_ of links; of addresses, routes and rules of IPv4, and of IPv6; of forwarding and rp_filter,
which are sysctls (NETCONF; linux/rtnetlink.h)."""
LINK_GROUPS = (1,)
"""RTNLGRP_LINK alone."""
NFT_GROUP = 7
"""NFNLGRP_NFTABLES (linux/netfilter/nfnetlink.h)."""

IN_CLOSE_WRITE, IN_MOVED, IN_CREATE, IN_DELETE, IN_GONE = 0x8, 0xC0, 0x100, 0x200, 0xC00
IN_ONLYDIR = 0x1000000
FILE_EVENTS = IN_CLOSE_WRITE | IN_MOVED | IN_CREATE | IN_DELETE | IN_GONE | IN_ONLYDIR
"""inotify(7). Nothing that reading a file causes: the worker reads them all the time."""

_libc = ctypes.CDLL(None, use_errno=True)


class Watch:
    """Context manager; made inside the network namespace it watches. ``wake`` is for any thread."""

    def __init__(self, groups: Sequence[int] = ROUTE_GROUPS) -> None:
        """``groups`` of rtnetlink to listen to."""
        self._reasons: set[str] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._awake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._kernel = netlink.listen(netlink.NETLINK_ROUTE, groups)
        self._firewall = netlink.listen(netlink.NETLINK_NETFILTER, (NFT_GROUP,))
        self._files = _checked(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), "inotify_init1")
        self._followed: dict[int, str] = {}
        self._held: set[str] = set()
        self.heard: Callable[[list[Message]], None] | None = None
        """Called with what the kernel said, before anything else is made of it, by who waits."""
        self._drains: dict[int, Callable[[], set[str]]] = {
            self._awake: self._woken,
            self._kernel.fileno(): self._drain_kernel,
            self._firewall.fileno(): self._drain_firewall,
            self._files: self._drain_files,
        }
        self._poll = select.poll()
        for descriptor in self._drains:
            self._poll.register(descriptor, select.POLLIN)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kernel.close()
        self._firewall.close()
        os.close(self._files)
        with self._lock:
            os.close(self._awake)
            self._closed = True

    def wake(self, *reasons: str) -> None:
        """Let ``wait`` return with these reasons, now or when it is called next; none does behind the end."""
        with self._lock:
            if not self._closed:
                self._reasons.update(reasons)
                os.eventfd_write(self._awake, 1)

    def follow(self, directories: Mapping[Path, str]) -> None:
        """Report changes in these directories, each under its reason. One that is not there is skipped.

        To be called again whenever they may have been made anew; following one twice is the same
        as once.
        """
        for directory, reason in directories.items():
            descriptor = _libc.inotify_add_watch(self._files, os.fsencode(directory), FILE_EVENTS)
            if descriptor >= 0:
                self._followed[descriptor] = reason
            elif ctypes.get_errno() not in (errno.ENOENT, errno.ENOTDIR):
                _checked(descriptor, f"inotify_add_watch {directory}")

    def wait(self, seconds: float) -> set[str]:
        """Wait for the first reason, and for the end of the burst of events it may begin.

        Empty when nothing came in time. A ``wake`` does not wait for the end of anything.
        """
        held, self._held = self._held, set()
        reasons = held | self._take(0 if held else seconds)
        end = time.monotonic() + BURST
        while reasons and reasons <= EVENTS and time.monotonic() < end:
            more = self._take(QUIET)
            if not more:
                break
            reasons |= more
        return reasons

    def pause(self, seconds: float) -> set[str]:
        """Wait for ``wake`` alone; what happens meanwhile is a reason for the next ``wait``."""
        end = time.monotonic() + seconds
        poll = select.poll()
        for descriptor in (self._awake, self._kernel.fileno()):
            poll.register(descriptor, select.POLLIN)
        while ready := poll.poll(max(end - time.monotonic(), 0) * 1000):
            if any(descriptor == self._awake for descriptor, _ in ready):
                return self._woken()
            self._held |= self._drain_kernel()
        return set()

    def linger(self, seconds: float) -> None:
        """Let that time pass. What the kernel says is heard; nothing else is taken out of its queue."""
        end = time.monotonic() + seconds
        poll = select.poll()
        poll.register(self._kernel, select.POLLIN)
        while poll.poll(max(end - time.monotonic(), 0) * 1000):
            self._held |= self._drain_kernel()

    def flood(self) -> list[Message]:
        """What the kernel still says until a flood of events is over."""
        poll = select.poll()
        poll.register(self._kernel, select.POLLIN)
        end = time.monotonic() + FLOOD
        found: list[Message] = []
        while time.monotonic() < end and poll.poll(LULL * 1000):
            found += (message for data in _drain(self._kernel) for message in netlink.messages(data))
        return found

    def forget(self) -> None:
        """Drop the events that are queued: a look that begins now sees what they are about."""
        self._held.clear()
        for descriptor, drain in self._drains.items():
            if descriptor not in (self._awake, self._kernel.fileno()):
                drain()
        _drain(self._kernel)

    def _take(self, seconds: float) -> set[str]:
        """The reasons of what is ready within ``seconds``."""
        ready = self._poll.poll(max(seconds, 0) * 1000)
        return {reason for descriptor, _ in ready for reason in self._drains[descriptor]()}

    def _woken(self) -> set[str]:
        """The reasons that other threads gave, once."""
        with self._lock:
            os.eventfd_read(self._awake)
            reasons, self._reasons = self._reasons, set()
        return reasons

    def _drain_kernel(self) -> set[str]:
        found = _drain(self._kernel)
        if found and self.heard:
            self.heard([message for data in found for message in netlink.messages(data)])
        return {"kernel"} if found else set()

    def _drain_firewall(self) -> set[str]:
        return {"firewall"} if _drain(self._firewall) else set()

    def _drain_files(self) -> set[str]:
        reasons = set()
        while events := _read(self._files):
            offset = 0
            while offset < len(events):
                descriptor, _, _, length = struct.unpack_from("iIII", events, offset)
                offset += 16 + length
                reasons.add(self._followed.get(descriptor, "files"))
        return reasons


def _drain(listener: socket.socket) -> list[bytes]:
    """All that is queued. An overrun counts as something: look at everything."""
    found = []
    while True:
        try:
            found.append(listener.recv(65536))
        except BlockingIOError:
            return found
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            found.append(b"")


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except BlockingIOError:
        return b""


def _checked(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result
