"""Routes: to the segments of the peers, and to the own one in tables other than main.

    10.11.4.0/22 via 10.0.0.2 dev eth0       a peer's segment, in each of the network's tables
    10.11.8.0/22 encap ip dst 192.0.2.3      the same behind a tunnel; the node itself then speaks
      dev na_gre src 10.11.0.1               with its bridge's address, as nothing else comes back
    10.11.0.0/22 dev obr_backend1            the own segment; in main the kernel has it already

A peer is reached directly when its next hop is on a subnet of this node (tunnel=auto), never
(always), or not at all otherwise (never).

The kernel keeps the next hops of one device, protocol and scope in one chain, and walks along it for
each route that is added (fib_info_hashfn, net/ipv4/fib_semantics.c): thousands of peers would cost
the square of their number. So the routes of IPv4 are spread over some scopes; any below ``LINK`` means
the same to a packet.

The protocol number marks ours. A replace takes a route over whoever's it is, so routes are
added exclusively, and replaced only where the dump showed one of ours. IPv6 needs one of
the two in any case: without, a second next hop joins silently.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress, count
from operator import is_not
from socket import inet_aton
from struct import Struct, unpack_from
from typing import NamedTuple

from workers.changes import Verb
from workers.document import DesiredNetwork, Peer
from workers.host import Host, IPNetwork, address, first_address, subnet
from workers.kernel.messages import (
    INET,
    INET6,
    ROUTE_HEADER,
    Flag,
    IndexOf,
    Request,
    Type,
    attribute,
    attributes,
    family,
    number,
    packed,
    to_number,
    unpacked,
)
from workers.kernel.tunnels import Encap, Way, decode_encap, encode_encap, way
from workers.latest import latest
from workers.report import Finding

DST, OIF, GATEWAY, PRIORITY, PREFSRC, MULTIPATH, TABLE = 1, 4, 5, 6, 7, 9, 15
ONLINK = 4
"""RTNH_F_ONLINK: the next hop is on the device, whatever the addresses say."""
UNIVERSE, LINK, ANY = 0, 253, 255
SCOPES = 64
"""Over how many the routes of IPv4 are spread."""
UNICAST, BLACKHOLE = 1, 6
MAIN = 254
PROTOCOL_AT = 5
"""Offset of rtm_protocol in a body."""
ADDING = int(Flag.CREATE | Flag.EXCL)
REPLACING = int(Flag.CREATE | Flag.REPLACE)
PLAIN = Struct("=BBBBBBBBI HHI HH4s HH4s HHI")
"""rtmsg, table, destination, gateway, device: an IPv4 route via a next hop."""
METRIC = {INET: 0, INET6: 1024}
"""What the kernel takes when none is given."""

Connected = tuple[tuple[IPNetwork, str], ...]
"""Subnets that the node is connected to, and the device; the narrowest first."""


@dataclass(frozen=True, slots=True)
class Route:
    dst: str
    table: int
    via: str
    """Next hop; empty: on the device itself."""
    device: str
    metric: int
    protocol: int
    """Marks ours."""
    network: str = field(default="", compare=False)
    src: str = ""
    """Source address of the node's own packets; empty: the kernel chooses."""
    encap: Encap | None = None
    onlink: bool = field(default=False, compare=False)
    """Of a tunnel with a local end. Not compared, as without it the kernel takes no such next hop."""

    key: str = field(init=False, compare=False, repr=False)
    """A text, since a text knows its hash: there are thousands, and every look compares them."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", key(self.dst, self.table, self.metric))

    @property
    def needs(self) -> str:
        return self.device

    def __str__(self) -> str:
        hop = f" via {self.via}" if self.via else ""
        table = f" table {self.table}" if self.table != MAIN else ""
        to = f" encap {self.encap.remote}" if self.encap else ""
        return f"route {self.dst}{to}{hop} dev {self.device}{table} proto {self.protocol}"


Routes = Mapping[Hashable, Route]
"""By key."""


class Hop(NamedTuple):
    """How one destination is reached."""

    dst: str
    via: str
    device: str
    way: Way | None = None
    src: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """What a network needs for its node to reach the peers; the same object as long as nothing moves."""

    routes: Routes
    """In all tables, the own segment's included."""
    ways: tuple[Way, ...]
    """One for each tunnel device that a route goes through."""
    findings: tuple[Finding, ...]
    """What cannot be routed."""


NOWHERE = Reach({}, (), ())


def key(dst: str, table: int, metric: int) -> str:
    """What the kernel tells routes apart by."""
    return f"route {dst} table {table} metric {metric}"


def wanted(network: DesiredNetwork, node: str, protocol: int, host: Host) -> Reach:
    """Routes of a routed_bridge in all its tables, and what cannot be routed."""
    tables, unknown = _tables(network, host)
    return _reach(network, node, protocol, tuple(tables), tuple(host.subnets()), tuple(unknown))


def hops(network: DesiredNetwork, node: str, host: Host) -> list[Hop]:
    """How the peers' segments are reached; one that cannot be is missing."""
    return _hops(network, node, tuple(host.subnets()))


def decode(body: bytes, names: Mapping[int, str]) -> Route:
    """A route, whoever's; ``names`` of devices by number."""
    dst, table, via, device, metric, protocol, src, encap = _parsed(body)
    return Route(dst, table, via, names.get(device, ""), metric, protocol, src=src, encap=encap)


def of_others(bodies: Iterable[bytes], protocol: int, ranges: Sequence[IPNetwork]) -> Iterator[bytes]:
    """Those inside one of the ``ranges`` of their family, and not ours; there may be many more."""
    bounds = [(net[0].packed, net[-1].packed, net.prefixlen) for net in ranges]
    for body in bodies:
        length, maker = body[1], body[PROTOCOL_AT]
        if maker != protocol and any(length >= shortest for _, _, shortest in bounds):
            dst = attributes(body, ROUTE_HEADER.size).get(DST, b"")
            if any(low <= dst <= high and length >= shortest for low, high, shortest in bounds):
                yield body


def encode(verb: Verb, route: Route, index: IndexOf) -> Request:
    """The request that adds, replaces or removes a route."""
    if verb is Verb.REMOVE:
        return Request(Type.DELROUTE, 0, _body(route, ANY, 0, b""))
    device = index(route.device)
    flags = REPLACING if verb is Verb.CHANGE else ADDING
    if route.via and not (":" in route.dst or route.src or route.encap or route.onlink or route.metric):
        return Request(Type.NEWROUTE, flags, _plain(route, device))
    hop = attribute(GATEWAY, packed(route.via)) if route.via else b""
    scope = UNIVERSE if family(route.dst) == INET6 else _scope(route)
    source = attribute(PREFSRC, packed(route.src)) if route.src else b""
    around = encode_encap(route.encap) if route.encap else b""
    body = _body(route, scope, UNICAST, hop + number(OIF, device) + source + around)
    return Request(Type.NEWROUTE, flags, body)


def _plain(route: Route, device: int) -> bytes:
    """As ``_body``, in one piece: most routes are of this form, and there may be thousands."""
    dst, _, length = route.dst.partition("/")
    table = route.table
    small = table if table < 256 else 0
    return PLAIN.pack(
        *(INET, int(length), 0, 0, small, route.protocol, _scope(route), UNICAST, 0),
        *(8, TABLE, table, 8, DST, inet_aton(dst), 8, GATEWAY, inet_aton(route.via), 8, OIF, device),
    )


def _scope(route: Route) -> int:
    """The same for the same next hop, so that routes which share one still do."""
    hop = route.encap.remote if route.encap else route.via
    return sum(packed(hop)) % SCOPES if hop else LINK


def dump(kind: int, protocol: int = 0, table: int = 0) -> Request:
    """Asks for all routes of a family, of a protocol, in a table; 0: of any."""
    return Request(
        Type.GETROUTE,
        Flag.DUMP,
        ROUTE_HEADER.pack(kind, 0, 0, 0, min(table, 255), protocol, 0, 0, 0)
        + (number(TABLE, table) if table else b""),
    )


def is_taken(route: Route) -> Request:
    """Asks whether any IPv4 route has this key, and changes nothing: refused with EEXIST, if so, else ENOENT.

    It may not create (no CREATE) nor touch what is there (EXCL). Far cheaper than a dump
    among thousands of routes of others. IPv6 would create it all the same.
    """
    return Request(Type.NEWROUTE, Flag.EXCL, _body(route, UNIVERSE, BLACKHOLE, b""))


def _body(route: Route, scope: int, kind: int, hop: bytes) -> bytes:
    dst, _, length = route.dst.partition("/")
    small = route.table if route.table < 256 else 0
    flags = ONLINK if route.onlink and hop else 0
    header = ROUTE_HEADER.pack(family(dst), int(length), 0, 0, small, route.protocol, scope, kind, flags)
    metric = number(PRIORITY, route.metric) if route.metric else b""
    return header + number(TABLE, route.table) + attribute(DST, packed(dst)) + metric + hop


def _parsed(body: bytes) -> tuple[str, int, str, int, int, int, str, Encap | None]:
    """Destination, table, next hop, number of the device, metric, protocol, source, encapsulation."""
    kind, length, _, _, table, protocol, _, _, _ = ROUTE_HEADER.unpack_from(body)
    found = attributes(body, ROUTE_HEADER.size)
    dst = unpacked(found.get(DST) or bytes(4 if kind == INET else 16))
    hop = unpacked(found[GATEWAY]) if GATEWAY in found else _several(found.get(MULTIPATH, b""))
    return (
        f"{dst}/{length}",
        to_number(found[TABLE]) if TABLE in found else table,
        hop,
        to_number(found.get(OIF, bytes(4))),
        to_number(found.get(PRIORITY, bytes(4))),
        protocol,
        unpacked(found[PREFSRC]) if PREFSRC in found else "",
        decode_encap(found),
    )


def _several(value: bytes) -> str:
    """Next hops of a multipath route (rtnexthop: length, flags, hops, index), joined by a comma."""
    hops, start = [], 0
    while start + 8 <= len(value):
        (length,) = unpack_from("=H", value, start)
        if length < 8:
            break
        gateway = attributes(value[start : start + length], 8).get(GATEWAY)
        hops.append(unpacked(gateway) if gateway else "")
        start += (length + 3) & ~3
    return ",".join(hops)


def _tables(network: DesiredNetwork, host: Host) -> tuple[list[int], list[Finding]]:
    numbers, findings = [], []
    for table in network.tables:
        if known := host.table(table):
            numbers.append(known)
        else:
            findings.append(
                Finding(
                    code="no-table",
                    network=network.name,
                    subject=f"routing table {table}",
                    why="has no number on this node",
                    remedy=f"Name it in /etc/iproute2/rt_tables.d/{table}.conf there, or declare its number",
                )
            )
    return numbers, findings


class Sight(NamedTuple):
    """All that decides on the routes to a peer but for the peer itself."""

    name: str
    """Of the network."""
    node: str
    tunnel: str
    tunnel_mode: str
    subnets: tuple[str, ...]
    own: tuple[str, ...]
    """The node's tunnel ends."""
    protocol: int
    tables: tuple[int, ...]
    connected: Connected


class Reached(NamedTuple):
    """What one peer needs."""

    peer: Peer
    hops: tuple[Hop, ...]
    routes: tuple[tuple[Hashable, Route], ...]
    findings: tuple[Finding, ...]
    plain: bool
    """Nothing but routes: no tunnel, no finding."""


class Worked(NamedTuple):
    """What was worked out for all peers of a network; never altered."""

    sight: Sight
    peers: tuple[Peer, ...]
    reached: tuple[Reached, ...]
    """In the order of ``peers``."""
    routes: Routes


@latest(lambda network, *_: network.name)
def _reach(
    network: DesiredNetwork,
    node: str,
    protocol: int,
    tables: tuple[int, ...],
    connected: Connected,
    unknown: tuple[Finding, ...],
) -> Reach:
    worked = _worked(network, node, protocol, tables, connected)
    others = [peer for peer in worked.reached if not peer.plain]
    ways = {(hop.way.kind, hop.way.local): hop.way for peer in others for hop in peer.hops if hop.way}
    unreachable = [finding for peer in others for finding in peer.findings]
    return Reach(worked.routes, tuple(ways.values()), (*unknown, *unreachable))


@latest(lambda network, *_: network.name)
def _hops(network: DesiredNetwork, node: str, connected: Connected) -> list[Hop]:
    worked = _worked(network, node, 0, (), connected)
    return [hop for peer in worked.reached for hop in peer.hops]


_last: dict[tuple[str, int], Worked] = {}
"""By network and protocol."""


def _worked(
    network: DesiredNetwork, node: str, protocol: int, tables: tuple[int, ...], connected: Connected
) -> Worked:
    """As it was the last time, but for the peers that are others now: with thousands, one or two are."""
    ends = next((peer.addresses for peer in network.peers if peer.node == node), ())
    how = (network.tunnel, network.tunnel_mode, network.subnets, ends)
    sight = Sight(network.name, node, *how, protocol, tables, connected)
    last = _last.get((network.name, protocol))
    if last is None or last.sight != sight:
        own = [_route(hop, table, protocol, network.name) for table in tables for hop in _own(network, table)]
        last = Worked(sight, (), (), {route.key: route for route in own})
    _last[network.name, protocol] = worked = _followed(last, network.peers)
    return worked


def _followed(last: Worked, peers: tuple[Peer, ...]) -> Worked:
    """``last`` for these peers.

    The reader of documents gives the same object for a peer that did not change, so both ends that
    the lists have in common are found without a step of Python for each.
    """
    start, stop = alike(last.peers, peers)
    before, middle = last.reached[start : len(last.peers) - stop], peers[start : len(peers) - stop]
    known = {id(one.peer): one for one in before}
    new = [known.get(id(peer)) or _reached(last.sight, peer) for peer in middle]
    routes = dict(last.routes)
    for key in {key for one in before for key, _ in one.routes}:
        routes.pop(key, None)
    routes.update(pair for one in new for pair in one.routes)
    reached = (*last.reached[:start], *new, *last.reached[len(last.peers) - stop :])
    return Worked(last.sight, peers, reached, routes)


def alike(old: Sequence[object], new: Sequence[object]) -> tuple[int, int]:
    """How many objects at the beginning, and of the rest at the end, are the very same."""
    most = min(len(old), len(new))
    start = next(compress(count(), map(is_not, old, new)), most)
    backwards = map(is_not, reversed(old), reversed(new))
    return start, min(next(compress(count(), backwards), most), most - start)


def _reached(sight: Sight, peer: Peer) -> Reached:
    if peer.node == sight.node:
        return Reached(peer, (), (), (), plain=True)
    found = [(cidr, _direct(sight, peer, cidr) or _tunnelled(sight, peer, cidr)) for cidr in peer.subnets]
    hops = tuple(hop for _, hop in found if hop)
    routes = [_route(hop, table, sight.protocol, sight.name) for table in sight.tables for hop in hops]
    findings = tuple(_no_path(sight, peer, cidr) for cidr, hop in found if not hop)
    plain = not findings and all(hop.way is None for hop in hops)
    return Reached(peer, hops, tuple((route.key, route) for route in routes), findings, plain)


def _own(network: DesiredNetwork, table: int) -> list[Hop]:
    if table == MAIN:
        return []
    return [Hop(str(subnet(cidr)), "", network.device) for cidr in network.subnets]


def _route(hop: Hop, table: int, protocol: int, network: str) -> Route:
    encap = hop.way.encap if hop.way else None
    metric = METRIC[family(hop.dst)]
    onlink = hop.way is not None and hop.way.by_device
    return Route(hop.dst, table, hop.via, hop.device, metric, protocol, network, hop.src, encap, onlink)


def _direct(sight: Sight, peer: Peer, cidr: str) -> Hop | None:
    gateway = _gateway(peer, cidr)
    device = _device(gateway, sight.connected) if gateway and sight.tunnel != "always" else ""
    return Hop(str(subnet(cidr)), str(address(gateway)), device) if device else None


def _tunnelled(sight: Sight, peer: Peer, cidr: str) -> Hop | None:
    inside = family(cidr)
    found = way(sight.tunnel_mode, sight.own, peer.addresses, inside) if sight.tunnel != "never" else None
    if not found:
        return None
    src = next((first_address(one).partition("/")[0] for one in sight.subnets if family(one) == inside), "")
    return Hop(str(subnet(cidr)), found.via, found.device, found, src)


def _gateway(peer: Peer, cidr: str) -> str:
    return next((hop for hop in peer.gateways if family(hop) == family(cidr)), "")


def _device(hop: str, connected: Connected) -> str:
    target = address(hop)
    return next((name for net, name in connected if net.version == target.version and target in net), "")


def _no_path(sight: Sight, peer: Peer, cidr: str) -> Finding:
    kind = "IPv6" if ":" in cidr else "IPv4"
    gateway = _gateway(peer, cidr)
    if sight.tunnel != "never":
        mine, theirs = (", ".join(ends) or "none" for ends in (sight.own, peer.addresses))
        why = (
            f"no tunnel of mode {sight.tunnel_mode} can join the addresses of this node ({mine}) "
            f"and of {peer.node} ({theirs})"
        )
        remedy = f"Declare addr@{peer.node} and this node's addr in one family, or another tunnel_mode"
    elif gateway:
        why = f"the next hop {gateway} of {peer.node} is on no subnet that this node is connected to"
        remedy = f"Declare gateway@{peer.node} with an address that this node reaches directly, or a tunnel"
    else:
        why = f"{peer.node} has no {kind} address that could be the next hop"
        remedy = f"Declare addr@{peer.node} or gateway@{peer.node} with an {kind} address"
    return Finding("no-path", sight.name, f"route to {cidr} on {peer.node}", why, remedy)
