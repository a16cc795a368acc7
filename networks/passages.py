"""The way of a packet as it is declared: which nodes it passes, and what each is asked; pure but for rows.

    two ends -> steps there, steps back -> per node: legs, echoes

A step is what happens on one node. One that cannot be asked about, since nothing is declared that
would carry the packet, says so in place of a leg.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from netaddr import IPAddress

from networks import addressing, mtu
from networks.ends import End, cidrs_on
from networks.models import Network, Tunnel
from nodes.models import Node
from workers.document import OVERHEADS
from workers.explained import Echo, Leg

THERE, BACK = "there", "back"


@dataclass(frozen=True, slots=True)
class Told:
    """A hop as far as the rows know it."""

    kind: str
    declared: str
    why: str = ""
    """What is missing for it to be a way at all."""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    way: str
    """``there`` or ``back``."""
    node: Node
    leg: Leg | None
    told: tuple[Told, ...]


@dataclass(frozen=True, slots=True)
class Carried:
    """How one node reaches a peer's segment of a network."""

    kind: str
    """``direct``, ``tunnel``, ``none``, or empty: the node has not reported what it is connected to."""
    to: str = ""
    """Next hop, or other end of the tunnel."""
    mode: str = ""

    def __str__(self) -> str:
        if self.kind == "direct":
            return f"via {self.to}"
        if self.kind == "tunnel":
            return f"to {self.to} by {self.mode} tunnel"
        return "no way" if self.kind == "none" else "direct or by tunnel, as the node is connected"


def steps(source: End, destination: End) -> list[Step]:
    """There, then back; numbered through."""
    there = list(_Direction(THERE, source, destination).steps(0))
    if _masqueraded(source, destination):
        return there[:1]
    return there + list(_Direction(BACK, destination, source).steps(len(there)))


def _masqueraded(source: End, destination: End) -> bool:
    """From then on it is a packet of the node, and what comes back is undone there too."""
    return bool(source.network and not source.network.public and not destination.network)


@dataclass(frozen=True, slots=True)
class _Direction:
    way: str
    source: End
    destination: End

    def steps(self, number: int) -> Iterator[Step]:
        """On the node of the source, then on that of the destination; as far as they are nodes of ours."""
        one, two = self.source.node, self.destination.node
        if one and one == two:
            leg = self._leg(number, **self._start(), **self._end())
            yield self._step(one, leg, [*self._whence(one), *self._whither(one)])
            return
        if one and (refusal := _refusal(one, self.destination)):
            yield Step(self.way, one, None, (refusal,))
            return
        yield from self._apart(number, one, two)

    def _apart(self, number: int, one: Node | None, two: Node | None) -> Iterator[Step]:
        """Out of one node and into another; a node that is missing is none of ours."""
        over = self.destination.network if one and two else None
        carried = _carried(over, one, self.destination) if over and one else None
        if one:
            declared = f"{_segment(self.destination)} {carried}" if carried else "as the node routes"
            leg = self._leg(number, **self._start(), **_between(over, two))
            yield self._step(one, leg, [*self._whence(one), Told("route", declared)])
        if two:
            arrives = carried.kind if carried and carried.kind != "none" else ""
            leg = self._leg(number + bool(one), **self._end(), **_between(over, one), arrives=arrives)
            yield self._step(two, leg, self._whither(two))

    def _step(self, node: Node, leg: Leg, told: list[Told]) -> Step:
        return Step(self.way, node, leg, tuple(told))

    def _leg(self, number: int, **fields: str) -> Leg:
        return Leg(number, self.source.text, self.destination.text, reply=self.way == BACK, **fields)

    def _start(self) -> dict[str, str]:
        end = self.source
        network = end.network.name if end.network else ""
        return {"starts": end.kind, "sender": end.container, "out_of": network}

    def _end(self) -> dict[str, str]:
        end = self.destination
        network = end.network.name if end.network else ""
        return {"ends": end.kind, "receiver": end.container, "into": network}

    def _whence(self, node: Node) -> list[Told]:
        end = self.source
        return [_bridge(end.network, node, end.address)] if end.network else []

    def _whither(self, node: Node) -> list[Told]:
        end = self.destination
        held = Told("address", end.holder)
        return [_bridge(end.network, node, end.address), held] if end.network else [held]


def _between(over: Network | None, other: Node | None) -> dict[str, str]:
    """The network that carries the packet between two nodes of ours, and the other one."""
    return {"over": over.name, "peer": other.name} if over and other else {}


def _refusal(node: Node, destination: End) -> Told | None:
    """Why nothing is declared that would carry a packet from this node to another one of ours."""
    network = destination.network
    if destination.node is None or network is None:
        return None
    if not network.is_segmented:
        there = f"{destination.text}@{destination.node}"
        why = f"{network.name} is a local bridge, so {node} has no route to {there}"
        return Told("route", "no way", why, "Declare a network of type routed_bridge for what nodes share")
    if not network.segments.filter(node=node).exclude(subnet="").exists():
        why = f"{node} has no part in {network.name}, so it has no route to {destination.node}"
        return Told("route", "no way", why, f"Take {node} into the scope of {network.name}")
    return None


def _bridge(network: Network, node: Node, address: IPAddress) -> Told:
    cidr = next((one for one in cidrs_on(network, node) if one.version == address.version), None)
    own = f" {addressing.first_address(cidr)}/{cidr.prefixlen}" if cidr else ""
    return Told("bridge", f"{network.device}{own}")


def _segment(destination: End) -> str:
    assert destination.network is not None
    assert destination.node is not None
    cidrs = cidrs_on(destination.network, destination.node)
    return str(next((one for one in cidrs if destination.address in one), destination.text))


# -- from node to node


def _carried(network: Network, node: Node, destination: End) -> Carried:
    peers = {peer["node"]: peer for peer in json.loads(network.peers_body or "[]")}
    assert destination.node is not None
    return carried(
        network,
        peers.get(node.name, {}),
        peers.get(destination.node.name, {}),
        node.underlay,
        destination.address.version,
    )


def carried(
    network: Network,
    own: Mapping[str, Any],
    peer: Mapping[str, Any],
    underlay: Mapping[str, int],
    version: int,
) -> Carried:
    """The decision that the node takes, from what it reported of its interfaces."""
    gateway = _of(version, peer.get("gateways", ()))
    if gateway and network.tunnel != Tunnel.ALWAYS:
        if not underlay:
            return Carried("")
        if mtu.on_link(gateway, underlay):
            return Carried("direct", gateway)
    if network.tunnel != Tunnel.NEVER:
        for over in sorted((4, 6), key=lambda one: one != version):
            end = _of(over, peer.get("addresses", ()))
            if over in OVERHEADS[network.tunnel_mode] and end and _of(over, own.get("addresses", ())):
                return Carried("tunnel", end, network.tunnel_mode)
    return Carried("none")


def _of(version: int, addresses: Any) -> str:
    return next((text for text in addresses if (":" in text) == (version == 6)), "")


# -- echoes


def echoes(step: Step, source: End, destination: End, *, outside: bool) -> list[Echo]:
    """What the node of a step tries: the whole rest of the way, from its bridge.

    ``outside``: also to addresses that are no business of the cluster's.
    """
    leg, (sender, target) = step.leg, _ends(step, source, destination)
    if leg is None or leg.ends in ("bridge", "node") or (target.kind == "outside" and not outside):
        return []
    network = sender.network if leg.starts else target.network
    cidrs = cidrs_on(network, step.node) if network else []
    own = next((one for one in cidrs if one.version == target.address.version), None)
    first = str(addressing.first_address(own)) if own else ""
    mtus = [
        end.network.effective_mtu for end in (sender, target) if end.network and end.network.effective_mtu
    ]
    return [
        Echo(sender.text if leg.starts in ("bridge", "node") else first, target.text, min(mtus, default=0))
    ]


def _ends(step: Step, source: End, destination: End) -> tuple[End, End]:
    return (source, destination) if step.way == THERE else (destination, source)
