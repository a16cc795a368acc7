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
    there = list(_one_way(THERE, source, destination, 0))
    if _masqueraded(source, destination):
        return there[:1]
    return there + list(_one_way(BACK, destination, source, len(there)))


def _masqueraded(source: End, destination: End) -> bool:
    """From then on it is a packet of the node, and what comes back is undone there too."""
    return bool(source.network and not source.network.public and not destination.network)


def _one_way(way: str, source: End, destination: End, number: int) -> Iterator[Step]:
    if source.node and source.node == destination.node:
        yield _step(way, number, source.node, source, destination)
        return
    if source.node and (refusal := _refusal(source.node, destination)):
        yield Step(way, source.node, None, (refusal,))
        return
    if source.node:
        yield _step(way, number, source.node, source, destination, leaves=True)
        number += 1
    if destination.node:
        yield _step(way, number, destination.node, source, destination, arrives=True)


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


def _step(
    way: str,
    number: int,
    node: Node,
    source: End,
    destination: End,
    *,
    leaves: bool = False,
    arrives: bool = False,
) -> Step:
    over = destination.network if source.node and destination.node and (leaves or arrives) else None
    other = (destination.node if leaves else source.node) if over else None
    carried = _carried(over, source.node, destination) if over and source.node else None
    starts = "" if arrives else source.kind
    ends = "" if leaves else destination.kind
    leg = Leg(
        step=number,
        source=source.text,
        destination=destination.text,
        starts=starts,
        ends=ends,
        sender=source.container if starts else "",
        receiver=destination.container if ends else "",
        out_of=source.network.name if starts and source.network else "",
        into=destination.network.name if ends and destination.network else "",
        over=over.name if over else "",
        peer=other.name if other else "",
        reply=way == BACK,
        arrives=carried.kind if carried and arrives and carried.kind != "none" else "",
    )
    return Step(way, node, leg, tuple(_told(leg, node, source, destination, carried)))


def _told(leg: Leg, node: Node, source: End, destination: End, carried: Carried | None) -> Iterator[Told]:
    if leg.starts and source.network:
        yield _bridge(source.network, node, source.address)
    if not leg.ends:
        yield Told("route", f"{_segment(destination)} {carried}" if carried else "as the node routes")
    if leg.ends and destination.network:
        yield _bridge(destination.network, node, destination.address)
        yield Told("address", destination.holder)


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
