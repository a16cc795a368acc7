"""Several nodes on one underlay, each with the worker's doors: what a document does on all of them.

    n1 eth0 10.0.0.1/24 fd00:aa::1/64 --+
    n2 eth0 10.0.0.2/24 fd00:aa::2/64 --+-- switch
    n3 ...                            --+

Everything is in namespaces that end with the test.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.namespaces import Namespace
from tests.documents import document, settings
from tests.kernel.node import Node
from workers.document import DesiredNetwork, Document, Peer
from workers.kernel.door import Kernel

BOTH = ("4", "6")


@dataclass
class Underlay:
    """What joins the nodes, and the nodes by number, from 1."""

    switch: Namespace
    nodes: dict[int, Node]

    def converge(self, *networks: "Declared") -> dict[int, list[str]]:
        """Bring every node to what is declared, one after the other; what was done on each."""
        return {number: self.converge_one(number, *networks) for number in self.nodes}

    def converge_one(self, number: int, *networks: "Declared") -> list[str]:
        node = self.nodes[number]
        with node.namespace.entered():
            return node.converge(self.document(number, *networks))

    def document(self, number: int, *networks: "Declared") -> Document:
        return document(
            *(network.on(number) for network in networks), node=f"n{number}", addresses=_ends(number, BOTH)
        )

    def stranger(self, name: str, address: str) -> Namespace:
        """Somebody else on the underlay, who is no member; open until the caller closes it."""
        namespace = Namespace(name)
        self._plug(namespace, name)
        namespace.run(["ip", "addr", "add", address, "dev", "eth0", *(["nodad"] if ":" in address else [])])
        return namespace

    def _plug(self, namespace: Namespace, name: str, mtu: int = 1500) -> None:
        self.switch.run(["ip", "-batch", "-"], stdin=_PLUG.format(name=name, path=namespace.path, mtu=mtu))
        namespace.run(["ip", "-batch", "-"], stdin=f"link set lo up\nlink set eth0 mtu {mtu} up\n")


_PLUG = """
link add {name} mtu {mtu} type veth peer name eth0 netns {path}
link set {name} master switch
link set {name} up
"""


@dataclass(frozen=True)
class Declared:
    """One network as an operator declares it, with a segment for each node of ``members``."""

    name: str = "net"
    mode: str = "vxlan"
    tunnel: str = "always"
    inside: Sequence[str] = BOTH
    """Families of the network."""
    ends: Sequence[str] = BOTH
    """Families of the nodes' own addresses."""
    members: Sequence[int] = (1, 2)
    prefix: int = 11
    mtu: int = 0

    def on(self, number: int) -> DesiredNetwork:
        member = number in self.members
        peers = tuple(self._peer(one) for one in self.members) if member else ()
        return DesiredNetwork(
            name=self.name,
            type="routed_bridge",
            ranges=tuple(
                {"4": f"10.{self.prefix}.0.0/16", "6": f"fd{self.prefix}::/112"}[v] for v in self.inside
            ),
            subnets=self._segment(number),
            device=f"obr_{self.name}",
            adopted=False,
            public=False,
            mtu=self.mtu,
            tables=("main",),
            tunnel=self.tunnel,
            tunnel_mode=self.mode,
            peers=peers,
        )

    def bridge_addresses(self, number: int) -> list[str]:
        """Addresses of the node's bridge, without prefix length."""
        every = {
            "4": f"10.{self.prefix}.{(number - 1) * 4}.1",
            "6": f"fd{self.prefix}::{(number - 1) * 256 + 1:x}",
        }
        return [every[version] for version in self.inside]

    def _segment(self, number: int) -> tuple[str, ...]:
        every = {
            "4": f"10.{self.prefix}.{(number - 1) * 4}.0/22",
            "6": f"fd{self.prefix}::{(number - 1) * 256:x}/120",
        }
        return tuple(every[version] for version in self.inside)

    def _peer(self, number: int) -> Peer:
        ends = _ends(number, self.ends)
        return Peer(f"n{number}", ends, ends, self._segment(number))


@contextmanager
def an_underlay(directory: Path, count: int = 2, **values: Any) -> Iterator[Underlay]:
    """``count`` nodes side by side; ``mtu`` of the underlay may be given."""
    mtu = values.pop("mtu", 1500)
    with ExitStack() as opened:
        switch = opened.enter_context(Namespace("switch"))
        switch.run(["ip", "link", "add", "switch", "mtu", str(mtu), "up", "type", "bridge"])
        made = Underlay(switch, {})
        for number in range(1, count + 1):
            name = f"n{number}"
            namespace = opened.enter_context(Namespace(name))
            made._plug(namespace, name, mtu)
            namespace.run(["ip", "-batch", "-"], stdin=_ADDRESSES.format(number=number))
            with namespace.entered():
                kernel = opened.enter_context(Kernel())
            made.nodes[number] = Node(namespace, settings(directory / name, node=name, **values), kernel)
        yield made


_ADDRESSES = """
addr add 10.0.0.{number}/24 dev eth0
addr add fd00:aa::{number}/64 dev eth0 nodad
"""


def _ends(number: int, versions: Sequence[str]) -> tuple[str, ...]:
    return tuple({"4": f"10.0.0.{number}", "6": f"fd00:aa::{number}"}[version] for version in versions)
