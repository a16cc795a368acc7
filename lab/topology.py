"""Which nodes a lab has and how they see each other: data, nothing runs here."""

from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network
from itertools import islice

UNDERLAY = IPv4Network("192.0.2.0/24")
"""TEST-NET-1 (RFC 5737): outside of every range a network is declared in."""


@dataclass(frozen=True, slots=True)
class Member:
    """One node: its name and its address on the underlay."""

    name: str
    interface: IPv4Interface

    @property
    def address(self) -> str:
        return str(self.interface.ip)


@dataclass(frozen=True, slots=True)
class Topology:
    """Members on one level-2 underlay, the control plane at its last address."""

    underlay: IPv4Network
    members: tuple[Member, ...]

    @property
    def control(self) -> IPv4Interface:
        return _interface(self.underlay[-2], self.underlay)


def flat(nodes: int, underlay: IPv4Network = UNDERLAY) -> Topology:
    """``nodes`` members n1, n2, ... at the first addresses of the underlay.

    Raises ValueError when they do not fit beside the control plane.
    """
    if nodes > underlay.num_addresses - 3:
        raise ValueError(f"{nodes} nodes do not fit into {underlay}; choose a larger underlay")
    hosts = enumerate(islice(underlay.hosts(), nodes), 1)
    return Topology(underlay, tuple(Member(f"n{n}", _interface(host, underlay)) for n, host in hosts))


def _interface(host: object, underlay: IPv4Network) -> IPv4Interface:
    return IPv4Interface(f"{host}/{underlay.prefixlen}")
