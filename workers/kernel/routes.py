"""Routes: to the segments of the peers, and to the own one in tables other than main.

    10.11.4.0/22 via 10.0.0.2 dev eth0       a peer's segment, in each of the network's tables
    10.11.0.0/22 dev obr_backend1            the own segment; in main the kernel has it already

The protocol number marks ours. A replace takes a route over whoever's it is, so routes are
added exclusively, and replaced only where the dump showed one of ours. IPv6 needs one of
the two in any case: without, a second next hop joins silently.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from struct import unpack_from

from workers.changes import Verb
from workers.document import DesiredNetwork, Peer
from workers.host import Host, IPNetwork, address, subnet
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
from workers.report import Finding

DST, OIF, GATEWAY, PRIORITY, MULTIPATH, TABLE = 1, 4, 5, 6, 9, 15
UNIVERSE, LINK, ANY = 0, 253, 255
UNICAST, BLACKHOLE = 1, 6
MAIN = 254
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

    @property
    def key(self) -> tuple[str, str, int, int]:
        return ("route", self.dst, self.table, self.metric)

    @property
    def needs(self) -> str:
        return self.device

    def __str__(self) -> str:
        hop = f" via {self.via}" if self.via else ""
        table = f" table {self.table}" if self.table != MAIN else ""
        return f"route {self.dst}{hop} dev {self.device}{table} proto {self.protocol}"


def wanted(
    network: DesiredNetwork, node: str, protocol: int, host: Host
) -> tuple[list[Route], list[Finding]]:
    """Routes of a routed_bridge in all its tables, and what cannot be routed."""
    tables, findings = _tables(network, host)
    routes, unreachable = _routes(network, node, protocol, tuple(tables), tuple(host.subnets()))
    return [*routes], [*findings, *unreachable]


def decode(body: bytes, names: Mapping[int, str]) -> Route:
    """A route, whoever's; ``names`` of devices by number."""
    dst, table, via, device, metric, protocol = _parsed(body)
    return Route(dst, table, via, names.get(device, ""), metric, protocol)


def encode(verb: Verb, route: Route, index: IndexOf) -> Request:
    """The request that adds, replaces or removes a route."""
    if verb is Verb.REMOVE:
        return Request(Type.DELROUTE, Flag(0), _body(route, ANY, 0, b""))
    hop = attribute(GATEWAY, packed(route.via)) if route.via else b""
    scope = UNIVERSE if route.via or family(route.dst) == INET6 else LINK
    flags = Flag.CREATE | (Flag.REPLACE if verb is Verb.CHANGE else Flag.EXCL)
    device = number(OIF, index(route.device))
    return Request(Type.NEWROUTE, flags, _body(route, scope, UNICAST, hop + device))


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
    header = ROUTE_HEADER.pack(family(dst), int(length), 0, 0, small, route.protocol, scope, kind, 0)
    metric = number(PRIORITY, route.metric) if route.metric else b""
    return header + number(TABLE, route.table) + attribute(DST, packed(dst)) + metric + hop


@lru_cache(maxsize=1 << 13)
def _parsed(body: bytes) -> tuple[str, int, str, int, int, int]:
    """Destination, table, next hop, number of the device, metric, protocol.

    Kept, as most of a dump is what the last one was, byte for byte.
    """
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
        known = int(table) if table.isdecimal() else host.tables.get(table)
        if known:
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


def _own(network: DesiredNetwork, table: int) -> list[tuple[str, str, str]]:
    return [] if table == MAIN else [(str(subnet(cidr)), "", network.device) for cidr in network.subnets]


@lru_cache(maxsize=256)
def _routes(
    network: DesiredNetwork, node: str, protocol: int, tables: tuple[int, ...], connected: Connected
) -> tuple[list[Route], list[Finding]]:
    """Kept, as a look asks twice and networks change less often than nodes look."""
    hops, unreachable = _hops(network, node, connected)
    routes = [
        Route(dst, table, via, device, METRIC[family(dst)], protocol, network.name)
        for table in tables
        for dst, via, device in [*_own(network, table), *hops]
    ]
    return routes, unreachable


def _hops(
    network: DesiredNetwork, node: str, connected: Connected
) -> tuple[list[tuple[str, str, str]], list[Finding]]:
    """Destination, next hop and device for each peer's segment that is reached directly."""
    hops, findings = [], []
    for peer in network.peers:
        if peer.node == node:
            continue
        for cidr in peer.subnets:
            hop = next((g for g in peer.gateways if family(g) == family(cidr)), "")
            device = _device(hop, connected) if hop and network.tunnel != "always" else ""
            if device:
                hops.append((str(subnet(cidr)), str(address(hop)), device))
            else:
                findings.append(_no_path(network, peer, cidr, hop))
    return hops, findings


def _device(hop: str, connected: Connected) -> str:
    target = address(hop)
    return next((name for net, name in connected if net.version == target.version and target in net), "")


def _no_path(network: DesiredNetwork, peer: Peer, cidr: str, hop: str) -> Finding:
    kind = "IPv6" if ":" in cidr else "IPv4"
    if not hop:
        why = f"{peer.node} has no {kind} address that could be the next hop"
        remedy = f"Declare addr@{peer.node} or gateway@{peer.node} with an {kind} address"
    elif network.tunnel == "always":
        why = (
            f"{peer.node} is to be reached through a tunnel (tunnel=always), which this worker does not build"
        )
        remedy = f"Declare tunnel=never and gateway@{peer.node} on a subnet of this node"
    else:
        why = f"the next hop {hop} of {peer.node} is on no subnet that this node is connected to"
        remedy = f"Declare gateway@{peer.node} with an address that this node reaches directly, or a tunnel"
    return Finding("no-path", network.name, f"route to {cidr} on {peer.node}", why, remedy)
