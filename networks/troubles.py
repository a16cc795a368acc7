"""What somebody should look at: what nodes found, nodes that nobody hears of, segments that are full,
services without what they asked for."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Q

from networks import holders
from networks.convergence import NodeState
from networks.fullness import Fullness
from networks.models import Allocation, Learnt, State
from nodes.models import Node
from workers.report import WARNING

LATE = 30.0
"""Seconds after which a service that has no address yet is worth a warning."""


@dataclass(frozen=True, slots=True)
class Trouble:
    node: Node
    network: str
    """Empty: it concerns the whole node."""
    sentence: str
    remedy: str
    warning: bool = False
    """It may come to a problem; now all is as declared."""
    retry: bool = False
    """The node rolled back what it is to have, and may be told to try again."""


def of_nodes(states: Iterable[NodeState], network: str | None = None) -> list[Trouble]:
    """In the order of the nodes; only what concerns this network, if one is named."""
    found = []
    for state in states:
        if state.status == "silent":
            found.append(_silent(state.node))
        findings = state.findings if network is None else state.findings_of(network)
        found += [
            Trouble(
                state.node,
                finding["network"],
                f"{finding['subject']}: {finding['why']}",
                finding["remedy"],
                warning=finding.get("level") == WARNING,
                retry=bool(state.refused) and finding["code"] == "rolled-back",
            )
            for finding in findings
        ]
    return found


def of_pairs(states: Sequence[NodeState], network: str | None = None) -> list[Trouble]:
    """Pairs of nodes between which packets are lost; a peer that does not stand well itself is said so."""
    words = {state.node.name: state.status for state in states}
    return [
        Trouble(
            state.node,
            failure["network"],
            f"{failure['subject']}: {failure['why']}{_excuse(failure['peer'], words)}",
            failure["remedy"],
        )
        for state in states
        for failure in state.failures_of(network)
    ]


def of_parts(parts: Iterable[Fullness]) -> list[Trouble]:
    """Segments in which there is no room for containers, or soon will be none."""
    return [
        Trouble(
            part.node,
            part.network.name,
            part.sentence,
            "Stop containers there, release reservations, or give the network larger segments",
        )
        for part in parts
        if part.nearly_full
    ]


def of_services(network: str | None = None, node: Node | None = None) -> list[Trouble]:
    """What services asked for and do not have as they should; reservations that somebody is in the way of.
    Two queries."""
    late = int((time.time() - LATE) * 1_000_000)
    waiting = ~Q(state__in=(State.ATTACHED, State.RESERVED, State.LOST)) & Q(version__lt=late)
    rows = Allocation.objects.filter(learnt=Learnt.REQUEST).exclude(node=None)
    rows = (
        rows.filter(Q(healthy=False) | waiting).select_related("network", "node").defer("network__peers_body")
    )
    if network is not None:
        rows = rows.filter(network__name=network)
    if node is not None:
        rows = rows.filter(node=node)
    rows = rows.order_by("node__position", "service", "resource").prefetch_related("addresses")
    return [_of_service(row) for row in rows]


def _of_service(row: Allocation) -> Trouble:
    assert row.node is not None
    doing = "detach" if row.state == State.RELEASING else "attach"
    why = row.why or f"{row.node.name} did not {doing} it within {LATE:g} s"
    remedy = row.remedy or "See whether its worker runs and reaches this control plane"
    return Trouble(row.node, row.network.name, f"{_named(row)}: {why}", remedy, warning=row.healthy)


def _named(row: Allocation) -> str:
    """Of a service its resource; a reservation by its address, and what it is for."""
    if row.state != State.RESERVED:
        return str(row)
    addresses = ", ".join(str(held.address) for held in row.addresses.all())
    return f"{addresses} of {row.network.name}, {holders.purpose(row)}"


def _excuse(peer: str, words: Mapping[str, str]) -> str:
    word = words.get(peer, "")
    return f" ({peer} is {word})" if word in ("new", "silent", "converging", "problem") else ""


def _silent(node: Node) -> Trouble:
    return Trouble(
        node,
        "",
        "is not heard of any more",
        "See whether it is up, its worker runs and reaches this control plane",
    )
