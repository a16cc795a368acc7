"""Which way the kernel sends a packet: switch, policy rule, route, next hop; pure."""

import errno
from collections.abc import Iterator

from workers.explained import Hop
from workers.explaining import sight as sights
from workers.explaining.course import KERNEL, Course
from workers.explaining.sight import Sight
from workers.host import subnet
from workers.kernel.lookup import MAKERS, Match
from workers.kernel.routes import Route
from workers.kernel.rules import Rule

REFUSING = {errno.EINVAL: "blackhole", errno.EHOSTUNREACH: "unreachable", errno.EACCES: "prohibit"}
"""Errors of routes that exist to refuse."""
NOT_FOUND = (errno.ENETUNREACH, errno.ESRCH, errno.ENOENT)


def hops(course: Course, sight: Sight) -> Iterator[Hop]:
    """In the order in which the kernel asks."""
    if course.forwarded:
        yield _switch(course, sight)
    if rule := _rule(course, sight):
        yield rule
    yield _route(course, sight)
    if neighbour := _neighbour(course, sight):
        yield neighbour


def _switch(course: Course, sight: Sight) -> Hop:
    name = sights.switch(course)
    value = "missing" if sight.forwarding is None else sight.forwarding
    if value == "1":
        return Hop("switch", f"{name}=1", f"{name}=1", True)
    why = f"{course.node} does not pass on packets: {name} is {value}"
    remedy = f"Set it (sysctl -w {name.replace('/', '.')}=1) and see who switched it off"
    return Hop("switch", f"{name}=1", f"{name}={value}", False, why, remedy)


# -- the policy rule


def _rule(course: Course, sight: Sight) -> Hop | None:
    """By which table the packet goes; None when the kernel finds no route in any."""
    wanted = [_table(name, sight) for name in course.tables]
    declared = f"table {' or '.join(course.tables)}"
    found = _deciding(sight)
    if sight.match is None:
        if found is None or found.action == "lookup":
            return None
        why = f"{found} refuses the packet on {course.node}"
        return Hop("rule", declared, str(found), False, why, _without(found))
    table = sight.match.route.table
    shown = f"table {_name(table, sight)}"
    if table in wanted or (course.route is None and course.no_path is None):
        return Hop("rule", declared if table in wanted else shown, shown, True)
    if found is None or found.priority in (0, 32766, 32767):
        # The declared table has no such route, so a later one answered: the route's hop tells.
        return Hop("rule", declared, shown, True)
    why = f"on {course.node} {found} sends the packet to {shown}, not to {declared}"
    return Hop("rule", declared, f"{found}", False, why, _without(found))


def _deciding(sight: Sight) -> Rule | None:
    """The first rule that leads to where the packet went, or that refuses it."""
    for one in sight.rules:
        if sight.match is None and one.action in ("blackhole", "unreachable", "prohibit"):
            return one
        if sight.match and one.action == "lookup" and one.table == sight.match.route.table:
            return one
    return None


def _without(rule: Rule) -> str:
    return (
        f"Remove it if nobody needs it (ip rule del priority {rule.priority}), or declare tables accordingly"
    )


def _table(name: str, sight: Sight) -> int:
    return int(name) if name.isdecimal() else sight.node.host.tables.get(name, 0)


def _name(table: int, sight: Sight) -> str:
    names = {number: name for name, number in sight.node.host.tables.items()}
    return names.get(table, str(table))


# -- the route


def _route(course: Course, sight: Sight) -> Hop:
    found = _shown(sight.match, sight) if sight.match else f"none ({_said(sight)})"
    if course.no_path:
        declared = "no way"
        why = f"{course.node}: {course.no_path.subject}: {course.no_path.why}"
        return Hop("route", declared, found, False, why, course.no_path.remedy)
    if course.route is None:
        why, remedy = ("", "") if sight.match else _refused(course, sight)
        return Hop("route", "as the node routes", found, not why, why, remedy)
    why, remedy = _different(course.route, course, sight)
    return Hop("route", _written(course.route, sight), found, not why, why, remedy)


def _different(route: Route, course: Course, sight: Sight) -> tuple[str, str]:
    """What is different, and the remedy; empty: nothing."""
    if sight.match is None:
        return _refused(course, sight)
    taken, kind = sight.match.route, sight.match.kind
    if kind not in ("unicast", "local"):
        return f"{course.node} drops the packet: {kind} {taken.dst}, {_maker(taken, sight)}", _clean(taken)
    if taken.table not in [_table(name, sight) for name in course.tables]:
        return f"{course.node} takes {_shown(sight.match, sight)} of table {_name(taken.table, sight)}", ""
    where = (taken.via, taken.device, _ends(taken)) == (route.via, route.device, _ends(route))
    if taken.dst == route.dst and where:
        return "", ""
    if subnet(taken.dst).prefixlen < subnet(route.dst).prefixlen:
        why = f"{course.node} has no route to {route.dst}; it takes {_shown(sight.match, sight)}"
        return why, _back(course)
    if taken.dst != route.dst:
        why = (
            f"on {course.node} {taken.dst}, {_maker(taken, sight)}, is narrower than the declared {route.dst}"
        )
        return why, _clean(taken)
    if taken.protocol in (sight.node.protocol, KERNEL):
        why = f"the route of {course.node} to {route.dst} leads {_hop(taken)}, not {_hop(route)}"
        return why, _back(course)
    why = f"on {course.node} a route {_maker(taken, sight)} wins: {taken.dst} {_hop(taken)}"
    return why, _clean(taken)


def _refused(course: Course, sight: Sight) -> tuple[str, str]:
    """What the kernel means by its error."""
    code = (sight.refusal.errno or 0) if sight.refusal else 0
    to = course.route.dst if course.route else course.leg.destination
    if code in NOT_FOUND:
        return f"{course.node} has no route to {to}", _back(course)
    if sight.judged and sight.rp_filter:
        why = (
            f"the reverse path filter of {course.enters} on {course.node} drops packets from "
            f"{course.leg.source}, since it is reached by another device"
        )
        return why, f"Set net.ipv4.conf.all.rp_filter and net.ipv4.conf.{course.enters}.rp_filter to 0"
    if kind := REFUSING.get(code):
        why = f"on {course.node} a route or rule of type {kind} drops packets to {to}"
        return why, f"Remove it if nobody needs it (ip route show type {kind}, ip rule show)"
    return (
        f"{course.node} refuses packets to {to} ({_said(sight)})",
        "See its routes and rules (ip rule show)",
    )


def _said(sight: Sight) -> str:
    return str(sight.refusal.strerror) if sight.refusal else "no answer"


def _back(course: Course) -> str:
    if course.route and course.route.protocol == KERNEL:
        return "The kernel makes it with the bridge's address; the worker puts that back at its next look"
    return "The worker puts it back at its next look; if it does not, see what the node reports"


def _clean(route: Route) -> str:
    table = f" table {route.table}" if route.table != 254 else ""
    metric = f" metric {route.metric}" if route.metric else ""
    return f"Remove it if nobody needs it (ip route del {route.dst}{metric}{table})"


def _maker(route: Route, sight: Sight) -> str:
    if route.protocol == sight.node.protocol:
        return "of ours"
    return f"of somebody else (proto {MAKERS.get(route.protocol, route.protocol)})"


def _ends(route: Route) -> tuple[str, str] | None:
    return (route.encap.local, route.encap.remote) if route.encap else None


def _hop(route: Route) -> str:
    ends = f"to {route.encap.remote} " if route.encap else ""
    via = f"via {route.via} " if route.via and route.via != "," else ""
    return f"{ends}{via}by {route.device}" if route.device else f"{ends}{via}".strip() or "nowhere"


def _written(route: Route, sight: Sight) -> str:
    """As ip-route(8) would say it, in short."""
    words = ["local" if route.table == sight.node.host.tables.get("local", 255) else "", route.dst]
    words += [f"to {route.encap.remote}"] if route.encap else []
    words += [f"via {route.via}"] if route.via else []
    words += [f"dev {route.device}"] if route.device else []
    return " ".join(filter(None, words))


def _shown(match: Match, sight: Sight) -> str:
    route = match.route
    words = [] if match.kind in ("unicast", "local") else [match.kind]
    words.append(_written(route, sight))
    if route.protocol not in (sight.node.protocol, KERNEL):
        words.append(f"proto {MAKERS.get(route.protocol, route.protocol)}")
    return " ".join(words)


# -- the next hop


def _neighbour(course: Course, sight: Sight) -> Hop | None:
    """Whether the next hop on the underlay answers."""
    route = sight.match.route if sight.match else None
    if not route or not route.via or route.encap or "," in route.via or course.carrier:
        return None
    neighbour = sight.neighbours.get((route.device, route.via))
    declared = f"{route.via} on {route.device}"
    if neighbour and neighbour.missing:
        why = f"the next hop {route.via} does not answer on {route.device} of {course.node}"
        remedy = "See whether it is up, and whether both are on one level-2 network"
        return Hop("neighbour", declared, "does not answer", False, why, remedy)
    return Hop("neighbour", declared, str(neighbour) if neighbour else "not asked yet", True)
