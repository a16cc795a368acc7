"""The door to /proc: where the network namespaces of this machine are found.

    /proc/PID/task/TID/ns/net     namespaces of processes and threads
    /proc/PID/mountinfo           namespaces that are mounted, in every mount namespace

One that is neither, but kept by an open file or a socket, is not found.
Sources: proc(5), namespaces(7).
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

NSFS = re.compile(r"net:\[(\d+)\]")
VANISHED = (FileNotFoundError, ProcessLookupError, NotADirectoryError)
"""What reading of a process says that has ended."""


class Hidden(Exception):
    """Something could not be looked into, so nothing is proven; says what."""


def everywhere() -> Iterator[tuple[int, str]]:
    """Number of each namespace, and a path that leads there; of one there may be many. Raises Hidden."""
    mounts: set[int] = set()
    for pid in processes():
        yield from of_process(pid, mounts)


def processes() -> list[str]:
    """Raises Hidden."""
    if _inode("/proc/1/ns/net") == 0:
        raise Hidden("/proc/1/ns/net: cannot be read; the worker needs CAP_SYS_PTRACE and all of /proc")
    return [name for name in os.listdir("/proc") if name.isdecimal()]


def of_process(pid: str, mounts: set[int]) -> Iterator[tuple[int, str]]:
    """As ``everywhere``, of one process; ``mounts``: mount namespaces that were looked into, to which its
    own is added. Raises Hidden."""
    yield from _of_threads(pid)
    inode = _inode(f"/proc/{pid}/ns/mnt")
    if inode and inode not in mounts:
        mounts.add(inode)
        yield from _mounted(pid)


def _of_threads(pid: str) -> Iterator[tuple[int, str]]:
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except VANISHED:
        return
    for thread in threads:
        path = f"/proc/{pid}/task/{thread}/ns/net"
        if inode := _inode(path):
            yield inode, path


def _inode(path: str) -> int:
    """Of the namespace that a link of /proc names; 0: its process is gone. Raises Hidden."""
    try:
        found = re.search(r"\[(\d+)\]", os.readlink(path))
    except VANISHED:
        return 0
    except PermissionError as error:
        raise Hidden(f"{path}: {error.strerror}; the worker needs CAP_SYS_PTRACE") from error
    return int(found[1]) if found else 0


def _mounted(pid: str) -> Iterator[tuple[int, str]]:
    """Namespaces that are mounted where this process sees it."""
    try:
        lines = Path(f"/proc/{pid}/mountinfo").read_text(errors="replace").splitlines()
    except VANISHED:
        return
    except OSError as error:
        raise Hidden(f"/proc/{pid}/mountinfo: {error.strerror}") from error
    for line in lines:
        words = line.split()
        if found := NSFS.fullmatch(words[3]):
            place = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), words[4])
            yield int(found[1]), f"/proc/{pid}/root{place}"
