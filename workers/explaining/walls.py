"""What firewalls do with a packet: those of others where it is passed on, our own where it leaves; pure."""

from collections.abc import Iterator

from workers.explained import Hop
from workers.explaining import listing
from workers.explaining.course import Course
from workers.explaining.sight import Sight
from workers.host import address, subnet
from workers.kernel import forwarding
from workers.kernel.firewall import MULTICAST
from workers.kernel.forwarding import FAMILIES


def hops(course: Course, sight: Sight) -> Iterator[Hop]:
    """In the order of the kernel's hooks."""
    if course.forwarded and not course.stays_on_bridge:
        yield _passed_on(course, sight)
    if source := _source(course, sight):
        yield source


def _passed_on(course: Course, sight: Sight) -> Hop:
    """Whether chains of others let packets from and to the bridges through."""
    version = address(course.leg.destination).version
    for network in filter(None, (course.out_of, course.into)):
        for barrier in forwarding.in_the_way(network, sight.node.host.forwarding):
            if version in FAMILIES[barrier.family]:
                why = f"{barrier} on {course.node} drops what it does not know, {network.device} too"
                remedy = f"Let the bridge through: {forwarding.opening(barrier, network.device)}"
                return Hop("forward", "passed on", f"dropped by {barrier}", False, why, remedy)
    return Hop("forward", "passed on", "passed on", True)


def _source(course: Course, sight: Sight) -> Hop | None:
    """Whether the packet keeps its source; None: it does not leave by a bridge's network."""
    leg = course.leg
    if not course.out_of or course.into or leg.ends or leg.reply:
        return None
    wanted = _masqueraded(course)
    found = listing.masquerades(sight.node.listing, leg.source, leg.destination)
    declared = _said(wanted, course, sight)
    if wanted == found:
        return Hop("firewall", declared, declared, True)
    if not sight.node.listing:
        why = f"{course.node} has no firewall table inet {sight.node.table}, so packets leave as {leg.source}"
    elif found:
        why = f"{course.node} masquerades packets to {leg.destination}, and its peers do not know who sends"
    else:
        why = f"{course.node} does not masquerade packets from {leg.source}, so nothing outside can answer"
    remedy = "The worker puts it back at its next look; if it does not, see whether it runs"
    return Hop("firewall", declared, _said(found, course, sight), False, why, remedy)


def _masqueraded(course: Course) -> bool:
    """As the table is made: what comes from here and goes to no network of the cluster."""
    source, target = address(course.leg.source), address(course.leg.destination)
    own = any(
        source in subnet(cidr)
        for network in course.document.networks
        if network.type in ("bridge", "routed_bridge") and not network.public
        for cidr in network.subnets
    )
    inside = (*course.document.ranges, MULTICAST[target.version])
    return own and not any(target in subnet(cidr) for cidr in inside)


def _said(masqueraded: bool, course: Course, sight: Sight) -> str:
    if not masqueraded:
        return f"leaves as {course.leg.source}"
    return f"masqueraded as {_outward(course, sight) or 'the address of the device'}"


def _outward(course: Course, sight: Sight) -> str:
    """The first address of the family on the device that the packet leaves by (nft-masquerade)."""
    link = sight.node.host.links.get(sight.match.route.device) if sight.match else None
    held = (one.address.partition("/")[0] for one in (link.addresses if link else ()))
    same = (one for one in held if (":" in one) == (":" in course.leg.source))
    return next((one for one in same if not one.startswith("fe80")), "")
