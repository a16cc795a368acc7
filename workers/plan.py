"""What to change, from what is there to what is wanted.

    desired  ours  foreign
        |      |      |
        +--- by key --+
        |
        add / change in the order of KINDS, then remove in reverse order

The new comes before the old goes, so traffic that a change does not concern loses no
packet. What needs a device that somebody else holds is left as it is: one conflict is
reported, not what follows from it. Pure: no I/O.
"""

from collections.abc import Hashable, Iterable
from itertools import compress, filterfalse
from operator import is_not

from workers.changes import Change, Objects, Owned, Plan, Verb
from workers.cni.confs import Conf
from workers.cni.weave import PluginLink, Router
from workers.kernel.addresses import Address
from workers.kernel.firewall import Firewall
from workers.kernel.forwarding import Accept
from workers.kernel.links import Bridge, Up
from workers.kernel.routes import Route
from workers.kernel.sysctls import Sysctl
from workers.kernel.tunnels import Tunnel
from workers.report import Finding

KINDS = (Bridge, Tunnel, Sysctl, Up, Address, Firewall, Accept, Route, Conf, PluginLink, Router)
"""The order of apply. A link is made down and its switches are set before it is up; a tunnel is up
and guarded before a route uses it; a file appears when its bridge works. The weave router may take
minutes, so it comes last."""
DEVICES = (Bridge, Tunnel)

ByKey = dict[Hashable, Owned]


def plan(desired: Iterable[Owned], ours: Iterable[Owned], foreign: Iterable[Owned] = ()) -> Plan:
    """The changes in order, and what is in their way.

    Of ``foreign`` only objects with the key of a desired one matter. One that equals it does
    its service; any other is a conflict, since the kernel would refuse ours or, worse,
    replace theirs.
    """
    wanted, present, others = (Objects.of(some).by_key for some in (desired, ours, foreign))
    new = {key: wanted[key] for key in _changed(wanted, present)}
    there = {key: present.get(key) or others.get(key) for key in new}
    blocked = {key: other for key, one in new.items() if (other := _in_the_way(one, key, present, others))}
    devices = {one.name for key in blocked if isinstance(one := new[key], DEVICES)}
    free = [one for key, one in new.items() if key not in blocked and one.needs not in devices]
    made = [change for one in free if (change := _made(one, there[one.key]))]
    findings = [_conflict(new[key], other) for key, other in blocked.items() if new[key].needs not in devices]
    return Plan((*sorted(made, key=_rank), *_removals(wanted, present)), tuple(findings))


def stages(made: Plan) -> tuple[Plan, Plan]:
    """What to do at once, and what to do when the peers have had time to do as much.

    A node that moves its routes into a new tunnel sends into it at once, so the peers must listen
    first; one that moves them out listens until the peers have moved too.
    """
    new = {change.object.key for change in made.changes if _is(Tunnel, Verb.ADD, change)}
    old = {change.object.key for change in made.changes if _is(Tunnel, Verb.REMOVE, change)}
    moves = [change for change in made.changes if _is(Route, Verb.CHANGE, change)]
    left = {("link", change.was.needs) for change in moves if change.was} & old
    now: list[Change] = []
    late: list[Change] = []
    for change in made.changes:
        enters = _is(Route, Verb.CHANGE, change) and ("link", change.object.needs) in new
        (late if enters or change.object.key in left else now).append(change)
    return Plan(tuple(now), made.findings), Plan(tuple(late))


def _changed(wanted: ByKey, present: ByKey) -> Iterable[Hashable]:
    """Keys of wanted objects that are not there as the very same object. No step of Python for each."""
    return compress(wanted, map(is_not, map(present.get, wanted), wanted.values()))


def _is(kind: type, verb: Verb, change: Change) -> bool:
    return isinstance(change.object, kind) and change.verb is verb


def _in_the_way(one: Owned, key: Hashable, present: ByKey, others: ByKey) -> Owned | None:
    """Somebody else's object in the place of one that we do not have."""
    other = others.get(key) if key not in present else None
    return other if other is not None and other != one else None


def _made(one: Owned, there: Owned | None) -> Change | None:
    if there is None:
        return Change(Verb.ADD, one)
    return None if there == one else Change(Verb.CHANGE, one, there)


def _removals(wanted: ByKey, present: ByKey) -> list[Change]:
    """What lives on a removed device goes with it."""
    gone = {key: present[key] for key in filterfalse(wanted.__contains__, present)}
    devices = {one.name for one in gone.values() if isinstance(one, DEVICES)}
    removals = [
        Change(Verb.REMOVE, one) for one in gone.values() if isinstance(one, Conf) or one.needs not in devices
    ]
    return sorted(removals, key=_rank, reverse=True)


def _rank(change: Change) -> int:
    return KINDS.index(type(change.object))


def _conflict(one: Owned, other: Owned) -> Finding:
    return Finding(
        code="conflict",
        network=one.network,
        subject=str(one),
        why=f"{other} is in the way and not ours; it was left alone",
        remedy="Remove it if nobody needs it, or declare the network otherwise",
    )
