"""A DNS server of the cluster: PowerDNS in a namespace, and beside it the process that knows the names.

with NameServer(directory, namespace, environment) as server:
    server.dig("web.prod.svc.c1", "A")
"""

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from lab.control import MANAGE
from lab.namespaces import Namespace
from lab.processes import Program
from lab.resolver import Resolver
from lab.waiting import until

START = 60.0
"""Seconds; Django takes one or two, more under load."""


class NameServer:
    """Answers at ``address`` and ``port``; its two processes may be killed and started again."""

    def __init__(
        self,
        directory: Path,
        namespace: Namespace,
        settings: Mapping[str, str],
        address: str = "127.0.0.1",
        port: int = 5300,
        recursor: bool = False,
    ) -> None:
        """``settings``: those of the control plane whose database it reads. ``recursor``: one may be in
        front, and its cache is to be emptied."""
        directory.mkdir()
        self.namespace, self.address, self.port = namespace, address, port
        self.socket, self.control = directory / "dns.sock", directory / "pdns.controlsocket"
        self._config = directory / "pdns.conf"
        ours = {name: value for name, value in os.environ.items() if not name.startswith("NETADMIN_")}
        self._environment = {**ours, **settings}
        self.recursor_control = directory / "pdns_recursor.controlsocket"
        sockets = ["--socket", str(self.socket), "--control", str(self.control)]
        caches = ["--recursor", str(self.recursor_control)] if recursor else []
        self.backend = self._program("dns-serve", [*self._manage("serve"), *sockets, *caches], directory)
        self.pdns = self._program(
            "pdns",
            ["pdns_server", f"--config-dir={directory}", "--daemon=no", "--guardian=no", "--disable-syslog"],
            directory,
        )
        self._configure = [*self._manage("config", "pdns"), *sockets, "--authoritative", f"{address}:{port}"]

    def start(self) -> None:
        self._config.write_text(self.namespace.run(self._configure, env=self._environment, within=START))
        self.start_backend()
        self.start_pdns()

    def start_backend(self) -> None:
        self.backend.start()
        until(self._listens, what="dns serve listens", within=START)

    def start_pdns(self) -> None:
        self.pdns.start()
        until(self._answers, what="PowerDNS answers", within=START)

    def dig(self, *arguments: str) -> str:
        """What dig(1) prints when asked briefly for these."""
        return self.namespace.call(
            ["dig", f"@{self.address}", "-p", str(self.port), "+tries=1", "+time=5", *arguments]
        ).stdout

    def ask(self, name: str, kind: str = "A") -> list[str]:
        """The data of the answer, sorted."""
        return sorted(self.dig("+short", name, kind).splitlines())

    def resolver(self, kind: int = socket.SOCK_DGRAM) -> Resolver:
        """A client in the same namespace; to be closed."""
        return Resolver(self.namespace, self.address, self.port, kind)

    def status(self, name: str, kind: str = "A") -> str:
        """Of the answer: NOERROR, NXDOMAIN, REFUSED, SERVFAIL."""
        return self.dig("+noall", "+comments", name, kind).partition("status: ")[2].partition(",")[0]

    def control_command(self, command: str) -> str:
        """What PowerDNS answers on its control socket."""
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(self.control))
            peer.sendall(f"{command}\n".encode())
            return peer.recv(4096).decode()

    def configured(self, *arguments: str) -> str:
        """What ``manage.py dns config`` prints."""
        argv = [*self._manage("config"), *arguments]
        return self.namespace.run(argv, env=self._environment, within=START)

    def close(self) -> None:
        self.pdns.kill()
        self.backend.kill()

    def _listens(self) -> bool:
        self.backend.check()
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0

    def _answers(self) -> bool:
        self.pdns.check()
        return "status" in self.dig("+noall", "+comments", ".", "SOA")

    def _manage(self, *words: str) -> list[str]:
        return [sys.executable, MANAGE, "dns", *words]

    def _program(self, name: str, argv: list[str], directory: Path) -> Program:
        return Program(
            name, argv, namespace=self.namespace, env=self._environment, log=directory / f"{name}.log"
        )

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Recursor:
    """A recursor in front of a name server, in its namespace, on port 53; a context manager."""

    def __init__(self, directory: Path, server: NameServer, configuration: str) -> None:
        directory.mkdir()
        self._server = server
        self._control = server.recursor_control.parent
        self.config = directory / "recursor.conf"
        self.config.write_text(configuration)
        argv = [
            "pdns_recursor", f"--config-dir={directory}", f"--socket-dir={self._control}", "--daemon=no",
            "--write-pid=no", "--security-poll-suffix=",
        ]  # fmt: skip
        self.program = server._program("recursor", argv, directory)

    def ask(self, name: str, kind: str = "A") -> list[str]:
        """The data of the answer, sorted."""
        argv = ["dig", f"@{self._server.address}", "+tries=1", "+time=5", "+short", name, kind]
        return sorted(self._server.namespace.call(argv).stdout.splitlines())

    def resolver(self) -> Resolver:
        """A client in the same namespace; to be closed."""
        return Resolver(self._server.namespace, self._server.address, 53)

    def reload(self) -> None:
        """It takes the zones that its file has by now."""
        argv = ["rec_control", f"--config-dir={self.config.parent}", f"--socket-dir={self._control}"]
        self._server.namespace.run([*argv, "reload-zones"])

    def _answers(self) -> bool:
        """Not with a complaint of dig about an attempt that was refused."""
        found = self.ask("ns0.c1")
        return bool(found) and not any(line.startswith(";") for line in found)

    def __enter__(self) -> Self:
        self.program.start()
        try:
            until(self._answers, what="the recursor answers", within=START)
        except BaseException:
            self.program.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.program.kill()
