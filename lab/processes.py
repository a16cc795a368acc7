"""A program of the lab: started in a namespace, with a log file of its own."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from lab.namespaces import Namespace


class Died(RuntimeError):
    """A program that should run has ended; the message has the end of its log."""


class Program:
    """What to run and where; it may be started, stopped and started again.

    It leads a session, so that Ctrl-C at the terminal reaches the lab alone, which then
    stops its programs in order.
    """

    def __init__(
        self, name: str, argv: Sequence[str], *, namespace: Namespace, env: Mapping[str, str], log: Path
    ) -> None:
        self.name, self.argv, self.namespace, self.env, self.log = name, argv, namespace, env, log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Raises Died when it does not run."""
        if self._process is None:
            raise Died(f"{self.name} was not started")
        self.check()
        return self._process.pid

    @property
    def running(self) -> bool:
        """Started and neither stopped nor killed by the lab."""
        return self._process is not None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = self.namespace.popen(
                self.argv,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def check(self) -> None:
        """Raises Died if it ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            code = self._process.returncode
            raise Died(f"{self.name} ended with {code}; the end of {self.log}:\n{self.tail()}")

    def stop(self, within: float = 10) -> int:
        """Ask it to end and wait: its exit status. After ``within`` seconds it is killed."""
        if self._process is None:
            return 0
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(within)
        return self.kill()

    def kill(self) -> int:
        """SIGKILL, for it and all that it started; its exit status."""
        if self._process is None:
            return 0
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        status = self._process.wait()
        self._process = None
        return status

    def tail(self, lines: int = 20) -> str:
        """The end of its log, indented."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join("    " + line for line in text.splitlines()[-lines:])
