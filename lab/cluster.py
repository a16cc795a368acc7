"""All of a lab together: the control plane, the nodes, what is declared, who is attached.

with Cluster(flat(3)) as cluster:
    cluster.declare("backend1", type="routed_bridge", network="10.11.0.0/16", ips_per_node=1024)
    cluster.converged("backend1", within=10)
    a, b = cluster.container("n1", "backend1"), cluster.container("n2", "backend1")
    assert cluster.ping(a, b).lost == 0
"""

import shutil
from contextlib import ExitStack
from itertools import count
from types import TracebackType
from typing import Any, Self

from lab import clean, sandbox
from lab.containers import Container
from lab.control import Control
from lab.node import Node
from lab.pings import Pings, ping
from lab.processes import Program
from lab.rest import Api
from lab.topology import Topology
from lab.underlay import Underlay
from lab.waiting import until_empty


class Cluster:
    """A context manager; everything it made is gone when it ends, on whatever way.

    Only inside a sandbox. What wires the nodes together is in namespaces of its own.
    """

    api: Api
    control: Control
    underlay: Underlay

    def __init__(self, topology: Topology, *, joined: int | None = None, look_interval: int = 30) -> None:
        """``joined``: how many of the nodes are members at the start; None: all.

        ``look_interval``: seconds between two looks of a worker.
        """
        if not sandbox.inside():
            raise sandbox.NotPermitted("The lab runs in a sandbox only: python -m lab.sandbox -- PROGRAM")
        self.topology, self.look_interval = topology, look_interval
        self._first = topology.members[:joined]
        self.nodes: dict[str, Node] = {}
        self.containers: list[Container] = []
        self._numbers = count(1)
        self._ends = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as ends:
            self.directory = ends.enter_context(clean.directory())
            self.underlay = ends.enter_context(Underlay(self.topology))
            address = str(self.topology.control.ip)
            self.control = Control(self.directory / "control", self.underlay.fabric, address)
            ends.callback(self.control.kill)
            self.api = self.control.start()
            self.api.patch("cluster/", look_interval=self.look_interval)
            ends.callback(self._close)
            for member in self._first:
                self.join(member.name)
            self._ends = ends.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.close()

    def _close(self) -> None:
        for node in self.nodes.values():
            node.power_off()
        for container in self.containers:
            container.namespace.close()

    # -- members

    def join(self, name: str) -> Node:
        """Make a node's machine, make the node a member, start its worker."""
        member = next(member for member in self.topology.members if member.name == name)
        node = Node(member, self.directory / name, self.control.url, self.control.broker_url)
        self.underlay.connect(member, node.namespace)
        self.nodes[name] = node
        self.api.post("nodes/", name=name, addresses=[member.address])
        node.start(self.api.post(f"nodes/{name}/token/")["token"])
        return node

    def reboot(self, name: str) -> None:
        """The node's machine starts anew: its kernel and what was on tmpfs are empty, its disk is not."""
        node = self.nodes[name]
        for container in [container for container in self.containers if container.host is node.namespace]:
            container.namespace.close()
            self.containers.remove(container)
        self.underlay.unplug(node.member)
        node.power_off()
        node.power_on()
        self.underlay.connect(node.member, node.namespace)
        node.worker.start()

    def remove(self, name: str) -> None:
        """Take a node out of the cluster; its machine and worker go on."""
        self.api.delete(f"nodes/{name}/")

    def scrap(self, name: str) -> None:
        """The node's machine is gone for good; whether it still is a member does not matter."""
        node = self.nodes.pop(name)
        self.underlay.unplug(node.member)
        node.power_off()
        shutil.rmtree(node.directory)

    # -- networks

    def declare(self, name: str, **fields: Any) -> Any:
        """POST a network; the answer. Raises Refused."""
        return self.api.post("networks/", name=name, **fields)

    def change(self, name: str, **fields: Any) -> Any:
        return self.api.patch(f"networks/{name}/", **fields)

    def withdraw(self, name: str) -> None:
        self.api.delete(f"networks/{name}/?force=true")

    def converged(self, *names: str, within: float) -> None:
        """Wait until every node in scope of these networks carries out the current version, and packets
        cross between all of them."""

        def behind() -> dict[str, Any]:
            self.check()
            shown = {name: self.api.get(f"networks/{name}/")["convergence"] for name in names}
            return {name: c for name, c in shown.items() if c["converged"] < c["nodes"] or not c["nodes"]}

        until_empty(behind, what=f"{', '.join(names)} converged", within=within)

    def probed(self, name: str, state: str, *, within: float) -> list[dict[str, Any]]:
        """Wait until every pair of a network's nodes stands so; the pairs as the API tells them."""

        def others() -> list[Any]:
            self.check()
            pairs = self.api.get(f"networks/{name}/probes/?page_size=1000")["results"]
            return [pair for pair in pairs if pair["state"] != state] if pairs else ["nothing is told yet"]

        until_empty(others, what=f"all pairs of {name} are {state}", within=within)
        return list(self.api.get(f"networks/{name}/probes/?page_size=1000")["results"])

    def current(self) -> set[str]:
        """Names of the nodes that carry out the version that is declared now."""
        self.check()
        return {row["name"] for row in self._members() if row["applied_version"] == row["desired_version"]}

    def settled(self, within: float) -> None:
        """Wait until every member whose worker runs carries out what is declared now."""

        def behind() -> list[str]:
            running = {row["name"] for row in self._members() if self.nodes[row["name"]].worker.running}
            return sorted(running - self.current())

        until_empty(behind, what="all nodes carry out what is declared", within=within)

    def _members(self) -> list[dict[str, Any]]:
        return list(self.api.get("nodes/?page_size=1000")["results"])

    def heard(self, name: str) -> str:
        """When a node last reported, as the API tells it; grows."""
        return str(self.api.get(f"nodes/{name}/")["last_seen"])

    def check(self) -> None:
        """Raises Died if a program ended that nobody stopped."""
        for program in self.programs():
            program.check()

    # -- containers

    def container(self, node: str, network: str) -> Container:
        """Attach a container by the CNI plugins. Raises NotAttached."""
        host = self.nodes[node]
        container = Container(f"c{next(self._numbers)}-{node}", host.namespace, host.chain(network))
        self.containers.append(container)
        return container

    def detach(self, container: Container) -> None:
        """Take a container off its network again."""
        container.delete()
        self.containers.remove(container)

    def ping(self, source: Container, target: Container, count: int = 3) -> Pings:
        return ping(source.namespace, target.address, count=count)

    def programs(self) -> list[Program]:
        """Every program of the lab that was started once."""
        servers = [self.control.nodes, self.control.people]
        everyone = [*servers, *(node.worker for node in self.nodes.values())]
        return [program for program in everyone if program.log.exists()]
