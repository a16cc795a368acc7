"""A private PostgreSQL for one command: ``python -m tests.postgres [--socket] -- COMMAND``.

    temporary directory -> initdb -> server on a free port of 127.0.0.1
        -> COMMAND with NETADMIN_DATABASE_URL -> server and directory gone

``--socket``: by its UNIX socket, which can be reached out of any network namespace.
The server ends with this process however that ends. Nothing of the machine's own
PostgreSQL is touched.
"""

import argparse
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

USER = "postgres"
PR_SET_PDEATHSIG = 1  # linux/prctl.h
START_SECONDS = 30.0


class Server:
    """A PostgreSQL of our own, to be stopped and started at will."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = _free_port()
        self.url = f"postgres://{USER}@127.0.0.1:{self.port}/postgres"
        self.socket_url = f"postgres://{USER}@{quote(str(directory), safe='')}:{self.port}/postgres"
        self._process: subprocess.Popen[bytes] | None = None
        shutil.chown(directory, USER)
        _run(
            [
                "initdb",
                "-D",
                f"{directory}/data",
                "-A",
                "trust",
                "--no-sync",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
            ]
        )

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.directory),
            "fsync": "off",
        }
        arguments = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with open(self.directory / "log", "ab") as log:
            self._process = subprocess.Popen(
                [str(_binary("postgres")), "-D", f"{self.directory}/data", *arguments],
                stdout=log,
                stderr=log,
                user=USER,
                group=USER,
                extra_groups=[],
                cwd=self.directory,
                preexec_fn=_end_with_parent,
            )
        deadline = time.monotonic() + START_SECONDS
        ready = [str(_binary("pg_isready")), "-q", "-h", str(self.directory), "-p", str(self.port)]
        while subprocess.run(ready, check=False).returncode != 0:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{(self.directory / 'log').read_text()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it at once; connections break."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
            self._process = None


@contextmanager
def server() -> Iterator[Server]:
    """A started server in a directory of its own, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="netadmin-postgres-") as name:
        running = Server(Path(name))
        try:
            running.start()
            yield running
        finally:
            running.stop()


def _binary(name: str) -> Path:
    """The newest installed release of Debian's."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[4]))
    if not found:
        raise FileNotFoundError(f"{name} is not installed; run: apt-get install postgresql")
    return found[-1]


def _run(command: list[str]) -> None:
    program = [str(_binary(command[0])), *command[1:]]
    subprocess.run(
        program, user=USER, group=USER, extra_groups=[], cwd="/", check=True, stdout=subprocess.DEVNULL
    )


def _end_with_parent() -> None:
    """In the child: SIGQUIT, the server's immediate shutdown, when we are gone (man 2 prctl).

    After the change of user, which would clear it: the server itself never changes it.
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(usage="python -m tests.postgres [--socket] -- COMMAND [ARGUMENT ...]")
    parser.add_argument("--socket", action="store_true", help="By its UNIX socket.")
    parser.add_argument("command", nargs="+", metavar="-- COMMAND")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with server() as running:
        url = running.socket_url if options.socket else running.url
        return subprocess.run(
            options.command, env={**os.environ, "NETADMIN_DATABASE_URL": url}, check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
