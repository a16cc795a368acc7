"""Whom to probe: the bridge address of every peer, in every family, by the way its route takes.

Document, Host -> Target ...
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from workers.document import DesiredNetwork, Document, Peer
from workers.host import Host, IPNetwork, first_address, subnet
from workers.kernel.routes import Hop, hops

Key = tuple[str, int, str]
"""Network, family, peer."""


class Target(NamedTuple):
    """One peer of one network in one family; another way to it is another target."""

    network: str
    peer: str
    family: int
    """4 or 6."""
    source: str
    """The bridge address of this node."""
    address: str
    """The bridge address of the peer."""
    size: int
    """Bytes of a full packet."""
    policy: str
    """The network's ``tunnel``."""
    device: str
    """Through which its route leads; empty: there is no way to it."""
    underlay: str
    """The peer's own address, to which that device sends: next hop or tunnel end; empty: none."""
    tunnel: str
    """Kind of the tunnel device; empty: direct."""

    @property
    def key(self) -> Key:
        return (self.network, self.family, self.peer)

    @property
    def way(self) -> str:
        """In words, for people."""
        if not self.device:
            return ""
        return (
            f"tunnel {self.device} to {self.underlay}"
            if self.tunnel
            else f"{self.device} via {self.underlay}"
        )


class _Segment(NamedTuple):
    """A subnet of a node."""

    version: int
    cidr: str
    address: str
    """The bridge's."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What of a host decides about targets: compared, to find out that nothing changed."""

    connected: tuple[tuple[IPNetwork, str], ...]
    mtus: tuple[int, ...]
    """Of the bridges of the document's networks; 0: there is none."""


def ground(document: Document, host: Host) -> Ground:
    """What of the host decides about the document's targets."""
    mtus = (link.mtu if (link := host.links.get(network.device)) else 0 for network in _probed(document))
    return Ground(tuple(host.subnets()), tuple(mtus))


def targets(document: Document, host: Host) -> list[Target]:
    """Everybody to probe; none when the document asks for no probes."""
    return [
        target
        for network in _probed(document)
        if network.device in host.links
        for target in _of_network(network, document.node, host)
    ]


def expected(document: Document) -> dict[tuple[str, int], int]:
    """How many peers each network has in each family, without looking at them one by one."""
    return {
        (network.name, subnet(cidr).version): len(network.peers) - 1
        for network in _probed(document)
        for cidr in network.subnets
    }


def _probed(document: Document) -> list[DesiredNetwork]:
    """A segment of its own and somebody else who has one."""
    if not document.probe_interval:
        return []
    return [network for network in document.networks if network.subnets and len(network.peers) > 1]


def _of_network(network: DesiredNetwork, node: str, host: Host) -> list[Target]:
    own = {segment.version: segment.address for segment in map(_segment, network.subnets)}
    mtu = host.links[network.device].mtu
    size = min(mtu, network.mtu or mtu)
    ways = {hop.dst: hop for hop in hops(network, node, host)}
    return [
        _target(network, peer, segment, own[segment.version], size, ways.get(segment.cidr))
        for peer in network.peers
        if peer.node != node
        for segment in map(_segment, peer.subnets)
        if segment.version in own
    ]


def _target(
    network: DesiredNetwork, peer: Peer, segment: _Segment, source: str, size: int, hop: Hop | None
) -> Target:
    return Target(
        network=network.name,
        peer=peer.node,
        family=segment.version,
        source=source,
        address=segment.address,
        size=size,
        policy=network.tunnel,
        device=hop.device if hop else "",
        underlay=_underlay(peer, segment.version, hop),
        tunnel=hop.way.kind if hop and hop.way else "",
    )


def _underlay(peer: Peer, version: int, hop: Hop | None) -> str:
    """Where packets to the peer go; without a way, its own address."""
    if hop:
        return hop.way.remote if hop.way else hop.via
    return next((one for one in peer.addresses if (":" in one) == (version == 6)), "")


@lru_cache(maxsize=1 << 14)
def _segment(cidr: str) -> _Segment:
    network = subnet(cidr)
    return _Segment(network.version, str(network), first_address(cidr).partition("/")[0])
