"""What nodes would do for a draft: the verb is carried out, its documents are rendered, it is taken back.

    verb -> rows -> heads and peer lists -> (rolled back) -> a question to each node it concerns
    answers -> result: nodes that would do the same, together; the worst risk first

The same verbs, rules and segments as for real. No row, no event and no wake-up of the draft is left.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from networks import declare
from networks.declaration import Declaration
from networks.desired import Snapshot
from networks.models import Network
from nodes import questions
from nodes.models import Node, Operation, Question
from workers import wire
from workers.planned import LEVELS, Planned

KIND = "plan"
CLEAN = ""
"""The level of a node without a risk."""


def change(name: str, wanted: Declaration, *, by: str, expected: int | None, force: bool) -> None:
    """A network that is not there is declared."""
    if expected is None and not Network.objects.filter(name=name).exists():
        declare.declare(name, wanted, by=by)
    else:
        declare.change(name, wanted, by=by, expected=expected, force=force)


def replace(name: str, wanted: Declaration, *, by: str, expected: int | None, force: bool) -> None:
    declare.replace(name, wanted, by=by, expected=expected, force=force)


def withdraw(name: str, wanted: Declaration, *, by: str, expected: int | None, force: bool) -> None:
    """Nothing is wanted of it."""
    declare.withdraw(name, by=by, expected=expected, force=force)


VERBS = {"change": change, "replace": replace, "withdraw": withdraw}
"""What can be drafted of one network."""


@dataclass(frozen=True, slots=True)
class Draft:
    """Documents as they would be."""

    heads: Mapping[Node, Any]
    peers: Mapping[str, Any]
    """Peer lists by digest."""


def ask(
    verb: Callable[[], object],
    names: Iterable[str],
    asked: Any,
    *,
    by: str,
    within: float = questions.WITHIN,
) -> Operation:
    """Ask the nodes that a draft concerns: those in scope of the named networks before or after it, and
    those whose document it changes. Raises the Problem that the verb raises."""
    subject = list(dict.fromkeys(names))
    made = draft(verb, subject)
    bodies = {node: {"head": head} for node, head in made.heads.items()}
    return questions.ask(KIND, ", ".join(subject)[:255], asked, bodies, made.peers, by=by, within=within)


def draft(verb: Callable[[], object], names: Iterable[str]) -> Draft:
    """Carry the verb out, render, take it back."""
    with transaction.atomic():
        before = _scope(names)
        versions = dict(Node.objects.values_list("pk", "desired_version"))
        verb()
        concerned = before | _scope(names)
        nodes = list(Node.objects.all())
        snapshot = Snapshot.of()
        chosen = [
            node for node in nodes if node.pk in concerned or node.desired_version != versions.get(node.pk)
        ]
        heads = {node: json.loads(snapshot.head(node)) for node in chosen}
        peers = _peers(heads.values())
        transaction.set_rollback(True)
    return Draft(heads, peers)


def _scope(names: Iterable[str]) -> set[int]:
    networks = Network.objects.filter(name__in=list(names)).defer("peers_body")
    return {node.pk for network in networks for node in network.scope()}


def _peers(heads: Iterable[Any]) -> dict[str, Any]:
    digests = {network["peers"] for head in heads for network in head["networks"]} - {""}
    rows = Network.objects.filter(peers_digest__in=digests).values_list("peers_digest", "peers_body")
    return {digest: json.loads(body) for digest, body in rows}


# -- what came of it


@dataclass(frozen=True)
class Group:
    """Nodes of which the same is to be said: the first one's plan stands for all."""

    state: str
    """Waiting, answered, failed, late or silent."""
    nodes: list[str]
    plan: Planned | None
    why: str
    """Of one that did not answer."""

    @property
    def level(self) -> str:
        return self.plan.worst if self.plan else CLEAN

    @property
    def rank(self) -> tuple[int, int]:
        """The worst first, then those of whom nothing is known, then by how much there is to do."""
        order = [LEVELS[0], "unknown", *LEVELS[1:], CLEAN]
        return order.index(self.level if self.plan else "unknown"), -(self.plan.total if self.plan else 0)


@dataclass(frozen=True)
class Result:
    """What nodes would do, as far as they have said it."""

    groups: list[Group]
    verbs: Counter[str] = field(default_factory=Counter)
    """``add``, ``change``, ``remove``: how often, over all nodes."""

    @property
    def changing(self) -> int:
        """Nodes that would do something."""
        return sum(len(group.nodes) for group in self.groups if group.plan and group.plan.total)

    @property
    def conflicts(self) -> int:
        """Nodes on which something would be in the way or missing."""
        return sum(len(group.nodes) for group in self.groups if group.plan and group.plan.findings)

    @property
    def worst(self) -> str:
        levels = {group.level for group in self.groups}
        return next((level for level in LEVELS if level in levels), CLEAN)

    @property
    def cut(self) -> list[str]:
        """Nodes that would lose the control plane."""
        return [node for group in self.groups if group.level == LEVELS[0] for node in group.nodes]


def result(operation: Operation) -> Result:
    """One query."""
    rows = operation.questions.defer("body").select_related("node").order_by("node__position")
    found: dict[Any, Group] = {}
    verbs: Counter[str] = Counter()
    for row in rows:
        state = questions.state_of(row, operation)
        plan = planned(row)
        for count in plan.counts if plan else ():
            verbs[count.verb] += count.number
        key = (state, row.why, _shape(plan) if plan else None)
        found.setdefault(key, Group(state, [], plan, row.why)).nodes.append(row.node.name)
    return Result(sorted(found.values(), key=lambda group: group.rank), verbs)


def planned(row: Question) -> Planned | None:
    """What a node answered; None: it did not."""
    plan: Planned | None = wire.read(Planned, row.answer, "content") if row.state == "answered" else None
    return plan


def _shape(plan: Planned) -> Any:
    """What makes two plans alike: not their addresses, but how much of what, and what is wrong with it."""
    return (
        frozenset((count.verb, count.kind, count.network, count.number) for count in plan.counts),
        frozenset((risk.level, risk.code, risk.network) for risk in plan.risks),
        frozenset((finding.code, finding.network) for finding in plan.findings),
    )
