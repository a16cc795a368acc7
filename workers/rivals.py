"""Routes of others that take packets of our networks, or would.

    tables of our networks, now and then -> routes of others inside our ranges -> findings

    problem   narrower than a segment, or preferred to our route    packets go another way now
    warning   elsewhere in a range of ours                          they will, when a node gets that part

A route that the kernel cannot have beside ours is a conflict, which the plan reports. The kernel tells
packets apart by the longest prefix, then by the metric, whoever made the route; one wider than a segment
takes nothing of it.

The kernel cannot be asked for this alone: a whole table has to be read, and others may have thousands of
routes there. So it is read once a minute, behind the apply and not at every look; while something was
found, at each, so that it is seen to go.
"""

import errno
import time
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from workers.changes import Owned
from workers.document import DesiredNetwork, Document
from workers.host import Host, IPNetwork, subnet
from workers.kernel import lookup, routes
from workers.kernel.door import Kernel
from workers.kernel.lookup import Match
from workers.kernel.messages import family
from workers.kernel.netlink import NetlinkError
from workers.kernel.routes import MAIN, METRIC, Route
from workers.observe import Observed
from workers.report import WARNING, Finding

EVERY = 60.0
"""Seconds between two readings that find nothing."""
SHARE = 4
"""Reading takes at most 1 / (1 + SHARE) of the time."""
MOST = 10
"""Findings of a network that are told one by one."""
BY_KERNEL = 2
"""RTPROT_KERNEL: it comes and goes with an address."""

Wanted = Mapping[Hashable, Owned]


class Ground(NamedTuple):
    """Where packets of a network go."""

    network: DesiredNetwork
    tables: frozenset[int]

    def holds(self, route: Route) -> bool:
        """Whether the route lies inside a range, and does not lead into the network itself."""
        if route.table not in self.tables or (route.device == self.network.device and self._owns(route)):
            return False
        return any(_inside(route.dst, cidr) for cidr in self.network.ranges if cidr != route.dst)

    def _owns(self, route: Route) -> bool:
        return any(_inside(route.dst, cidr) for cidr in self.network.subnets)


class Rivals:
    """Of one node; for the thread that looks."""

    def __init__(self) -> None:
        self.findings: tuple[Finding, ...] = ()
        self._grounds: list[Ground] = []
        self._due = 0.0

    def look(self, document: Document, observed: Observed, protocol: int, kernel: Kernel) -> None:
        """Read the tables, if it is time; raises OSError."""
        grounds = [_ground(one, observed.host) for one in document.networks if one.device]
        start = time.monotonic()
        if start < self._due and _places(grounds) == _places(self._grounds):
            return
        names = {link.index: link.name for link in observed.host.links.values()}
        others = _read(grounds, protocol, names, kernel)
        self._grounds = grounds
        self.findings = tuple(judged(grounds, others, observed.desired.by_key))
        end = time.monotonic()
        self._due = end + max(0.0 if self.findings else EVERY, SHARE * (end - start))


def judged(grounds: Iterable[Ground], others: Sequence[Match], wanted: Wanted) -> Iterator[Finding]:
    """What routes of others mean to these networks; pure."""
    for ground in grounds:
        inside = [match for match in others if ground.holds(match.route)]
        found = [finding for match in inside if (finding := _judged(ground.network, match, wanted))]
        yield from found[:MOST]
        if len(found) > MOST:
            yield _more(ground.network, found[MOST:])


def _ground(network: DesiredNetwork, host: Host) -> Ground:
    tables = {number for name in network.tables if (number := host.table(name))}
    return Ground(network, frozenset(tables | {MAIN} if network.type == "bridge" else tables))


def _places(grounds: Iterable[Ground]) -> list[tuple[object, ...]]:
    """What decides on the reading: not the peers, of which there may be thousands."""
    return [(one.network.ranges, one.network.subnets, one.network.device, one.tables) for one in grounds]


def _read(grounds: Iterable[Ground], protocol: int, names: Mapping[int, str], kernel: Kernel) -> list[Match]:
    """Routes of others inside the ranges."""
    ranges: dict[tuple[int, int], list[IPNetwork]] = {}
    for ground in grounds:
        for cidr in ground.network.ranges:
            for table in ground.tables:
                ranges.setdefault((family(cidr), table), []).append(subnet(cidr))
    return [
        lookup.decode(body, names)
        for (kind, table), within in sorted(ranges.items())
        for body in routes.of_others(_table(kind, table, kernel), protocol, within)
    ]


def _table(kind: int, number: int, kernel: Kernel) -> list[bytes]:
    """A table is there as soon as it has a route."""
    try:
        return kernel.netlink.glance(routes.dump(kind, table=number))
    except NetlinkError as error:
        if error.errno != errno.ENOENT:
            raise
        return []


def _judged(network: DesiredNetwork, match: Match, wanted: Wanted) -> Finding | None:
    """None: it takes nothing."""
    route = match.route
    if own := next((cidr for cidr in network.subnets if _inside(route.dst, cidr)), ""):
        return _taken(network, match, "the containers of this node") if route.dst != _written(own) else None
    ours = _ours(route, wanted)
    if ours is None:
        return _claimed(network, match)
    if ours.dst == route.dst and ours.metric <= route.metric:
        return None
    owner = next((peer.node for peer in network.peers if ours.dst in map(_written, peer.subnets)), "a peer")
    return _taken(network, match, f"{owner}, whose segment is {ours.dst}")


def _ours(route: Route, wanted: Wanted) -> Route | None:
    """The wanted route that is as wide as this one, or wider."""
    taken, metric = subnet(route.dst), METRIC[family(route.dst)]
    for length in range(taken.prefixlen, -1, -1):
        key = routes.key(str(taken.supernet(new_prefix=length)), route.table, metric)
        if isinstance(found := wanted.get(key), Route):
            return found
    return None


def _taken(network: DesiredNetwork, match: Match, of: str) -> Finding:
    why = f"is of somebody else ({_maker(match.route)}) and takes packets for {of}"
    return Finding("foreign-route", network.name, _shown(match), why, _remedy(match.route))


def _claimed(network: DesiredNetwork, match: Match) -> Finding:
    ranges = " and ".join(cidr for cidr in network.ranges if _inside(match.route.dst, cidr))
    why = (
        f"is of somebody else ({_maker(match.route)}) and inside {ranges} of {network.name}; "
        "a node that gets this part as its segment will not be reached"
    )
    return Finding("foreign-route", network.name, _shown(match), why, _remedy(match.route), level=WARNING)


def _more(network: DesiredNetwork, rest: Sequence[Finding]) -> Finding:
    level = min(finding.level for finding in rest)  # a problem before a warning
    subject = f"{len(rest)} more routes inside {' and '.join(network.ranges)}"
    why, remedy = "are of somebody else", "See what makes them, or declare the network with another range"
    return Finding("foreign-route", network.name, subject, why, remedy, level=level)


def _shown(match: Match) -> str:
    """As ip-route(8) takes it."""
    route = match.route
    words = ["route", "" if match.kind == "unicast" else match.kind, route.dst]
    words += ["via", route.via] if route.via else []
    words += ["dev", route.device] if route.device else []
    words += ["table", str(route.table)] if route.table != MAIN else []
    return " ".join(filter(None, words))


def _remedy(route: Route) -> str:
    if route.protocol == BY_KERNEL:
        return f"Take the address off {route.device}, or declare the network with another range"
    metric = f" metric {route.metric}" if route.metric else ""
    table = f" table {route.table}" if route.table != MAIN else ""
    return f"Remove it if nobody needs it: ip route del {route.dst}{metric}{table}"


def _maker(route: Route) -> str:
    return f"proto {lookup.MAKERS.get(route.protocol, route.protocol)}"


def _written(cidr: str) -> str:
    return str(subnet(cidr))


def _inside(dst: str, cidr: str) -> bool:
    inner, outer = subnet(dst), subnet(cidr)
    return inner.version == outer.version and inner.prefixlen >= outer.prefixlen and inner[0] in outer
