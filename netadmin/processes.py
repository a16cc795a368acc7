"""Child processes that end with us, however we end.

    with Children() as children:
        children.start("broker", [...])
        children.start("web server on 127.0.0.1:8000", [...])
        children.watch()            # returns at SIGTERM or SIGINT, raises ChildEnded
                                    # on leaving: SIGTERM for all, SIGKILL for what stays

The kernel ends a child whose parent is gone (PR_SET_PDEATHSIG, prctl(2)), so that not even
SIGKILL leaves one behind.
"""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None, use_errno=True).prctl

STOP = frozenset({signal.SIGTERM, signal.SIGINT})
PATIENCE = 5.0
"""Seconds that children have to end by themselves."""


class ChildEnded(Exception):
    """A child ended that nobody asked to."""


def end_with_parent(parent: int) -> None:
    """Called in a child: be killed as soon as ``parent`` ends; end now if it has already."""
    if _prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        os._exit(1)


class Children:
    """A context manager; inside it, signals wait for ``watch`` and ``until``."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, {*STOP, signal.SIGCHLD})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    def start(self, name: str, argv: Sequence[str]) -> None:
        """Start a child in ``directory``; what it writes goes where our own output goes."""
        self._running[name] = subprocess.Popen(
            argv, cwd=self.directory, stdin=subprocess.DEVNULL, preexec_fn=partial(self._prepare, os.getpid())
        )

    def watch(self) -> None:
        """Until SIGTERM or SIGINT; raises ChildEnded."""
        while signal.sigwait({*STOP, signal.SIGCHLD}) not in STOP:
            self._check()

    def until(self, ready: Callable[[], bool], *, what: str, within: float) -> None:
        """Wait for what children bring about; raises ChildEnded, also after ``within`` seconds."""
        end = time.monotonic() + within
        while not ready():
            self._check()
            if time.monotonic() > end:
                raise ChildEnded(f"{what}: not after {within:.0f} s; why is in the output above")
            time.sleep(0.01)

    def _prepare(self, parent: int) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        end_with_parent(parent)

    def _check(self) -> None:
        for name, process in self._running.items():
            if (status := process.poll()) is not None:
                raise ChildEnded(f"{name}: ended with status {status}; why is in the output above")

    def _stop(self) -> None:
        """The last one started is the first one asked."""
        for process in reversed(self._running.values()):
            process.terminate()
        end = time.monotonic() + PATIENCE
        for process in self._running.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, end - time.monotonic()))
            process.kill()
            process.wait()
