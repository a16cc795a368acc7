"""Desired-state documents of a cluster of nodes, as the control plane would render them."""

from collections.abc import Sequence
from typing import Any

from workers import document


def peer(number: int) -> dict[str, Any]:
    """Node n1, n2, ...: underlay 10.0.0.N and the N-th /24 of 10.11.0.0/16."""
    return {
        "node": f"n{number}",
        "addresses": [f"10.0.0.{number}"],
        "gateways": [f"10.0.0.{number}"],
        "subnets": [f"10.11.{number}.0/24"],
    }


def backend(name: str = "backend1", peers: int = 3) -> dict[str, Any]:
    """A routed_bridge network, as node n1 sees it."""
    return {
        "name": name,
        "type": "routed_bridge",
        "ranges": ["10.11.0.0/16"],
        "subnets": ["10.11.1.0/24"],
        "device": f"obr_{name}",
        "adopted": False,
        "public": False,
        "mtu": 0,
        "tables": ["main"],
        "tunnel": "auto",
        "tunnel_mode": "ipip",
        "peers": [peer(number) for number in range(1, peers + 1)],
    }


def bridge(name: str, cidr: str) -> dict[str, Any]:
    """A network of this node alone."""
    alone = {"name": name, "type": "bridge", "device": f"obr_{name}", "peers": []}
    return {**backend(), **alone, "ranges": [cidr], "subnets": [cidr]}


def body(
    *networks: dict[str, Any],
    node: str = "n1",
    look_interval: float = 30,
    config: str = "",
    plugins: str = "",
    confirm: float = 0,
    probe_interval: float = 0,
    attempt: int = 0,
    lease_grace: float = 300,
) -> bytes:
    """The bytes of a document with these networks."""
    lists = {}
    for network in networks:
        rendered = document.canonical(network["peers"])
        lists[document.digest(rendered)] = rendered
    head = {
        "cluster": "c1",
        "node": node,
        "addresses": ["10.0.0.1"],
        "look_interval": look_interval,
        "confirm": confirm,
        "probe_interval": probe_interval,
        "lease_grace": lease_grace,
        "attempt": attempt,
        "cni": {"plugins": plugins, "config": config},
        "ranges": [cidr for network in networks for cidr in network["ranges"]],
        "networks": [_pointing(network) for network in networks],
    }
    return document.assemble(document.canonical(head), lists)


def version(of: bytes) -> str:
    return document.parse(of).version


def _pointing(network: dict[str, Any]) -> dict[str, Any]:
    return {**network, "peers": document.digest(document.canonical(network["peers"]))}


def routes(of: Sequence[str]) -> set[str]:
    """The destinations in lines of ``ip route``."""
    return {line.split()[0] for line in of if line}
