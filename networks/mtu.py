"""The MTU of a routed network: the largest packet that crosses between any two of its nodes.

    least MTU of its nodes' underlays - what the tunnels put around a packet

With tunnel=auto the tunnels count when one node's next hop is on no subnet that another one is
connected to. What nodes have not reported yet is not known and not counted.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from netaddr import AddrFormatError, IPAddress, IPNetwork

from networks.models import Network, Tunnel
from workers.document import OVERHEADS


@dataclass(frozen=True, slots=True)
class Member:
    """A node of the network."""

    addresses: Sequence[str]
    """Tunnel ends, at most one of each family."""
    gateways: Sequence[str]
    """Next hops towards it."""
    underlay: Mapping[str, int]
    """Addresses with prefix length of its interfaces, and their MTU; empty: not reported yet."""

    @property
    def mtu(self) -> int | None:
        """Of the interface that holds its address; as the worker finds it."""
        held = {text.partition("/")[0]: mtu for text, mtu in self.underlay.items()}
        return next((held[address] for address in self.addresses if address in held), None)


def computed(network: Network, members: Iterable[Member]) -> int | None:
    """Bytes; None while no node has reported the interface that holds its address."""
    known = [member for member in members if member.underlay]
    mtus = [mtu for member in known if (mtu := member.mtu) is not None]
    if not mtus:
        return None
    return min(mtus) - (_overhead(network, known) if _tunnels(network, known) else 0)


def _tunnels(network: Network, members: Sequence[Member]) -> bool:
    if network.tunnel == Tunnel.AUTO:
        return not _adjacent(network, members)
    return network.tunnel == Tunnel.ALWAYS


def _adjacent(network: Network, members: Sequence[Member]) -> bool:
    """Whether each node reaches each other's next hop, of each family inside, on a connected subnet."""
    hops = {_of(version, member.gateways) for member in members for version in _inside(network)}
    if len(members) > 1 and "" in hops:
        return False
    grounds = {frozenset(member.underlay) for member in members}
    return all(on_link(hop, ground) for ground in grounds for hop in hops)


def on_link(hop: str, ground: Iterable[str]) -> bool:
    address = IPAddress(hop)
    return any(address in subnet for text in ground if (subnet := _subnet(text)) is not None)


def _overhead(network: Network, members: Sequence[Member]) -> int:
    """The most that any tunnel between two nodes costs: ends are of the family inside where all have one."""
    costs = OVERHEADS[network.tunnel_mode]
    found = []
    for inside in _inside(network):
        everywhere = inside in costs and all(_of(inside, member.addresses) for member in members)
        found += [costs[inside]] if everywhere else list(costs.values())
    return max(found, default=0)


def _inside(network: Network) -> list[int]:
    return [cidr.version for cidr in network.cidrs]


def _of(version: int, addresses: Iterable[str]) -> str:
    return next((text for text in addresses if (":" in text) == (version == 6)), "")


@lru_cache(maxsize=1 << 14)
def _subnet(text: str) -> IPNetwork | None:
    """None for what a node reports that is no address with prefix length."""
    try:
        return IPNetwork(text)
    except (AddrFormatError, ValueError):
        return None
