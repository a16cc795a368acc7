"""A control plane as real processes on loopback, with a data directory of its own."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def until(condition: Callable[[], bool], *, what: str, within: float = 60.0) -> float:
    """Wait for a condition; how many seconds it took."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < within, f"{what}: not after {within} s"
        time.sleep(0.02)
    return time.monotonic() - start


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def status_of(url: str) -> int:
    """HTTP status of a GET; 0: nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return int(error.code)
    except OSError:
        return 0


def children(pid: int) -> dict[int, str]:
    """Every descendant of a process: number to command line."""
    found: dict[int, str] = {}
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            command = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            found |= {child: command, **children(child)}
    return found


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class ControlPlane:
    def __init__(self, directory: Path) -> None:
        self.directory, self.broker_port = directory, free_port()
        ours = {name: value for name, value in os.environ.items() if not name.startswith("NETADMIN_")}
        self.environment = {
            **ours,
            "NETADMIN_DATA_DIR": str(directory),
            "NETADMIN_BROKER_PORT": str(self.broker_port),
        }

    def manage(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *arguments],
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=60,
        )

    @contextmanager
    def serving(self, *arguments: str, **environment: str) -> "Iterator[subprocess.Popen[bytes]]":
        """``manage.py serve``; whatever is left of it is killed at the end."""
        with (self.directory / "serve.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, str(ROOT / "manage.py"), "serve", *arguments],
                env={**self.environment, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            yield process
        finally:
            family = children(process.pid)
            process.kill()
            process.wait()
            for pid in filter(runs, family):
                os.kill(pid, signal.SIGKILL)

    @property
    def log(self) -> str:
        return (self.directory / "serve.log").read_text()

    def mode(self, name: str) -> int:
        """Permissions of a file of the data directory."""
        return stat.S_IMODE((self.directory / name).stat().st_mode)
