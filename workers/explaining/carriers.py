"""The tunnel that a packet leaves or comes by, and who may send into it; pure."""

from collections.abc import Iterator

from workers.explained import Hop
from workers.explaining import listing
from workers.explaining.course import Course
from workers.explaining.sight import Sight
from workers.host import Link, address
from workers.kernel.tunnels import Tunnel


def hops(course: Course, sight: Sight) -> Iterator[Hop]:
    """The device; of one that packets come by also the guard."""
    if course.carrier is None:
        return
    yield _device(course.carrier, course, sight)
    if course.outer:
        yield _guard(course.outer, course.carrier, course, sight)


def _device(wanted: Tunnel, course: Course, sight: Sight) -> Hop:
    declared = f"{wanted.name} {wanted.kind} {wanted.ends} mtu {wanted.mtu} up"
    link = sight.node.host.links.get(wanted.name)
    if link is None:
        why = f"{course.node} has no tunnel {wanted.name}"
        return Hop("tunnel", declared, "no such device", False, why, _REMEDY)
    found = f"{link.name} {link.kind} {link.ends} mtu {link.mtu} {'up' if link.up else 'down'}"
    why = _wrong_with(link, wanted, course)
    return Hop("tunnel", declared, found, not why, why, _REMEDY if why else "")


_REMEDY = "The worker puts it back at its next look; if it does not, see whether it runs"


def _wrong_with(link: Link, wanted: Tunnel, course: Course) -> str:
    if (link.kind, link.ends) != (wanted.kind, wanted.ends):
        there, declared = f"{link.kind} {link.ends}", f"{wanted.kind} {wanted.ends}"
        return f"{link.name} on {course.node} is {there} where {declared} is declared"
    if not link.up:
        return f"{link.name} on {course.node} is down"
    if link.mtu != wanted.mtu:
        return f"{link.name} on {course.node} has MTU {link.mtu} where {wanted.mtu} is declared"
    return ""


def _guard(outer: str, tunnel: Tunnel, course: Course, sight: Sight) -> Hop:
    peers = f"peers{address(outer).version}"
    declared = f"{outer} may send into {tunnel.name}"
    text = sight.node.listing
    if not listing.guards(text):
        why = f"{course.node} keeps nobody out of {tunnel.name}: its firewall table has no guard"
        return Hop("guard", declared, "anybody may", False, why, _REMEDY)
    if listing.holds(text, peers, outer):
        return Hop("guard", declared, f"in set {peers}", True)
    why = f"{course.node} drops what {course.leg.peer} sends by the tunnel: {outer} is not in set {peers}"
    return Hop("guard", declared, f"not in set {peers}", False, why, _REMEDY)
