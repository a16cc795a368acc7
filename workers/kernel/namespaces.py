"""The door to network namespaces: looked into, made and removed.

    opened_in(descriptor)      a netlink socket inside
    fresh(work)                what ``work`` returns in one that ends with the call
    ensure(path), remove(path) one with a name, as ``ip netns`` does: a file that it is mounted on;
                               loopback is up

Sources: setns(2), unshare(2), mount(2), ip-netns(8).
"""

import ctypes
import errno
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from workers.changes import Verb
from workers.kernel import links
from workers.kernel.links import Up
from workers.kernel.netlink import Netlink

CLONE_NEWNET = 0x40000000
NS_GET_NSTYPE = 0xB703
"""ioctl(2) of a namespace: the CLONE_ number of its kind (linux/nsfs.h)."""
MS_BIND, MS_REC, MS_SHARED, MNT_DETACH = 0x1000, 0x4000, 0x100000, 2
OF_THREAD = "/proc/thread-self/ns/net"
Result = TypeVar("Result")
log = logging.getLogger("netadmin.namespaces")

_making = threading.Lock()
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = [ctypes.c_char_p] * 3 + [ctypes.c_ulong, ctypes.c_void_p]


def opened_in(descriptor: int) -> Netlink:
    """A door to the links and addresses of a namespace: a socket belongs for ever to the one it was made
    in. The calling thread is inside for that moment. Raises OSError."""
    home = os.open(OF_THREAD, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _checked(_libc.setns(descriptor, CLONE_NEWNET), "setns")
        try:
            return Netlink()
        finally:
            _return(home)
    finally:
        os.close(home)


def fresh(work: Callable[[], Result]) -> Result:
    """Raises OSError, and what ``work`` raises."""

    def unshared() -> Result:
        _checked(_libc.unshare(CLONE_NEWNET), "a network namespace needs CAP_SYS_ADMIN")
        return work()

    with ThreadPoolExecutor(1, thread_name_prefix="namespace") as thread:
        return thread.submit(unshared).result()


def ensure(path: Path) -> None:
    """A namespace of that name, a new one where there is none; raises OSError."""
    with _making:
        try:
            make(path)
        except FileExistsError:
            if os.stat(path).st_dev != os.stat(OF_THREAD).st_dev:  # the file of a ``make`` that was killed
                path.unlink()
                make(path)


def make(path: Path) -> None:
    """A new namespace of that name; raises FileExistsError when there is one, OSError."""
    _share(path.parent)
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444))
    try:
        fresh(lambda: _set_up(path))
    except OSError:
        path.unlink()
        raise


def remove(path: Path) -> None:
    """Take the name away; the namespace ends with the last process in it. Raises OSError."""
    if _libc.umount2(os.fsencode(path), MNT_DETACH) and ctypes.get_errno() not in (
        errno.EINVAL,
        errno.ENOENT,
    ):
        _checked(-1, f"umount {path}")
    path.unlink(missing_ok=True)


def _set_up(path: Path) -> None:
    """The namespace of this thread."""
    with Netlink() as netlink:
        for refused in netlink.send(links.encode_up(Verb.ADD, Up("lo"))):
            if refused:
                raise refused
    _mount(OF_THREAD, path, MS_BIND)


def _share(directory: Path) -> None:
    """What is mounted below is seen in every mount namespace, and what is removed there is gone in all."""
    directory.mkdir(parents=True, exist_ok=True)
    try:
        _mount("", directory, MS_SHARED | MS_REC)
    except OSError as error:
        if error.errno != errno.EINVAL:  # it is no mount point yet
            raise
        _mount(str(directory), directory, MS_BIND | MS_REC)
        _mount("", directory, MS_SHARED | MS_REC)


def _mount(source: str, target: Path, flags: int) -> None:
    _checked(_libc.mount(source.encode(), os.fsencode(target), b"none", flags, None), f"mount {target}")


def _return(home: int) -> None:
    """Back to where the thread came from. One that cannot must not go on: what it made next would be made
    in a container. The process ends and is started again."""
    if _libc.setns(home, CLONE_NEWNET):
        log.critical("a thread cannot leave a container's network namespace; the worker ends")
        logging.shutdown()
        os._exit(1)


def _checked(result: int, what: str) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
