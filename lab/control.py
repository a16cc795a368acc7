"""The control plane of a lab: its servers, and ``manage.py`` beside them.

machine's network namespace      fabric
127.0.0.1:8000  "people"         192.0.2.254:8000  "nodes", and the broker
            \\                      /
          one data directory: database, keys, the broker's UNIX socket
"""

import os
import secrets
import socket
import sys
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from lab import sandbox
from lab.namespaces import Namespace
from lab.processes import Program
from lab.rest import Api
from lab.waiting import until

ROOT = Path(__file__).resolve().parent.parent
MANAGE = str(ROOT / "manage.py")
PORT = 8000
BROKER_PORT = 6379
USER = "admin"
FIRST_START = f"""
from django.core.management import call_command
call_command("migrate", verbosity=0)
call_command("user", "add", "{USER}", "--role", "admin", "--password-stdin")
call_command("user", "token", "{USER}")
"""
"""Three commands in one process: every start of Django takes a second or two."""


class Control:
    """Servers for nodes (in the fabric, with the broker) and for people (on the machine's loopback)."""

    def __init__(self, directory: Path, fabric: Namespace, address: str) -> None:
        directory.mkdir()
        self.directory, self.fabric, self.address = directory, fabric, address
        self._host = f"[{address}]" if ":" in address else address
        self.machine = Namespace("machine", sandbox.machine())
        self.password = secrets.token_hex(6)
        self.url = f"http://{self._host}:{PORT}"
        self.settings = {"NETADMIN_DATA_DIR": str(directory)}
        self.nodes = self._server("server for nodes", ["--broker", "--bind", f"{self._host}:{PORT}"], fabric)
        self.port = _free_port(self.machine)
        self.people = self._server(
            "server for people", ["--no-broker", "--bind", f"127.0.0.1:{self.port}"], self.machine
        )

    @property
    def broker_url(self) -> str:
        return f"redis://{self._host}:{BROKER_PORT}/0"

    @property
    def people_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self, within: float = 60) -> Api:
        """Make the database and the first user, start the server for nodes; the user's API."""
        printed = self.manage("shell", "--no-imports", "-c", FIRST_START, stdin=f"{self.password}\n")
        self.nodes.start()
        self.answering(within)
        return Api(self.fabric, self.url, token=printed.split()[-1])

    def answering(self, within: float = 60) -> None:
        """Wait until the server for nodes answers."""
        _answers(self.nodes, self.url, within)

    def serve_people(self, within: float = 60) -> None:
        """Start the server on the machine's own loopback and wait until it answers."""
        self.people.start()
        _answers(self.people, self.people_url, within)

    def manage(self, *arguments: str, stdin: str = "") -> str:
        """``manage.py`` with arguments; returns what it printed. Raises CommandFailed."""
        return self.fabric.run(
            [sys.executable, MANAGE, *arguments], stdin=stdin, env=self._environment(), within=60
        )

    def broker_pid(self) -> int:
        """Process id of the embedded broker."""
        children = Path(f"/proc/{self.nodes.pid}/task/{self.nodes.pid}/children").read_text().split()
        return next(int(pid) for pid in children if "valkey" in Path(f"/proc/{pid}/comm").read_text())

    def kill(self) -> None:
        self.people.kill()
        self.nodes.kill()
        self.machine.close()

    def _server(self, name: str, arguments: list[str], namespace: Namespace) -> Program:
        return Program(
            name,
            [sys.executable, MANAGE, "serve", *arguments],
            namespace=namespace,
            env=self._environment(),
            log=self.directory / f"{name.replace(' ', '-')}.log",
        )

    def _environment(self) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith("NETADMIN_")}
        return {
            **ours,
            **self.settings,
            "NETADMIN_ALLOWED_HOSTS": f"localhost,127.0.0.1,{self._host}",
            "NETADMIN_BROKER_BIND": f"127.0.0.1,{self.address}",
        }


def _answers(server: Program, url: str, within: float) -> None:
    """Wait until a server that was started answers a request."""

    def answers() -> bool:
        server.check()
        connection = HTTPConnection(urlsplit(url).netloc, timeout=within)
        try:
            with server.namespace.entered():
                connection.connect()
            connection.request("GET", "/healthz")
            return connection.getresponse().status == HTTPStatus.OK
        except ConnectionError:  # nobody listens, or one who is just ending
            return False
        finally:
            connection.close()

    until(answers, what=f"{url} answers", within=within)


def _free_port(machine: Namespace) -> int:
    """The first port from 8000 on that nobody on the machine's loopback has taken."""
    for port in range(PORT, PORT + 100):
        with machine.entered(), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"ports {PORT} to {PORT + 99} of 127.0.0.1 are all taken; free one")
