"""Which nodes a lab has and how they see each other: data, nothing runs here.

flat(3)                       one level-2 underlay
flat(3, IPV6)                 one without IPv4
flat(3, filtering=True)       its switch passes packets from node to node only
racks(2, 2)                   n1 n2 | n3 n4, a router between
racks(1, 1, middle=1400)      n1 | n2, and large packets do not fit between them
"""

from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network, ip_interface
from itertools import count, islice

Subnet = IPv4Network | IPv6Network
Interface = IPv4Interface | IPv6Interface

UNDERLAY = IPv4Network("192.0.2.0/24")
"""TEST-NET-1 (RFC 5737): outside of every range a network is declared in."""
IPV6 = IPv6Network("2001:db8::/64")
"""For documentation (RFC 3849)."""
MTU = 1500
"""Bytes an underlay carries, unless said otherwise."""


@dataclass(frozen=True, slots=True)
class Member:
    """One node: its name and its address on the underlay."""

    name: str
    interface: Interface

    @property
    def address(self) -> str:
        return str(self.interface.ip)


@dataclass(frozen=True, slots=True)
class Rack:
    """Members on one level-2 segment; its router, where there are several, has the last address."""

    subnet: Subnet
    members: tuple[Member, ...]

    @property
    def gateway(self) -> Interface:
        return _interface(self.subnet[-2], self.subnet)


@dataclass(frozen=True, slots=True)
class Topology:
    """Racks in a row, each router linked to the first one; the control plane is on the first router."""

    racks: tuple[Rack, ...]
    middle: int = MTU
    """Bytes that the links between the routers carry."""
    filtering: bool = False
    """The switches drop IPv4 packets whose source or destination is no member, and IPv6."""

    @property
    def members(self) -> tuple[Member, ...]:
        return tuple(member for rack in self.racks for member in rack.members)

    @property
    def control(self) -> Interface:
        return self.racks[0].gateway

    def rack_of(self, member: Member) -> Rack:
        return next(rack for rack in self.racks if member in rack.members)


def flat(nodes: int, underlay: Subnet = UNDERLAY, *, filtering: bool = False) -> Topology:
    """``nodes`` members n1, n2, ... at the first addresses of the underlay.

    Raises ValueError when they do not fit beside the control plane.
    """
    return Topology((_rack(1, nodes, underlay),), filtering=filtering)


def racks(*sizes: int, middle: int = MTU) -> Topology:
    """Racks of so many members, each with an equal part of the underlay: n1, n2, ... through all of them.

    Raises ValueError when they do not fit.
    """
    bits = (len(sizes) - 1).bit_length()
    first = [1 + sum(sizes[:rack]) for rack in range(len(sizes))]
    subnets = UNDERLAY.subnets(bits)
    return Topology(tuple(map(_rack, first, sizes, subnets)), middle)


def _rack(first: int, nodes: int, subnet: Subnet) -> Rack:
    if nodes > subnet.num_addresses - 3:
        raise ValueError(f"{nodes} nodes do not fit into {subnet}; choose a larger underlay")
    numbered = zip(count(first), islice(subnet.hosts(), nodes), strict=False)
    return Rack(subnet, tuple(Member(f"n{n}", _interface(host, subnet)) for n, host in numbered))


def _interface(host: object, subnet: Subnet) -> Interface:
    return ip_interface(f"{host}/{subnet.prefixlen}")
