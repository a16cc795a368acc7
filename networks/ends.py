"""The two ends of a packet's way, as people name them.

    10.11.0.7           an address of a network, of a node, or outside
    10.22.0.5@n1        one of a local bridge, which each node has for itself
    n1                  a node: its bridge address in the network that the other end or ``network`` names
    root/svc/web        a service, a container (the beginning of its id is enough) or a host name that
    0f3c59d2            holds one address

An address that nobody holds is an end like any other; one that no node could hold is refused with
what would have to be declared.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import Q
from netaddr import IPAddress, IPNetwork, valid_ipv4, valid_ipv6

from netadmin.problems import Fault, Missing, Problem
from networks import addressing
from networks.lookups import suggestion, the_network, the_node
from networks.models import Address, Network, Segment, Type
from nodes.models import Node

MOST = 5
"""Addresses that a refusal lists."""
SHORTEST = 4
"""Characters of a container's id that may stand for it."""


@dataclass(frozen=True, slots=True)
class End:
    address: IPAddress
    kind: str
    """``container``: somewhere on a bridge; ``bridge``: its own address; ``node``: another address of a
    node; ``outside``: nothing of ours."""
    node: Node | None = None
    network: Network | None = None
    """Of a container or bridge."""
    container: str = ""
    """Who holds it, as far as the rows know; empty: nobody."""
    service: str = ""

    @property
    def text(self) -> str:
        return str(self.address)

    @property
    def holder(self) -> str:
        """In words."""
        if self.kind == "bridge":
            return f"bridge of {self.node}"
        if self.kind == "node":
            return f"node {self.node}"
        if self.kind == "outside":
            return "outside"
        return self.service or (f"container {self.container[:12]}" if self.container else "nobody")


@dataclass(frozen=True, slots=True)
class _Hints:
    """What the other end or the question says about an end that is a name."""

    network: Network | None
    version: int | None


def resolve(source: str, destination: str, network: str = "") -> tuple[End, End]:
    """Both ends; raises Problem or Missing with the field that cannot be understood."""
    chosen = the_network(network) if network else None
    given = {"source": source.strip(), "destination": destination.strip()}
    if empty := [
        Fault(field, "", "is empty", "Give an address or a name") for field, text in given.items() if not text
    ]:
        raise Problem(*empty)
    found = {field: _address(field, text) for field, text in given.items() if _is_address(text)}
    for field, text in given.items():
        if field not in found:
            other = next(iter(found.values()), None)
            hints = _Hints(
                chosen or (other.network if other else None), other.address.version if other else None
            )
            found[field] = _named(field, text, hints)
    ends = found["source"], found["destination"]
    _check(ends, given)
    return ends


def _check(ends: tuple[End, End], given: dict[str, str]) -> None:
    one, two = ends
    if one.address.version != two.address.version:
        why = f"is IPv{two.address.version}, and {given['source']} is IPv{one.address.version} ({one.text})"
        raise Problem(
            Fault("destination", given["destination"], why, "Give two addresses of one family, or network")
        )
    if one.address == two.address and one.node == two.node:
        raise Problem(
            Fault("destination", given["destination"], "is the source too", "Give two different ends")
        )
    if one.node is None and two.node is None:
        why = f"is of no network and no node, and neither is {given['destination']}"
        known = ", ".join(network.network for network in Network.objects.exclude(network=""))
        raise Problem(Fault("source", given["source"], why, f"Give an address of one of {known}"))


# -- addresses


def _is_address(text: str) -> bool:
    plain = text.partition("@")[0]
    return bool(valid_ipv4(plain, 0) or valid_ipv6(plain)) and "/" not in plain


def _address(field: str, text: str) -> End:
    plain, _, name = text.partition("@")
    address = IPAddress(plain)
    if address.is_link_local() or address.is_loopback() or address.is_multicast() or not address.value:
        raise Problem(
            Fault(field, text, "is no address that packets cross nodes with", "Give one of a network or node")
        )
    node = the_node(name) if name else None
    network = _network_of(address, node)
    if network is None:
        return _beside_networks(address, node)
    if network.type not in (Type.ROUTED_BRIDGE, Type.BRIDGE):
        why = f"is in {network.name} of type {network.type}, and its plugin alone knows the ways there"
        raise Problem(Fault(field, text, why, "Give an address of a bridge or routed_bridge network"))
    if network.is_segmented:
        return _in_segment(field, text, address, network, node)
    return _on_local_bridge(field, text, address, network, node)


def _network_of(address: IPAddress, node: Node | None) -> Network | None:
    """Ranges do not overlap, but for those that a node has for itself."""
    own = Segment.objects.exclude(own_range="").select_related("network")
    for segment in own.filter(node=node) if node else own:
        if address in IPNetwork(segment.own_range):
            return segment.network
    networks = Network.objects.exclude(network="").defer("peers_body")
    return next((row for row in networks if _inside(address, row.cidrs)), None)


def _inside(address: IPAddress, cidrs: Iterable[IPNetwork]) -> bool:
    return any(address in cidr for cidr in cidrs)


def _beside_networks(address: IPAddress, node: Node | None) -> End:
    text = str(address)
    for row in Node.objects.all():
        held = {*row.addresses, *(one.partition("/")[0] for one in row.underlay)}
        if text in held and node in (None, row):
            return End(address, "node", row)
    return End(address, "outside")


def _in_segment(field: str, text: str, address: IPAddress, network: Network, node: Node | None) -> End:
    rows = network.segments.exclude(node=None).exclude(subnet="").select_related("node")
    segment = next((row for row in rows if _inside(address, row.cidrs)), None)
    if segment is None or segment.node is None:
        why = f"is in {network.name}, but in no node's segment"
        remedy = f"Segments: {_listed(rows)}" if rows else "No node has a segment yet: add one"
        raise Problem(Fault(field, text, why, remedy))
    if node not in (None, segment.node):
        why = f"is in the segment of {segment.node}, not of {node}"
        raise Problem(Fault(field, text, why, f"Leave @{node} out"))
    return _held(address, network, segment.node, segment.cidrs)


def _listed(rows: Iterable[Segment]) -> str:
    words = [f"{row.subnet} on {row.node}" for row in rows]
    return ", ".join(words[:MOST]) + (f" and {len(words) - MOST} more" if len(words) > MOST else "")


def _on_local_bridge(field: str, text: str, address: IPAddress, network: Network, node: Node | None) -> End:
    scope = {row.pk: row for row in network.scope()}
    if node is None:
        holders = Address.objects.filter(network=network, address=address).exclude(allocation__node=None)
        nodes = {
            row.allocation.node_id: row.allocation.node for row in holders.select_related("allocation__node")
        }
        candidates = list(nodes.values()) if len(nodes) == 1 else list(scope.values())
        if len(candidates) != 1:
            why = f"is in {network.name}, a local bridge that {len(candidates)} nodes have for themselves"
            raise Problem(Fault(field, text, why, f"Say on which node: {address}@NODE"))
        node = candidates[0]
    assert node is not None
    if node.pk not in scope:
        why = f"is in {network.name}, which {node} is not to have"
        names = ", ".join(row.name for row in scope.values())
        raise Problem(Fault(field, text, why, f"Its nodes are {names}" if names else "No node is to have it"))
    return _held(address, network, node, cidrs_on(network, node))


def cidrs_on(network: Network, node: Node) -> list[IPNetwork]:
    """What a node has of a network: its segment, its own range, or the range of all."""
    segment = network.segments.filter(node=node).first()
    if network.is_segmented:
        return segment.cidrs if segment else []
    return (
        [IPNetwork(text) for text in segment.own_range.split()]
        if segment and segment.own_range
        else network.cidrs
    )


def _held(address: IPAddress, network: Network, node: Node, cidrs: Sequence[IPNetwork]) -> End:
    if any(addressing.first_address(cidr) == address for cidr in cidrs):
        return End(address, "bridge", node, network)
    rows = Address.objects.filter(network=network, address=address).select_related("allocation")
    row = rows.filter(Q(allocation__node=node) | Q(allocation__node=None)).first()
    container, service = (row.allocation.container, row.allocation.service) if row else ("", "")
    return End(address, "container", node, network, container, service)


# -- names


def _named(field: str, text: str, hints: _Hints) -> End:
    if node := Node.objects.filter(name=text).first():
        return _bridge_of(field, node, hints)
    rows = Address.objects.exclude(allocation__node=None).select_related("network", "allocation__node")
    named = Q(allocation__service=text) | Q(allocation__hostname=text)
    if len(text) >= SHORTEST or rows.filter(allocation__container=text).exists():
        named |= Q(allocation__container__startswith=text)
    found = [row for row in rows.filter(named) if hints.version in (None, row.address.version)]
    if hints.network and any(row.network == hints.network for row in found):
        found = [row for row in found if row.network == hints.network]
    if not found:
        known = [
            *Node.objects.values_list("name", flat=True),
            *rows.values_list("allocation__service", flat=True),
        ]
        why = "is no address, node, service, container or host name that holds an address"
        raise Missing(Fault(field, text, why, suggestion(text, {name for name in known if name})))
    fours = [row for row in found if row.address.version == found[0].address.version]
    if len({(row.address, row.allocation.node_id) for row in fours}) > 1:
        listed = ", ".join(f"{row.address}@{row.allocation.node}" for row in fours[:MOST])
        raise Problem(Fault(field, text, f"holds {len(fours)} addresses", f"Name one of them: {listed}"))
    row = fours[0]
    node = row.allocation.node
    assert node is not None
    return _held(row.address, row.network, node, cidrs_on(row.network, node))


def _bridge_of(field: str, node: Node, hints: _Hints) -> End:
    network = hints.network or _only_network(field, node)
    cidrs = [cidr for cidr in cidrs_on(network, node) if hints.version in (None, cidr.version)]
    if not network.scope().filter(pk=node.pk).exists() or not cidrs:
        family = f"IPv{hints.version} " if hints.version else ""
        why = f"has no {family}bridge address in {network.name}"
        others = [row.name for row in _networks_of(node)]
        raise Problem(
            Fault(field, node.name, why, f"Give an address, or network: {', '.join(others) or 'none'}")
        )
    return End(addressing.first_address(cidrs[0]), "bridge", node, network)


def _only_network(field: str, node: Node) -> Network:
    networks = _networks_of(node)
    routed = [row for row in networks if row.is_segmented] or networks
    if len(routed) != 1:
        why = "has a bridge in more than one network" if routed else "has a bridge in no network"
        names = ", ".join(row.name for row in routed)
        raise Problem(
            Fault(field, node.name, why, f"Give network, one of {names}" if names else "Declare one")
        )
    return routed[0]


def _networks_of(node: Node) -> list[Network]:
    bridges = Network.objects.filter(type__in=(Type.ROUTED_BRIDGE, Type.BRIDGE)).exclude(network="")
    return list(bridges.filter(Q(every_node=True) | Q(nodes=node)).defer("peers_body").distinct())
