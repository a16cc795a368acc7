"""Doors that fail: the n-th request of an apply is refused, or the worker dies at it.

A request is one netlink message, one nft transaction, one switch or one file. It is struck
before it is carried out; what comes before and after in the same batch is not.
"""

import errno
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from workers.cni import directory
from workers.kernel.door import Kernel
from workers.kernel.messages import Request
from workers.kernel.netlink import NetlinkError
from workers.kernel.nft import NftError


class Strike:
    """Counts the requests and strikes the ``nth``, from 1."""

    def __init__(self, nth: int, act: Callable[[], OSError]) -> None:
        self.nth = nth
        self.act = act
        self.seen = 0

    @property
    def struck(self) -> bool:
        return self.seen >= self.nth

    def error(self) -> OSError | None:
        self.seen += 1
        return self.act() if self.seen == self.nth else None


@contextmanager
def struck(kernel: Kernel, strike: Strike) -> Iterator[None]:
    """The doors of ``kernel`` obey ``strike`` in the block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel.netlink, "send", _send(kernel, strike))
        patch.setattr(kernel.procfs, "write", _or_raise(kernel.procfs.write, strike))
        for name in ("replace", "remove"):
            patch.setattr(kernel.nft, name, _or_nft(getattr(kernel.nft, name), strike))
        for name in ("write", "remove"):
            patch.setattr(directory, name, _or_raise(getattr(directory, name), strike))
        yield


def refusing(code: int) -> Callable[[], OSError]:
    return lambda: NetlinkError(code, os.strerror(code))


def dying() -> OSError:
    """What SIGKILL does to a worker: nothing more of it runs."""
    os.kill(os.getpid(), signal.SIGKILL)
    return OSError(errno.EINTR, "killed")


def _send(kernel: Kernel, strike: Strike) -> Callable[[Sequence[Request]], list[NetlinkError | None]]:
    """One datagram is one system call: it is carried out as a whole but for the request that is struck.

    So a worker cannot die inside one; it dies before the first message of it.
    """
    send = kernel.netlink.send

    def sending(requests: Sequence[Request]) -> list[NetlinkError | None]:
        errors = [strike.error() for _ in requests]
        outcome = iter(send([one for one, error in zip(requests, errors, strict=True) if not error]))
        return [NetlinkError(error.errno, error.strerror) if error else next(outcome) for error in errors]

    return sending


def _or_raise(door: Callable[..., None], strike: Strike) -> Callable[..., None]:
    def call(*args: Any) -> None:
        if error := strike.error():
            raise error
        door(*args)

    return call


def _or_nft(door: Callable[..., None], strike: Strike) -> Callable[..., None]:
    def call(*args: Any) -> None:
        if error := strike.error():
            raise NftError(error.strerror)
        door(*args)

    return call
