"""One network namespace: a file descriptor, and processes that live inside it.

A namespace belongs to a thread. To start a program in it, the calling thread steps inside,
forks, and steps back: the program knows nothing of it, no other thread notices, and no code
of ours runs between fork and exec.
"""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from lab.syscalls import CLONE_NEWNET, setns, unshare

Environment = Mapping[str, str] | None
"""None: as that of the lab."""
_OF_THREAD = "/proc/thread-self/ns/net"


class CommandFailed(RuntimeError):
    """A program ended with another exit status than 0; the message has what it wrote."""


class Namespace:
    """A network namespace; it ends with the last process and descriptor that uses it.

    with Namespace("n1") as namespace:
        namespace.run(["ip", "link", "set", "lo", "up"])
    """

    def __init__(self, name: str, fd: int | None = None) -> None:
        """A fresh namespace, or the one behind ``fd`` (which is duplicated)."""
        self.name = name
        self.fd = _fresh() if fd is None else os.dup(fd)

    @property
    def path(self) -> str:
        """A path that leads to it for every process of the sandbox while it is open here."""
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    @contextmanager
    def entered(self) -> Iterator[None]:
        """The calling thread is inside: what it forks and the sockets it opens belong there."""
        home = os.open(_OF_THREAD, os.O_RDONLY | os.O_CLOEXEC)
        try:
            setns(self.fd, CLONE_NEWNET)
            try:
                yield
            finally:
                setns(home, CLONE_NEWNET)
        finally:
            os.close(home)

    def popen(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a program inside; options as for subprocess.Popen."""
        with self.entered():
            return subprocess.Popen(argv, **options)

    def call(
        self,
        argv: Sequence[str],
        *,
        stdin: str = "",
        env: Environment = None,
        within: float = 30,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program inside to its end, at most ``within`` seconds, whatever its exit status."""
        with self.entered():
            return subprocess.run(
                argv, input=stdin, env=env, timeout=within, capture_output=True, text=True, check=False
            )

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: str = "",
        env: Environment = None,
        within: float = 30,
    ) -> str:
        """What a program printed that must succeed; raises CommandFailed when it does not."""
        done = self.call(argv, stdin=stdin, env=env, within=within)
        if done.returncode != 0:
            said = (done.stdout + done.stderr).strip()
            raise CommandFailed(f"{self.name}: {' '.join(argv)}: exit status {done.returncode}: {said}")
        return done.stdout

    def close(self) -> None:
        """Let go of it; without processes inside it is gone."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _fresh() -> int:
    home = os.open(_OF_THREAD, os.O_RDONLY | os.O_CLOEXEC)
    try:
        unshare(CLONE_NEWNET)
        try:
            return os.open(_OF_THREAD, os.O_RDONLY | os.O_CLOEXEC)
        finally:
            setns(home, CLONE_NEWNET)
    finally:
        os.close(home)
