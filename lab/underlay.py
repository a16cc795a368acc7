"""The wires between the nodes: a bridge for each rack, a veth pair to each node.

    router of rack 1 ("fabric")                node n1
    underlay 192.0.2.126/25 -- n1 ============ eth0 192.0.2.1/25
       |                    \\ n2 ============ eth0 192.0.2.2/25
    rack2 198.51.100.2/31
       ||                                      a link of ``topology.middle`` bytes
    backbone 198.51.100.3/31
    underlay 192.0.2.254/25 -- n3 ============ eth0 192.0.2.129/25
    router of rack 2

Routers know the racks and nothing else: a packet to or from a container that no node wraps or
masquerades is not answered.
"""

from collections.abc import Iterable
from contextlib import ExitStack
from ipaddress import IPv4Network
from pathlib import Path
from types import TracebackType
from typing import Self

from lab.namespaces import Namespace
from lab.topology import Member, Rack, Topology

BRIDGE = "underlay"
UPLINK = "eth0"
"""A node's interface on the underlay."""
BACKBONE = "backbone"
"""A further router's interface to the first one, whose end is named after the rack."""
LINKS = IPv4Network("198.51.100.0/24")
"""TEST-NET-2: addresses of the routers' links."""
_AT_ONCE = {4: "", 6: " nodad"}
"""An IPv6 address is usable as soon as it is there."""


class Underlay:
    """A context manager: the routers' namespaces, with everything but the nodes."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self._routers: dict[Rack, Namespace] = {}
        self._ends = ExitStack()

    @property
    def fabric(self) -> Namespace:
        """The first rack's router; the control plane's servers are in it."""
        return self._routers[self.topology.racks[0]]

    def __enter__(self) -> Self:
        with ExitStack() as ends:
            for number, rack in enumerate(self.topology.racks):
                name = f"router {number + 1}" if number else "fabric"
                router = self._routers[rack] = ends.enter_context(Namespace(name))
                _switch(router, rack)
                if self.topology.filtering:
                    router.run(["nft", "-f", "-"], stdin=_filter(self.topology))
                if number:
                    _link(self.topology, number, self.fabric, router)
            self._ends = ends.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.close()

    def connect(self, member: Member, namespace: Namespace) -> None:
        """Plug one node in; it is reached when this returns."""
        rack = self.topology.rack_of(member)
        _batch(
            self._routers[rack],
            [
                f"link add {member.name} type veth peer name {UPLINK} netns {namespace.path}",
                f"link set {member.name} master {BRIDGE} up",
            ],
        )
        routed = [f"route add default via {rack.gateway.ip}"] if len(self.topology.racks) > 1 else []
        _batch(
            namespace,
            [
                "link set lo up",
                f"address add {member.interface} dev {UPLINK}{_AT_ONCE[member.interface.version]}",
                f"link set {UPLINK} up",
                *routed,
            ],
        )

    def unplug(self, member: Member) -> None:
        """Take the node's cable away; both ends are gone."""
        _batch(self._routers[self.topology.rack_of(member)], [f"link delete {member.name}"])


def _switch(router: Namespace, rack: Rack) -> None:
    _batch(
        router,
        [
            "link set lo up",
            f"link add {BRIDGE} type bridge",
            f"address add {rack.gateway} dev {BRIDGE}{_AT_ONCE[rack.gateway.version]}",
            f"link set {BRIDGE} up",
        ],
    )


def _link(topology: Topology, number: int, fabric: Namespace, router: Namespace) -> None:
    """Join the router of rack ``number`` (from 0) with the first one."""
    first, rack = topology.racks[0], topology.racks[number]
    near, far = LINKS[2 * number], LINKS[2 * number + 1]
    device = f"rack{number + 1}"
    _batch(
        fabric,
        [
            f"link add {device} mtu {topology.middle} type veth peer name {BACKBONE} netns {router.path}",
            f"address add {near}/31 dev {device}",
            f"link set {device} up",
        ],
    )
    _batch(
        router,
        [
            f"address add {far}/31 dev {BACKBONE}",
            f"link set {BACKBONE} mtu {topology.middle} up",
            f"route add default via {near}",
        ],
    )
    _batch(fabric, [f"route add {rack.subnet} via {far} src {first.gateway.ip}"])
    for namespace in (fabric, router):
        with namespace.entered():
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def _filter(topology: Topology) -> str:
    """A cloud's switch, or port security: what is not from a node to a node does not pass."""
    nodes = ", ".join(member.address for member in topology.members)
    return f"""
        table bridge underlay {{
            chain between {{
                type filter hook forward priority 0
                ip saddr != {{ {nodes} }} counter drop
                ip daddr != {{ {nodes} }} counter drop
                ether type ip6 drop
            }}
        }}
    """


def _batch(namespace: Namespace, commands: Iterable[str]) -> None:
    namespace.run(["ip", "-batch", "-"], stdin="\n".join(commands) + "\n")
