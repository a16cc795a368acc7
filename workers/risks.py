"""What a plan would do to traffic that is there now: worked out before anything is changed.

    plan, and the scene it would be carried out on
        -> the way to the control plane that it takes over, removes or moves   cut
        -> containers, peers, other people's routes that it touches            interrupt
        -> what it replaces in one step                                        note

Pure. A packet takes the longest prefix of a table, and of two equally long ones that of the
lower metric: what a change adds is held against that.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from workers.changes import Change, Plan, Verb
from workers.cni.weave import Router
from workers.host import Host, IPNetwork, address, subnet
from workers.kernel.addresses import Address
from workers.kernel.firewall import Firewall
from workers.kernel.links import Bridge
from workers.kernel.routes import MAIN, Route
from workers.kernel.tunnels import Tunnel
from workers.planned import LEVELS, Risk
from workers.report import Lease

CONNECTED_METRIC = {4: 0, 6: 256}
"""Of the route that comes with an address."""
NAMED = 3
"""How many of several are named in a sentence."""
MASQUERADED = re.compile(r'saddr (\S+) .*masquerade comment "([^"]+)"')


@dataclass(frozen=True, slots=True)
class Path:
    """How the kernel reaches somebody that the worker needs."""

    address: str
    to: str
    """``the control plane`` or ``the broker``."""
    route: Route
    vital: bool = True
    """Without it the node is cut off."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What is there beside the objects of the plan."""

    host: Host
    leases: tuple[Lease, ...] = ()
    paths: tuple[Path, ...] = ()
    foreign: tuple[Route, ...] = ()
    """Other people's routes, in the tables where the plan adds some."""
    peers: Mapping[str, str] = field(default_factory=dict)
    """Underlay address of other nodes: name."""
    owners: Mapping[str, str] = field(default_factory=dict)
    """Prefix: network that it is of now, as a route in the kernel does not say it."""

    def network(self, change: Change) -> str:
        """The network that a change concerns; empty: the node."""
        one = change.object
        return self.owners.get(one.dst, one.network) if isinstance(one, Route) else one.network


@dataclass(frozen=True, slots=True)
class Prefix:
    """Destinations that a change draws to itself."""

    net: IPNetwork
    table: int
    metric: int
    change: Change

    def beats(self, route: Route) -> bool:
        """Whether packets that took ``route`` take this one, as far as its prefix goes."""
        other = subnet(route.dst).prefixlen
        return (self.net.prefixlen, -self.metric) > (other, -route.metric)


def risks(plan: Plan, scene: Scene) -> tuple[Risk, ...]:
    """The worst first, each sort once a network."""
    added = [prefix for change in plan.changes for prefix in drawn(change)]
    found = [
        *(risk for path in scene.paths for risk in _on_the_way(path, plan, added)),
        *_containers(plan, scene),
        *_nodes(added, scene),
        *_others(added, scene),
        *_routes(plan, scene),
        *_tunnels(plan),
        *_masquerading(plan, scene),
    ]
    return tuple(sorted(dict.fromkeys(found), key=lambda risk: LEVELS.index(risk.level)))


def drawn(change: Change) -> Iterator[Prefix]:
    """The prefix that a change adds to a table, if it does; every device has link-local ones."""
    one = change.object
    if change.verb is Verb.REMOVE:
        return
    if isinstance(one, Route):
        yield Prefix(subnet(one.dst), one.table, one.metric, change)
    elif isinstance(one, Address) and not (net := subnet(one.address)).is_link_local:
        yield Prefix(net, MAIN, CONNECTED_METRIC[net.version], change)


# -- the control plane


def _on_the_way(path: Path, plan: Plan, added: Iterable[Prefix]) -> Iterator[Risk]:
    """At most one risk of a path: the first change that concerns it."""
    for change in plan.changes:
        if isinstance(change.object, Address) and _is_held(change, path.address):
            yield _cut(path, change, "the node would take its address for its own")
            return
    taker = next((prefix for prefix in added if _takes(prefix, path)), None)
    if taker:
        yield _cut(
            path, taker.change, f"{taker.net} covers it, and it is reached by route {_shown(path.route)} now"
        )
        return
    for change in plan.changes:
        if why := _takes_away(change, path.route):
            yield _cut(path, change, why)
            return
    for change in plan.changes:
        if change.verb is Verb.CHANGE and change.object.key == path.route.key:
            yield _moved(path, change)
            return


def _is_held(change: Change, text: str) -> bool:
    assert isinstance(change.object, Address)
    return change.verb is not Verb.REMOVE and change.object.address.partition("/")[0] == text


def _takes(prefix: Prefix, path: Path) -> bool:
    end = address(path.address)
    if end.version != prefix.net.version or prefix.table != path.route.table or end not in prefix.net:
        return False
    one = prefix.change.object
    same = isinstance(one, Route) and (one.via, one.device) == (path.route.via, path.route.device)
    return prefix.beats(path.route) and not same


def _takes_away(change: Change, route: Route) -> str:
    """Why the way that is taken now would be gone; empty: it would not."""
    one = change.object
    anew = isinstance(one, Tunnel) and _made_anew(change)
    if (
        isinstance(one, (Bridge, Tunnel))
        and one.name == route.device
        and (change.verb is Verb.REMOVE or anew)
    ):
        return f"it is reached through {one.name} now"
    if change.verb is not Verb.REMOVE:
        return ""
    if isinstance(one, Route) and one.key == route.key:
        return "it is reached by this route now"
    if isinstance(one, Address) and one.device == route.device:
        text = one.address.partition("/")[0]
        if text == route.src or str(subnet(one.address)) == route.dst:
            return f"it is reached from {text} now"
    return ""


def _cut(path: Path, change: Change, why: str) -> Risk:
    if not path.vital:
        remedy = "Wake-ups would stay away; the timer goes on. Declare the network otherwise"
        return _risk(
            "interrupt", "broker-path", change, f"cuts the way to {path.to} ({path.address}): {why}", remedy
        )
    remedy = "Declare the network otherwise, or reach the control plane another way first"
    return _risk("cut", "control-path", change, f"cuts the way to {path.to} ({path.address}): {why}", remedy)


def _moved(path: Path, change: Change) -> Risk:
    why = f"moves the way to {path.to} ({path.address})"
    return _risk("interrupt", "control-path-moves", change, why, "Make sure that the new way carries it")


# -- containers


def _containers(plan: Plan, scene: Scene) -> Iterator[Risk]:
    held: dict[str, list[Lease]] = defaultdict(list)
    for lease in scene.leases:
        held[lease.network].append(lease)
    kept = {str(c.object.key) for c in plan.changes if c.verb is not Verb.REMOVE}
    for change in plan.changes:
        leases = held[change.object.network]
        if leases and isinstance(change.object, Bridge):
            yield from _bridge(change, leases)
        elif isinstance(change.object, Router) and _is_reset(change):
            why = "takes every container of this node off weave"
            yield _risk("interrupt", "router-reset", change, why, "Attach them again after the change")
        elif (
            isinstance(change.object, Address)
            and change.verb is Verb.REMOVE
            and str(change.object.key) not in kept
        ):
            inside = [one for one in leases if address(one.address) in subnet(change.object.address)]
            if inside:
                why = f"takes the gateway of {_named(inside)} away"
                yield _risk("interrupt", "gateway-gone", change, why, "Attach them again after the change")


def _bridge(change: Change, leases: list[Lease]) -> Iterator[Risk]:
    new, old = change.object, change.was
    if change.verb is Verb.REMOVE:
        why = f"takes the network of {_named(leases)} away"
        yield _risk("interrupt", "bridge-gone", change, why, "Stop them first, or attach them elsewhere")
    if not (isinstance(new, Bridge) and isinstance(old, Bridge)):
        return
    if new.mac != old.mac:
        why = f"gives {_named(leases)} a gateway of another MAC address: lost until they ask for it again"
        yield _risk("interrupt", "mac-changes", change, why, "It takes half a minute, or a restart of them")
    if new.mtu < old.mtu:
        why = (
            f"{_named(leases)} would go on with up to {old.mtu} bytes; what is larger than {new.mtu} is lost"
        )
        yield _risk("interrupt", "mtu-shrinks", change, why, "Attach them again after the change")
    if new.mtu > old.mtu:
        why = f"{_named(leases)} would go on with the MTU they have"
        yield _risk("note", "mtu-grows", change, why, "Attach them again to give them the larger one")


def _is_reset(change: Change) -> bool:
    """Whether the weave router ends, for good or to start with another range."""
    new, old = change.object, change.was
    if change.verb is Verb.REMOVE:
        return True
    return isinstance(new, Router) and isinstance(old, Router) and new.range != old.range


# -- other nodes, other people


def _nodes(added: Iterable[Prefix], scene: Scene) -> Iterator[Risk]:
    """Addresses of nodes that would be looked for inside a network."""
    own = {held.address.partition("/")[0] for link in scene.host.links.values() for held in link.addresses}
    others = {text: name for text, name in scene.peers.items() if text not in own}
    beaten = _by_prefix(scene.foreign)
    nets = {_key(prefix.net): prefix for prefix in added if prefix.table == MAIN}
    taken: dict[Change, list[str]] = defaultdict(list)
    for text, name in others.items():
        for key in _supernets(subnet(text)):
            if beaten.get((MAIN, *key)):
                break
            if key in nets:
                taken[nets[key].change].append(f"{name} ({text})")
                break
    for change, names in taken.items():
        why = f"takes the address of {_several(names, 'node')}: neither tunnels nor next hops reach it"
        yield _risk("interrupt", "node-path", change, why, "Declare another range")


def _others(added: Iterable[Prefix], scene: Scene) -> Iterator[Risk]:
    """Routes of others that lose destinations to us, or take some of ours."""
    ours = {link.name for link in scene.host.links.values() if link.ours}
    foreign = _by_prefix(route for route in scene.foreign if route.device not in ours)
    nets: dict[tuple[int, int, int, int], Prefix] = {}
    shadowed: dict[Change, list[str]] = defaultdict(list)
    for prefix in added:
        nets[(prefix.table, *_key(prefix.net))] = prefix
        for key in _supernets(prefix.net):
            route = foreign.get((prefix.table, *key))
            if key[1] and route and prefix.beats(route):
                shadowed[prefix.change].append(_shown(route))
                break
    for change, routes in shadowed.items():
        why = f"takes destinations of {_several(routes, 'route')} of others"
        yield _risk("interrupt", "shadows-route", change, why, "Declare another range if they are in use")
    yield from _hidden(foreign.values(), nets)


def _hidden(foreign: Iterable[Route], nets: Mapping[tuple[int, int, int, int], Prefix]) -> Iterator[Risk]:
    hidden: dict[Change, list[str]] = defaultdict(list)
    for route in foreign:
        for key in _supernets(subnet(route.dst)):
            prefix = nets.get((route.table, *key))
            if prefix and not prefix.beats(route):
                hidden[prefix.change].append(_shown(route))
                break
    for change, routes in hidden.items():
        why = f"{_several(routes, 'route')} of others would keep a part of its destinations"
        yield _risk("interrupt", "hidden-by-route", change, why, "Remove it, or declare another range")


# -- peers, tunnels, the firewall


def _routes(plan: Plan, scene: Scene) -> Iterator[Risk]:
    """One risk for the routes of a network that go, one for those that are replaced."""
    used = {lease.network for lease in scene.leases}
    removed = [c for c in plan.changes if isinstance(c.object, Route) and c.verb is Verb.REMOVE]
    for name, changes in _by_network(removed, scene).items():
        level = "interrupt" if name in used else "note"
        count = _number(len(_destinations(changes)), "segment")
        why = f"traffic to {count} of peers would find no way any more"
        remedy = "Move what uses them first" if name in used else "No container of this node uses them"
        yield _risk(level, "routes-gone", changes[0], why, remedy, name)
    moved = [c for c in plan.changes if isinstance(c.object, Route) and c.verb is Verb.CHANGE]
    for name, changes in _by_network(moved, scene).items():
        why = f"the way to {_number(len(_destinations(changes)), 'segment')} of peers is replaced in one step"
        yield _risk("note", "routes-move", changes[0], why, "No packet is lost by it", name)


def _by_network(changes: Iterable[Change], scene: Scene) -> dict[str, list[Change]]:
    found: dict[str, list[Change]] = defaultdict(list)
    for change in changes:
        found[scene.network(change)].append(change)
    return found


def _destinations(changes: Iterable[Change]) -> set[str]:
    """Those of several tables once."""
    return {change.object.dst for change in changes if isinstance(change.object, Route)}


def _tunnels(plan: Plan) -> Iterator[Risk]:
    for change in plan.changes:
        if isinstance(change.object, Tunnel) and _made_anew(change):
            why = "the device is taken away and made again: what goes through it stops for a moment"
            yield _risk("interrupt", "tunnel-anew", change, why, "Choose a quiet moment")


def _made_anew(change: Change) -> bool:
    new, old = change.object, change.was
    return (
        isinstance(new, Tunnel) and isinstance(old, Tunnel) and (new.kind, new.ends) != (old.kind, old.ends)
    )


def _masquerading(plan: Plan, scene: Scene) -> Iterator[Risk]:
    """New connections of containers that stay, which would leave with an address nobody may know."""
    gone = {c.object.network for c in plan.changes if isinstance(c.object, Bridge) and c.verb is Verb.REMOVE}
    attached = Counter(lease.network for lease in scene.leases)
    for change in plan.changes:
        if not isinstance(change.object, Firewall):
            continue
        before = change.object if change.verb is Verb.REMOVE else change.was
        was = _masqueraded(before)
        now = {} if change.verb is Verb.REMOVE else _masqueraded(change.object)
        for name in sorted(was.keys() - now.keys() - gone):
            if attached[name]:
                who = f"{_number(attached[name], 'container')} on {name}"
                why = (
                    f"new connections of {who} would leave as {', '.join(sorted(was[name]))}, not masqueraded"
                )
                yield _risk(
                    "interrupt", "no-masquerading", change, why, "Outside, a route back must be known", name
                )


def _masqueraded(firewall: object) -> dict[str, set[str]]:
    """Network to the sources that a table masquerades."""
    found: dict[str, set[str]] = defaultdict(set)
    if isinstance(firewall, Firewall):
        for source, name in MASQUERADED.findall(firewall.text):
            found[name].add(source)
    return found


# -- prefixes and words


def _key(net: IPNetwork) -> tuple[int, int, int]:
    return net.version, net.prefixlen, int(net.network_address)


def _supernets(net: IPNetwork) -> Iterator[tuple[int, int, int]]:
    """The keys of a prefix and of all that cover it, the longest first."""
    bits, number = net.max_prefixlen, int(net.network_address)
    for length in range(net.prefixlen, -1, -1):
        yield net.version, length, number >> (bits - length) << (bits - length)


def _by_prefix(routes: Iterable[Route]) -> dict[tuple[int, int, int, int], Route]:
    return {(route.table, *_key(subnet(route.dst))): route for route in routes}


def _shown(route: Route) -> str:
    """Without the word, and without whose it is."""
    return str(route).rpartition(" proto ")[0].removeprefix("route ")


def _named(leases: list[Lease]) -> str:
    return _several([f"{lease.container[:12]} ({lease.address})" for lease in leases], "container")


def _several(names: list[str], noun: str) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return (
        f"{_number(len(names), noun)} ({', '.join(names[:NAMED])}{more})"
        if len(names) > 1
        else f"{noun} {names[0]}"
    )


def _number(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _risk(level: str, code: str, change: Change, why: str, remedy: str, network: str = "") -> Risk:
    subject = f"{change.verb.value} {change.object}"
    return Risk(level, code, network or change.object.network, subject, why, remedy)
