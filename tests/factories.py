"""What tests declare, made by functions through the verbs: every argument has a default.

n1 192.0.2.1   n2 192.0.2.2   n3 192.0.2.3      in scope of a network
n4 192.0.2.4                                    a node of the cluster, not in scope
vera views, oscar operates, ada administers
"""

import json
from dataclasses import asdict
from datetime import timedelta
from itertools import count
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone
from netaddr import IPAddress

from netadmin import roles
from networks import declare, membership, usage
from networks.declaration import Declaration, EveryNode
from networks.models import Allocation, Learnt, Network, State, Type
from nodes.models import Node, Operation, Question
from workers.planned import Count, Planned, Risk, Step
from workers.report import PAIR_STATES, Finding, Interface, Lease, Pair, Probed, Report

CAST = {"vera": roles.VIEWER, "oscar": roles.OPERATOR, "ada": roles.ADMIN}
IN_SCOPE = ("n1", "n2", "n3")
SEQUENCE = count(1)


def a_user(name: str = "vera", password: str | None = None) -> User:
    """One of the cast, with the role it plays; anybody else has none. Hashing a password takes a while."""
    user = User.objects.create_user(name, password=password)
    if name in CAST:
        roles.give(user, CAST[name])
    return user


def a_node(name: str = "n1", **fields: Any) -> Node:
    number = name.lstrip("abcdefghijklmnopqrstuvwxyz") or "1"
    return membership.add(name, by="ada", **{"addresses": [f"192.0.2.{number}"], **fields})


def the_nodes() -> list[Node]:
    """n1, n2, n3 and n4."""
    return [a_node(name) for name in (*IN_SCOPE, "n4")]


def a_network(
    name: str = "backend1",
    network: str = "10.11.0.0/16",
    type: str = Type.ROUTED_BRIDGE,
    *,
    nodes: tuple[str, ...] | None = None,
    per_node: dict[str, dict[str, str]] | None = None,
    **keywords: Any,
) -> Network:
    """A network on every node, or on ``nodes``."""
    values = {"type": str(type), "network": network, **keywords}
    scope = EveryNode() if nodes is None else nodes
    return declare.declare(name, Declaration(values, scope, per_node or {}), by="oscar")


def an_allocation(
    network: Network,
    address: str,
    node: Node | None = None,
    *,
    service: str = "root/svc/web",
    resource: str = "ip#0",
) -> Allocation:
    """An address that a resource of a service reports."""
    held = Allocation.objects.create(
        network=network,
        node=node,
        service=service,
        resource=resource,
        state=State.ATTACHED,
        learnt=Learnt.REQUEST,
    )
    for text in address.split():
        held.addresses.create(network=network, address=IPAddress(text), locality=network.locality(node))
    return held


def a_lease(
    network: str = "backend1", address: str = "10.11.0.2", container: str = "c1", interface: str = "eth0"
) -> Lease:
    return Lease(network, address, container, interface)


def an_interface(address: str, name: str = "eth0", mtu: int = 1500) -> Interface:
    """One of the underlay."""
    return Interface(name, "", "02:00:00:00:00:01", mtu, True, False, (address,), 0, 0, 0, 0)


def a_finding(
    code: str = "conflict",
    network: str = "",
    subject: str = "bridge obr_backend1",
    why: str = "is somebody else's",
    remedy: str = "Remove it",
    level: str = "problem",
) -> Finding:
    return Finding(code, network, subject, why, remedy, level)


def a_pair(peer: str = "n2", state: str = "up", **fields: Any) -> Pair:
    """A pair as a node tells it; one that is not up says why."""
    usual: dict[str, Any] = {
        "up": {"rtt": 0.125, "largest": 1500},
        "mtu": {
            "rtt": 0.125,
            "largest": 1364,
            "code": "mtu",
            "why": "1500 are lost",
            "remedy": "Declare mtu=1364",
        },
        "down": {
            "loss": 1.0,
            "code": "blocked",
            "why": "nothing comes back",
            "remedy": "Declare tunnel=always",
        },
        "pending": {"at": 0.0},
    }[state]
    return Pair(peer, state, **{"at": 1_800_000_000.0, "way": "eth0 via 192.0.2.2", **usual, **fields})


def probed(*pairs: Pair, network: str = "backend1", family: int = 4) -> Probed:
    """What a node's probes of a network found."""
    counts = {state: sum(pair.state == state for pair in pairs) for state in PAIR_STATES}
    return Probed(network, family, len(pairs), **counts, size=1500, rtt=0.125, pairs=pairs)


def a_report(node: str = "n1", **fields: Any) -> Report:
    """A report newer than the one before."""
    return Report(
        **{"node": node, "sequence": next(SEQUENCE), "version": "", "outcome": "unchanged", **fields}
    )


def reported(node: Node | str, **fields: Any) -> None:
    """The node has reported that it carries out what it is to have."""
    row = Node.objects.get(name=str(node))
    usage.take_in(row, a_report(row.name, **{"version": row.desired_version, **fields}))


def a_plan(risk: str = "cuts the way to the control plane") -> Operation:
    """Number 1: of backend1, as n1 answered it."""
    deadline = timezone.now() + timedelta(seconds=10)
    operation = Operation.objects.create(
        pk=1, kind="plan", subject="backend1", by="oscar", asked={}, deadline=deadline
    )
    change = "add address 192.0.2.1/24 dev obr_backend1"
    plan = Planned(
        "v",
        steps=(Step("add", "address", change.removeprefix("add "), "backend1"),),
        counts=(Count("add", "address", "backend1", 1),),
        risks=(Risk("cut", "control-path", "backend1", change, risk, "Declare the network otherwise"),),
    )
    answer = json.loads(json.dumps(asdict(plan)))
    node = Node.objects.get(name="n1")
    Question.objects.create(operation=operation, node=node, body={}, state="answered", answer=answer)
    return operation
