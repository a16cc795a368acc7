"""A node came, changed or went: segments, documents, wake-ups.

One transaction under the cluster's lock, so that many nodes that join at once get
different segments.
"""

import socket
from typing import Any

from django.db import transaction
from django.db.models import F, Max, Q, QuerySet

from netadmin.problems import Conflict, Fault, Problem
from networks import desired, forgetting, holders, homes, rules, segments
from networks.declare import require_version
from networks.dns import changes
from networks.lookups import the_node
from networks.models import Address, Network, State, Type
from nodes import brokeraccess, events, wakeup
from nodes.models import Cluster, Node, Report

FIELDS = ("addresses", "cni_plugins", "cni_config", "weight", "comment")


def add(name: str, *, by: str, **fields: Any) -> Node:
    """Add a node; it gets a segment of every network that is on every node.

    Without ``addresses`` its name is looked up: before the transaction, as nobody is to wait for
    a resolver. Raises Problem, or Conflict when the name is taken or a network is full (with the
    size that it would have to have).
    """
    if faults := list(rules.check_name("name", name)):
        raise Problem(*faults)
    _require_new(name)
    node = Node(name=name, **{**fields, "addresses": fields.get("addresses") or looked_up(name)})
    if faults := _faults(node):
        raise Problem(*faults)
    return _join(node, by=by)


def _require_new(name: str) -> None:
    """Raises Conflict: before its name is looked up, and once more under the lock."""
    if Node.objects.filter(name=name).exists():
        remedy = "Use another name, or change that node"
        raise Conflict(Fault("name", name, "is a node of the cluster already", remedy))


@transaction.atomic
def _join(node: Node, *, by: str) -> Node:
    Cluster.locked()
    _require_new(node.name)
    last = Node.objects.aggregate(last=Max("position"))["last"]
    node.position = 0 if last is None else last + 1
    node.save()
    events.record(by, "added", "node", node.name, after=describe(node))
    _follow(Network.objects.filter(every_node=True))
    return Node.objects.get(pk=node.pk)


@transaction.atomic
def change(name: str, *, by: str, expected: int | None = None, **fields: Any) -> Node:
    """Change what is given of a node; its segments stay."""
    Cluster.locked()
    node = the_node(name)
    require_version(node.version, expected)
    before = describe(node)
    for field, value in fields.items():
        setattr(node, field, value)
    if faults := _faults(node):
        raise Problem(*faults)
    after = describe(node)
    if after == before:
        return node
    node.version += 1
    node.save(update_fields=[*fields, "version"])
    events.record(by, "changed", "node", name, before=before, after=after)
    changes.changed()
    _follow(_of_node(node))
    return Node.objects.get(pk=node.pk)


@transaction.atomic
def remove(name: str, *, by: str, expected: int | None = None, force: bool = False) -> None:
    """Remove a node: peers drop its routes, its segments are free again (and reused last). What is
    reserved in them stays so.

    If it is alive it learns from the control plane that it is gone and cleans up.
    """
    Cluster.locked()
    node = the_node(name)
    require_version(node.version, expected)
    if not force:
        holders.refuse(
            Address.objects.filter(allocation__node=node).exclude(
                allocation__state=State.RESERVED, network__type=Type.ROUTED_BRIDGE
            ),
            "they would lose their networks",
            where=f" on {name}",
        )
        holders.refuse_waiting(node.allocations.all(), "nobody would carry out what they ask for")
    touched = list(_of_node(node))
    before = describe(node)
    segments.release(segments.of_node(node))
    for network in touched:
        homes.settle(network)
    forgetting.forget(node.allocations.exclude(resource=""), by=by)
    node.delete()
    events.record(by, "removed", "node", name, before=before)
    changes.changed()
    brokeraccess.revoke_on_commit(name)
    wakeup.wake_on_commit(other.name for other in desired.publish(touched))


@transaction.atomic
def retry(name: str, *, by: str) -> Node:
    """Let a node try again what it rolled back: the same declaration becomes a new version.

    Raises Conflict when there is nothing that it refuses.
    """
    Cluster.locked()
    node = the_node(name)
    refused = Report.objects.filter(node=node).values_list("refused", flat=True).first()
    if not refused or refused != node.desired_version:
        raise Conflict(
            Fault("node", name, "refuses nothing that it is to have", "There is nothing to try again")
        )
    Node.objects.filter(pk=node.pk).update(attempt=F("attempt") + 1)
    events.record(by, "retried", "node", name, before={"version": refused})
    wakeup.wake_on_commit(other.name for other in desired.publish(()))
    return Node.objects.get(pk=node.pk)


def describe(node: Node) -> dict[str, Any]:
    return {"name": node.name, **{field: getattr(node, field) for field in FIELDS}}


def looked_up(name: str) -> list[str]:
    """The addresses of a node's name, in the resolver's order; an empty list is judged by the rules."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_DGRAM)
    except OSError:
        return []
    return list(dict.fromkeys(str(item[4][0]) for item in found))


def _faults(node: Node) -> list[Fault]:
    directories = {field: getattr(node, field) for field in ("cni_plugins", "cni_config")}
    return [
        *_address_faults(node),
        *(
            fault
            for field, path in directories.items()
            if path
            for fault in rules.directory_faults(field, path)
        ),
        *rules.weight_faults(node.weight),
        *rules.length_faults("comment", node.comment, rules.LONGEST_TEXT),
    ]


def _address_faults(node: Node) -> list[Fault]:
    if not isinstance(node.addresses, list):
        return [Fault("addresses", str(node.addresses), "is not a list", 'Give ["192.0.2.1"], for instance')]
    usable = desired.underlay_texts(map(str, node.addresses))
    faults = [
        fault for text in node.addresses for fault in rules.syntax_faults("addresses", str(text), node.name)
    ]
    if not faults and not usable:
        faults.append(
            Fault(
                "addresses",
                ", ".join(node.addresses) or "none",
                f"is no address by which other nodes reach {node.name}",
                "Give an address of its underlay interface; without any, the node's name is looked up",
            )
        )
    return faults


def _of_node(node: Node) -> "QuerySet[Network]":
    """The networks whose nodes are told of this one."""
    in_scope = Q(every_node=True) | Q(nodes=node)
    return Network.objects.filter(Q(segments__node=node) | in_scope & Q(type=Type.WEAVE)).distinct()


def _follow(touched: Any) -> None:
    networks = list(touched.distinct())
    for network in networks:
        segments.assign(network)
        homes.settle(network)
    wakeup.wake_on_commit(other.name for other in desired.publish(networks))
