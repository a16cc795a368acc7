"""A DNS server of the cluster: PowerDNS in a namespace, and beside it the process that knows the names.

with NameServer(directory, namespace, environment) as server:
    server.dig("web.prod.svc.c1", "A")
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from lab.control import MANAGE
from lab.namespaces import Namespace
from lab.processes import Program
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
    ) -> None:
        """``settings``: those of the control plane whose database it reads."""
        directory.mkdir()
        self.namespace, self.address, self.port = namespace, address, port
        self.socket, self.control = directory / "dns.sock", directory / "pdns.controlsocket"
        self._config = directory / "pdns.conf"
        ours = {name: value for name, value in os.environ.items() if not name.startswith("NETADMIN_")}
        self._environment = {**ours, **settings}
        sockets = ["--socket", str(self.socket), "--control", str(self.control)]
        self.backend = self._program("dns-serve", [*self._manage("serve"), *sockets], directory)
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
        until(self._has_socket, what="dns serve has its socket", within=START)

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

    def status(self, name: str, kind: str = "A") -> str:
        """Of the answer: NOERROR, NXDOMAIN, REFUSED, SERVFAIL."""
        return self.dig("+noall", "+comments", name, kind).partition("status: ")[2].partition(",")[0]

    def close(self) -> None:
        self.pdns.kill()
        self.backend.kill()

    def _has_socket(self) -> bool:
        self.backend.check()
        return self.socket.exists()

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
