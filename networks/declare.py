"""The verbs of a network: declare, change, replace, withdraw.

Each is one transaction under the cluster's lock: rules, rows, segments, documents, event;
wake-ups after the commit. Every entrance (REST, pages, admin, command line) calls these.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import transaction

from netadmin.problems import Conflict, Fault, Problem, StaleVersion
from networks import addressing, desired, forgetting, holders, homes, rules, segments
from networks.declaration import OVERRIDES, Declaration, EveryNode
from networks.dns import changes
from networks.lookups import the_network
from networks.models import BUILT_IN, DEFAULT_RANGES, Learnt, Network, Segment, Type
from nodes import events, holdings, wakeup
from nodes.models import Cluster, Node, Report

KEYWORDS = (
    "type", "network", "ips_per_node", "mask_per_node", "tunnel", "tunnel_mode", "tables", "dev",
    "public", "mtu", "template", "comment", "tags",
)  # fmt: skip
"""Columns of Network that a declaration gives."""
RENUMBERING = ("type", "network", "ips_per_node", "mask_per_node")
"""A change of one of these gives every node a new segment."""
MOVING = (*RENUMBERING, "dev", "nodes", "per_node")
"""Keywords whose change may take from a node what its containers stand on."""


@transaction.atomic
def declare(name: str, wanted: Declaration, *, by: str) -> Network:
    """Declare a network; raises Problem with every fault found, Conflict when the name is taken."""
    cluster = Cluster.locked()
    if Network.objects.filter(name=name).exists():
        raise Conflict(Fault("name", name, "is declared already", "Change that network, or use another name"))
    network = Network(name=name, **wanted.values)
    if "network" not in wanted.values and network.type in DEFAULT_RANGES:
        network.network = DEFAULT_RANGES[Type(network.type)]
    _settle(network, wanted, cluster)
    events.record(by, "declared", "network", name, after=describe(network))
    _publish(network)
    return network


@transaction.atomic
def declare_all(wanted: Sequence[tuple[str, Declaration]], *, by: str) -> list[Network]:
    """Declare several networks, or none of them: a fault says in which, like ``[1].network``."""
    declared = []
    for place, (name, declaration) in enumerate(wanted):
        try:
            declared.append(declare(name, declaration, by=by))
        except Problem as problem:
            raise problem.under(f"[{place}]") from None
    return declared


@transaction.atomic
def replace(
    name: str, wanted: Declaration, *, by: str, expected: int | None = None, force: bool = False
) -> tuple[Network, bool]:
    """Make a network exactly what is given, the rest its default; (network, whether it is new)."""
    Cluster.locked()
    network = Network.objects.filter(name=name).first()
    if network is not None:
        return change(name, _whole(network, wanted), by=by, expected=expected, force=force), False
    if expected is not None:
        raise _stale(expected, "is the version of a network that is not there any more")
    return declare(name, wanted, by=by), True


def _whole(network: Network, wanted: Declaration) -> Declaration:
    """What is not given, given as its default."""
    values = {**{keyword: getattr(Network(), keyword) for keyword in KEYWORDS}, **wanted.values}
    if "network" not in wanted.values and values["type"] in DEFAULT_RANGES:
        values["network"] = DEFAULT_RANGES[Type(values["type"])]
    per_node = {name: dict.fromkeys(kept, "") for name, kept in overrides_of(network).items()}
    for name, given in wanted.per_node.items():
        per_node[name] = {**per_node.get(name, {}), **given}
    return Declaration(values, EveryNode() if wanted.scope is None else wanted.scope, per_node)


@transaction.atomic
def change(
    name: str, wanted: Declaration, *, by: str, expected: int | None = None, force: bool = False
) -> Network:
    """Change what is given and keep the rest. ``expected``: the version that was read; None: whatever it is.

    A change that takes addresses away from those who hold them (another range, segment or bridge on
    their node, or a node that leaves the scope) is refused, unless forced.
    What is so already is not changed: neither the version nor the events grow.
    """
    cluster = Cluster.locked()
    network = the_network(name, Network.objects.select_for_update())
    require_version(network.version, expected)
    before = describe(network)
    grounds, segmented = holders.grounds(network), network.is_segmented
    renumbered = any(_differs(network, field, wanted) for field in RENUMBERING)
    for field, value in wanted.values.items():
        setattr(network, field, value)
    if renumbered:
        segments.start_over(network)
    changed = network.changed
    _settle(network, wanted, cluster)
    after = describe(network)
    if after == before:
        Network.objects.filter(pk=network.pk).update(changed=changed)
        network.changed = changed
        return network
    if not force:
        _refuse_to_take_away(network, grounds, before, after)
    if network.is_segmented != segmented:
        homes.start_over(network)
    homes.drop_outside(network)
    network.version += 1
    network.save(update_fields=["version"])
    events.record(by, "changed", "network", name, before=before, after=after)
    _publish(network)
    return network


@transaction.atomic
def withdraw(name: str, *, by: str, expected: int | None = None, force: bool = False) -> None:
    """Remove a network from every node; refused while addresses are in use, or waited for, unless forced:
    then services lose what they asked for in it, also one that is still being moved to it and has its
    address elsewhere."""
    Cluster.locked()
    network = the_network(name, Network.objects.select_for_update())
    require_version(network.version, expected)
    if name in BUILT_IN:
        remedy = "Switch it off with network=none" if name == "default" else "Leave it; it costs nothing"
        raise Problem(Fault("name", name, "is always there", remedy))
    if not force:
        holders.refuse(network.addresses.all(), "they would lose their network")
        holders.refuse_waiting(network.allocations.all(), "they would lose their network")
    before = describe(network)
    asked = network.allocations.filter(learnt=Learnt.REQUEST).exclude(node=None)
    holdings.changed(asked.values_list("node", flat=True))
    if services := list(network.allocations.exclude(resource="")):
        forgetting.forget(services, by=by)
    network.delete()
    events.record(by, "withdrew", "network", name, before=before)
    changes.changed()
    wakeup.wake_on_commit(node.name for node in desired.publish([]))


def _refuse_to_take_away(
    network: Network, grounds: holders.Grounds, before: dict[str, Any], after: dict[str, Any]
) -> None:
    """Raises InUse."""
    named = [keyword for keyword in MOVING if before[keyword] != after[keyword]]
    losers = holders.losers(network, grounds, holders.grounds(network))
    holders.refuse(losers, f"they would lose what they have by this change of {' and '.join(named)}")


def require_version(current: int, expected: int | None) -> None:
    """Compare and set: raises StaleVersion when the row is not the one that was read."""
    if expected is not None and expected != current:
        raise _stale(expected, f"is not the current version ({current})")


def _stale(expected: int, why: str) -> StaleVersion:
    return StaleVersion(Fault("If-Match", str(expected), why, "Read it again and repeat"))


def describe(network: Network) -> dict[str, Any]:
    """A network as events and the audit log keep it."""
    rows = network.segments.exclude(node=None).select_related("node").order_by("node__position")
    return {
        "name": network.name,
        **{field: getattr(network, field) for field in KEYWORDS},
        "nodes": None if network.every_node else [node.name for node in network.scope()],
        "segments": {row.node.name: row.subnet for row in rows if row.node and row.subnet},
        "per_node": overrides_of(network),
    }


def overrides_of(network: Network) -> dict[str, dict[str, str]]:
    """Node name to the keywords that were given for that node only."""
    rows = network.segments.exclude(node=None).select_related("node").order_by("node__position")
    return {row.node.name: given for row in rows if row.node and (given := overrides(row))}


def overrides(row: Segment) -> dict[str, str]:
    """What was given for one node only, by keyword."""
    values = (row.subnet if row.declared else "", row.addr, row.gateway, row.own_range)
    return {keyword: value for keyword, value in zip(OVERRIDES, values, strict=True) if value}


def _differs(network: Network, field: str, wanted: Declaration) -> bool:
    return field in wanted.values and wanted.values[field] != getattr(network, field)


def _settle(network: Network, wanted: Declaration, cluster: Cluster) -> None:
    """Judge the network as it would be, then save it with its scope, overrides and segments."""
    if network.network == "none":
        network.network = ""
    network.template = "\n".join(network.template.split("\r\n")).strip()
    scope, unknown = _scope(network, wanted)
    overridden, faults = _overridden(network, wanted, scope)
    faults = unknown + faults
    faults += rules.check(
        network,
        rules.Surroundings(
            cluster=cluster,
            others=list(Network.objects.exclude(pk=network.pk)),
            nodes=scope,
            segments=overridden,
            plugins=_plugins(scope) if network.type == Type.CNI else {},
            others_segments=list(
                Segment.objects.exclude(own_range="").exclude(network=network.pk).select_related("network")
            ),
        ),
    )
    if faults:
        raise Problem(*faults)
    network.network = " ".join(str(cidr) for cidr in network.cidrs)
    network.save()
    if not network.every_node:
        network.nodes.set(scope)
    else:
        network.nodes.clear()
    _make_room(network, overridden)
    _save_overridden(network, [row for row in overridden if row.node and row.node.name in wanted.per_node])
    segments.release_outside(network)
    segments.assign(network)
    homes.settle(network)


def _plugins(scope: Iterable[Node]) -> dict[str, list[str]]:
    """The CNI plugins that nodes in scope reported."""
    rows = Report.objects.filter(node__in=[node.pk for node in scope]).order_by("node__position")
    reported = rows.values_list("node__name", "capabilities")
    return {name: said["plugins"] for name, said in reported if isinstance(said.get("plugins"), list)}


def _scope(network: Network, wanted: Declaration) -> tuple[list[Node], list[Fault]]:
    if wanted.scope is None and network.pk:
        return list(network.scope()), []
    if not isinstance(wanted.scope, tuple):
        network.every_node = True
        return list(Node.objects.all()), []
    network.every_node = False
    found = list(Node.objects.filter(name__in=wanted.scope))
    missing = sorted(set(wanted.scope) - {node.name for node in found})
    return found, [_unknown_node("nodes", name) for name in missing]


def _unknown_node(field: str, name: str) -> Fault:
    return Fault(field, name, "is no node of the cluster", "Add the node first, or correct the name")


def _overridden(
    network: Network, wanted: Declaration, scope: Iterable[Node]
) -> tuple[list[Segment], list[Fault]]:
    """The segments with overrides as they would be: the kept ones with the new ones laid over."""
    rows = {
        row.node.name: row
        for row in (network.segments.exclude(node=None).select_related("node") if network.pk else ())
        if row.node
    }
    nodes = {node.name: node for node in (*scope, *Node.objects.filter(name__in=wanted.per_node))}
    faults = []
    for name, given in wanted.per_node.items():
        if name not in nodes:
            faults.append(_unknown_node(next(iter(given), "nodes"), name))
            continue
        row = rows.setdefault(name, Segment(node=nodes[name], network=network if network.pk else None))
        for keyword, value in given.items():
            if keyword == "subnet":
                if value or row.declared:  # a chosen one cannot be taken back
                    row.subnet, row.declared = value, bool(value)
            else:
                setattr(row, "own_range" if keyword == "network" else keyword, value)
    return [
        row for row in rows.values() if row.declared or row.addr or row.gateway or row.own_range or row.pk
    ], faults


def _make_room(network: Network, overridden: list[Segment]) -> None:
    """A declared subnet takes its place: chosen or released segments that it touches give way."""
    declared = [cidr for row in overridden if row.declared for cidr in row.cidrs]
    if not declared:
        return
    kept = {row.pk: row for row in overridden}
    for row in network.segments.exclude(subnet=""):
        ours = kept.get(row.pk)
        if ours is not None and ours.declared:
            continue
        if any(addressing.overlap(cidr, taken) for cidr in row.cidrs for taken in declared):
            if row.node_id is None:
                row.delete()
            else:
                row.subnet = ""
                row.save()
                if ours is not None:
                    ours.subnet = ""


def _save_overridden(network: Network, rows: list[Segment]) -> None:
    """Two nodes may exchange their subnets: both let go before either takes one."""
    network.segments.filter(pk__in=[row.pk for row in rows]).update(subnet="")
    for row in rows:
        row.network = network
        row.save()


def _publish(network: Network) -> None:
    changes.changed()
    wakeup.wake_on_commit(node.name for node in desired.publish([network]))
