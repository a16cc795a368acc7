"""A node of its own for a test: a network namespace with an underlay, the worker's doors, directories.

    eth0 10.0.0.1/24 fd00:aa::1/64  <-- veth -->  wire

The namespace ends with the test; the machine's own interfaces are never seen.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.namespaces import Namespace
from lab.syscalls import detach
from tests.documents import settings
from workers.apply import apply
from workers.changes import Plan
from workers.config import Settings
from workers.document import Document
from workers.kernel.door import Kernel
from workers.objects import wanted
from workers.observe import Observed, observe
from workers.plan import plan
from workers.report import Finding

UNDERLAY = """
link set lo up
link add eth0 type veth peer name wire
link set wire up
addr add 10.0.0.1/24 dev eth0
addr add fd00:aa::1/64 dev eth0 nodad
link set eth0 up
"""


@dataclass
class Node:
    namespace: Namespace
    settings: Settings
    kernel: Kernel

    def look(self, document: Document | None) -> Observed:
        return observe(document, self.settings, self.kernel)

    def plan(self, document: Document) -> Plan:
        """The plan with all findings, those of the document included."""
        observed = self.look(document)
        objects, findings = wanted(document, observed.host, self.settings)
        made = plan(objects, observed.ours, observed.foreign)
        return Plan(made.changes, (*findings, *made.findings))

    def converge(self, document: Document) -> list[str]:
        """Carry out what is to do, all of it; the changes as sentences."""
        made = self.plan(document)
        assert self.carry_out(made) == []
        again = self.plan(document)
        assert not again, [str(change) for change in again.changes]
        return [str(change) for change in made.changes]

    def carry_out(self, made: Plan) -> list[Finding]:
        """Carry out what can be; what was refused."""
        return apply(made, self.kernel, lambda network: None)

    def ip(self, command: str) -> str:
        """An independent witness and hand: iproute2."""
        return self.namespace.run(["ip", *command.split()])

    def ip_json(self, command: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.ip(f"-j -d {command}") or "[]")
        return [one for one in found if one]

    def nft(self, command: str) -> str:
        return self.namespace.run(["nft", command])

    def link(self, device: str) -> dict[str, Any]:
        (found,) = self.ip_json(f"link show dev {device}")
        return found

    def addresses(self, device: str) -> list[str]:
        """Global addresses, in the kernel's order."""
        found = self.ip_json(f"addr show dev {device} scope global")
        return [f"{one['local']}/{one['prefixlen']}" for link in found for one in link["addr_info"] if one]

    def routes(self, table: str = "main", proto: str = "157") -> list[str]:
        """As ``DESTINATION HOP DEVICE``; the device's own segment without a hop."""
        found = [one for kind in (4, 6) for one in self.ip_json(f"-{kind} route show table all")]
        mine = [one for one in found if one.get("table", "main") == table and one["protocol"] == proto]
        return sorted(
            " ".join(filter(None, (one["dst"], one.get("gateway"), one.get("dev")))) for one in mine
        )

    def sysctl(self, name: str) -> str:
        return self.namespace.run(["cat", f"/proc/sys/{name}"]).strip()

    @property
    def directory(self) -> Path:
        return Path(self.settings.cni_config)

    def files(self) -> dict[str, str]:
        found = self.directory.iterdir() if self.directory.exists() else ()
        return {path.name: path.read_text() for path in found}

    def state(self) -> dict[str, Any]:
        """Everything that the worker could have built, but for counters and numbers."""
        links = [
            (one["ifname"], one.get("address", ""), one["mtu"], one["group"])
            for one in self.ip_json("link show")
        ]
        addresses = {name: self.addresses(name) for name, *_ in links}
        routes = [self.ip(f"-{kind} route show table all") for kind in (4, 6)]
        return {
            "links": sorted(links),
            "addresses": addresses,
            "routes": [sorted(_without_local(text)) for text in routes],
            "firewall": self.nft("list ruleset"),
            "files": self.files(),
        }


@contextmanager
def a_node(directory: Path, **values: Any) -> Iterator[Node]:
    """The calling thread is inside until the end of the block."""
    with Namespace("n1") as namespace:
        namespace.run(["ip", "-batch", "-"], stdin=UNDERLAY)
        made = settings(directory, **values)
        try:
            with namespace.entered(), Kernel() as kernel:
                yield Node(namespace, made, kernel)
        finally:
            detach(str(made.netns_dir))


def _without_local(text: str) -> list[str]:
    """Link-local, multicast and anycast routes come and go by themselves, the last with forwarding."""
    return [line for line in text.splitlines() if not re.search("fe80|ff00|anycast", line)]
