"""What is there: everything that a leg's hops are compared with, looked at once."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from workers.config import Settings
from workers.explained import Crossing
from workers.explaining.course import Course
from workers.host import Host
from workers.kernel import lookup, neighbours, rules
from workers.kernel.door import Kernel
from workers.kernel.lookup import Match
from workers.kernel.messages import family
from workers.kernel.neighbours import Neighbour
from workers.kernel.netlink import NetlinkError
from workers.kernel.rules import Rule
from workers.observe import Observed
from workers.report import Lease


@dataclass(frozen=True, slots=True)
class Node:
    """What all legs of one answer share."""

    host: Host
    leases: Mapping[tuple[str, str], Lease]
    """By network and address."""
    listing: str
    """Our firewall table, as nft lists it; empty: there is none."""
    answers: Mapping[str, bool] = field(default_factory=dict)
    """By address: whether an echo from here came back; of those that were tried."""
    protocol: int = 0
    """By which our routes are known."""
    table: str = "netadmin"
    """The name of our firewall table."""


@dataclass(frozen=True, slots=True)
class Sight:
    node: Node
    match: Match | None = None
    """The route that the kernel takes for the packet."""
    refusal: OSError | None = None
    """Why it takes none."""
    judged: bool = False
    """It takes one for packets of its own: this one is refused for the device that it comes in by."""
    rp_filter: int = 0
    """Reverse path filter of that device: the stricter of all and its own (IPv4)."""
    rules: tuple[Rule, ...] = ()
    """Those that concern the packet, in order."""
    neighbours: Mapping[tuple[str, str], Neighbour] = field(default_factory=dict)
    """By device and address."""
    forwarding: str | None = None
    """Of the device that the packet comes in by; None: there is no such switch."""


def node(
    observed: Observed,
    leases: Iterable[Lease],
    listing: str,
    crossings: Iterable[Crossing],
    settings: Settings,
) -> Node:
    return Node(
        host=observed.host,
        leases={(lease.network, lease.address): lease for lease in leases},
        listing=listing,
        answers={one.destination: one.received > 0 for one in crossings},
        protocol=settings.protocol,
        table=settings.nft_table,
    )


def look(course: Course, at: Node, kernel: Kernel) -> Sight:
    """Raises OSError when the kernel does not answer at all."""
    match, refusal, judged = _match(course, at.host, kernel)
    kind = family(course.leg.destination)
    found = (rules.decode(body) for body in kernel.netlink.dump(rules.dump(kind)))
    leg = course.leg
    concerned = [one for one in found if one.concerns(leg.source, leg.destination, course.enters)]
    return Sight(
        node=at,
        match=match,
        refusal=refusal,
        judged=judged,
        rp_filter=_rp_filter(course, kernel),
        rules=tuple(sorted(concerned, key=lambda one: one.priority)),
        neighbours=_neighbours(course, match, at.host, kernel),
        forwarding=kernel.procfs.read(switch(course)),
    )


def switch(course: Course) -> str:
    """The name of the switch that lets a packet be passed on."""
    if ":" in course.leg.destination:
        return "net/ipv6/conf/all/forwarding"
    return f"net/ipv4/conf/{course.enters}/forwarding" if course.enters else "net/ipv4/ip_forward"


def _match(course: Course, host: Host, kernel: Kernel) -> tuple[Match | None, OSError | None, bool]:
    """The route, or the error, and whether the node's own packets would take one.

    For a packet that comes in by a device that is not there the node itself is asked.
    """
    names = {link.index: link.name for link in host.links.values()}
    entrance = host.links.get(course.enters)
    known = bool(entrance) or course.leg.starts in ("bridge", "node")
    source, destination = course.leg.source if known else "", course.leg.destination
    try:
        body = kernel.netlink.ask(lookup.encode(destination, source, entrance.index if entrance else 0))
    except NetlinkError as error:
        return None, error, bool(entrance) and _has_route(destination, kernel)
    return lookup.decode(body, names), None, False


def _has_route(destination: str, kernel: Kernel) -> bool:
    try:
        kernel.netlink.ask(lookup.encode(destination))
    except NetlinkError:
        return False
    return True


def _rp_filter(course: Course, kernel: Kernel) -> int:
    if ":" in course.leg.destination or not course.enters:
        return 0
    return max(
        int(kernel.procfs.read(f"net/ipv4/conf/{device}/rp_filter") or 0) for device in ("all", course.enters)
    )


def _neighbours(
    course: Course, match: Match | None, host: Host, kernel: Kernel
) -> dict[tuple[str, str], Neighbour]:
    asked = set()
    if course.leg.starts == "container" and course.out_of:
        asked.add((course.out_of.device, course.leg.source))
    if course.leg.ends == "container" and course.into:
        asked.add((course.into.device, course.leg.destination))
    for route in (course.route, match.route if match else None):
        if route and route.via and not route.encap and "," not in route.via:
            asked.add((route.device, route.via))
    found = {}
    for device, address in asked:
        if link := host.links.get(device):
            with suppress(NetlinkError):  # nothing is known of it
                body = kernel.netlink.ask(neighbours.encode(address, link.index))
                found[device, address] = neighbours.decode(body)
    return found
