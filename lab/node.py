"""One node of a lab: a namespace on the underlay, directories of its own, a worker."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from lab.containers import Chain
from lab.control import ROOT
from lab.namespaces import CommandFailed, Namespace
from lab.processes import Program
from lab.syscalls import detach
from lab.topology import Member

PLUGINS = Path("/usr/lib/cni")
PROTOCOL = 157
"""Route protocol number by which the workers know their own."""


class Node:
    """The worker is a program of its own that knows nothing of the lab."""

    def __init__(self, member: Member, directory: Path, control_url: str, broker_url: str) -> None:
        self.name, self.member, self.directory = member.name, member, directory
        self.namespace = Namespace(member.name)
        self.confs, self.store, self.state = directory / "net.d", directory / "leases", directory / "state"
        self.netns = directory / "netns"
        self.state.mkdir(parents=True)
        self.worker = Program(
            f"worker of {self.name}",
            [sys.executable, "-m", "workers"],
            namespace=self.namespace,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT),
                "PYTHONUNBUFFERED": "1",
                "NETADMIN_NODE": self.name,
                "NETADMIN_URL": control_url,
                "NETADMIN_TOKEN_FILE": str(self._token),
                "NETADMIN_BROKER_URL": broker_url,
                "NETADMIN_STATE_DIR": str(self.state),
                "NETADMIN_CNI_PLUGINS": str(PLUGINS),
                "NETADMIN_CNI_CONFIG": str(self.confs),
                "NETADMIN_CNI_STORE": str(self.store),
                "NETADMIN_NETNS_DIR": str(self.netns),
            },
            log=directory / "worker.log",
        )

    @property
    def _token(self) -> Path:
        return self.directory / "token"

    def start(self, token: str) -> None:
        """Start the worker as this member of the cluster."""
        self._token.touch(mode=0o600)
        self._token.write_text(token)
        self.worker.start()

    def plan(self) -> list[str]:
        """What the worker would have to do now, by ``python -m workers plan``; empty: all is as declared."""
        done = self.namespace.call([*self.worker.argv, "plan"], env=self.worker.env)
        if done.returncode not in (0, 1):
            raise CommandFailed(f"{self.name}: workers plan: {done.stdout}{done.stderr}")
        return [line for line in done.stdout.splitlines() if line.startswith(("would:", "problem:"))]

    def links(self) -> set[str]:
        """Names of the interfaces."""
        return {link["ifname"] for link in self.ip("link", "show")}

    def chain(self, network: str) -> Chain:
        """The plugins of a network's file as the worker wrote it. Raises NotAttached."""
        return Chain(self.confs / f"{network}.conflist", PLUGINS)

    def ip(self, *arguments: str) -> list[dict[str, Any]]:
        """What ``ip -json ARGUMENTS`` shows in the node's namespace."""
        shown = self.namespace.run(["ip", "-json", *arguments])
        rows = json.loads(shown or "[]", object_pairs_hook=_first)
        return [row for row in rows if row]  # a link that a filter hides is a {}

    def namespace_of(self, service: str) -> Namespace:
        """The namespace that the worker made for a service (NS/svc/NAME); to be closed."""
        file = os.open(self.netns / service.replace("/", ".."), os.O_RDONLY | os.O_CLOEXEC)
        try:
            return Namespace(f"{service} on {self.name}", file)
        finally:
            os.close(file)

    def routes(self) -> dict[str, str]:
        """The worker's routes of the main table: destination to gateway (or device)."""
        shown = self.ip("route", "show", "proto", str(PROTOCOL))
        return {route["dst"]: route.get("gateway", route["dev"]) for route in shown}

    def power_off(self) -> None:
        """The kernel and what was on tmpfs are gone, the disk is not."""
        self.worker.kill()
        self.namespace.close()
        shutil.rmtree(self.store, ignore_errors=True)
        detach(str(self.netns))
        shutil.rmtree(self.netns, ignore_errors=True)

    def power_on(self) -> None:
        """A machine as it boots: its interfaces and the worker are still to come."""
        self.namespace = self.worker.namespace = Namespace(self.name)


def _first(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The first value of a key that is there twice: a route's own "dst", before that of its tunnel."""
    return dict(reversed(pairs))
