"""What came of a plan: how each node answered, and nodes that would do the same together.

answers -> NodePlan, one a node -> Group, one a shape, the worst risk first -> Result
        -> page, command, {"summary": {...}, "groups": [...]}
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nodes import questions
from nodes.models import Operation
from workers import wire
from workers.planned import LEVELS, Planned, Step

CLEAN = ""
"""The level of a node without a risk."""
UNKNOWN = "unknown"
"""The level of a node that did not answer."""
WORST_FIRST = (LEVELS[0], UNKNOWN, *LEVELS[1:], CLEAN)
SHOWN = 40
MOST_TOLD = 100
WHY = {
    "waiting": "has not answered yet",
    "late": "did not answer in time",
    "silent": "is not heard of, and was not waited for",
}
"""What there is to say of a node that gave no reason itself."""


@dataclass(frozen=True, slots=True)
class NodePlan:
    """What one node said."""

    node: str
    state: str
    """Waiting, answered, failed, late or silent."""
    plan: Planned | None
    """Without its steps: of thousands of nodes only a few are looked at so closely."""
    why: str = ""
    """Of one that did not answer."""
    steps: Any = ()
    """The steps as they were sent."""

    @classmethod
    def of(cls, node: str, state: str, answer: Any, why: str = "") -> "NodePlan":
        """``answer``: as it was sent; None: there is none."""
        if answer is None:
            return cls(node, state, None, why)
        plan = wire.read(Planned, {**answer, "steps": []}, "content")
        return cls(node, state, plan, why, answer["steps"])

    @property
    def shape(self) -> Any:
        """What makes two alike: not their addresses, but how much of what, and what is wrong with it."""
        if self.plan is None:
            return self.state, self.why
        return (
            frozenset((count.verb, count.kind, count.network, count.number) for count in self.plan.counts),
            frozenset((risk.level, risk.code, risk.network) for risk in self.plan.risks),
            frozenset((finding.code, finding.network) for finding in self.plan.findings),
        )


@dataclass(frozen=True, slots=True)
class Told:
    """A risk or a finding, and the nodes of a group that tell it in these words."""

    nodes: tuple[str, ...]
    what: Any
    everywhere: bool
    """All nodes of the group do."""


@dataclass(frozen=True, slots=True)
class Group:
    """Nodes of one shape: the changes of the first stand for all."""

    plans: tuple[NodePlan, ...]

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(plan.node for plan in self.plans)

    @property
    def first(self) -> NodePlan:
        return self.plans[0]

    @property
    def plan(self) -> Planned:
        """The first one's; an empty one if they did not answer."""
        return self.first.plan or Planned("")

    @property
    def risks(self) -> list[Told]:
        """The worst first; whom they interrupt differs from node to node."""
        said = _told((one.node, risk) for one in self.plans if one.plan for risk in one.plan.risks)
        told = [Told(nodes, risk, len(nodes) == len(self.plans)) for risk, nodes in said]
        return sorted(told, key=lambda one: LEVELS.index(one.what.level))

    @property
    def findings(self) -> list[Told]:
        said = _told((one.node, finding) for one in self.plans if one.plan for finding in one.plan.findings)
        return [Told(nodes, finding, len(nodes) == len(self.plans)) for finding, nodes in said]

    @property
    def level(self) -> str:
        return self.plan.worst if self.first.plan else UNKNOWN

    @property
    def why(self) -> str:
        """What kept them from answering."""
        return self.first.why or WHY.get(self.first.state, "")

    @property
    def steps(self) -> tuple[Step, ...]:
        """The first one's changes, as far as they are told one by one."""
        steps: tuple[Step, ...] = wire.read(tuple[Step, ...], list(self.first.steps), "steps")
        return steps

    @property
    def shown(self) -> tuple[Step, ...]:
        """The changes that a page shows."""
        return self.steps[:SHOWN]

    @property
    def hidden(self) -> int:
        """Those that it does not."""
        return self.plan.total - min(SHOWN, len(self.first.steps))

    @property
    def untold(self) -> int:
        """Changes that are counted and not told one by one."""
        return self.plan.total - len(self.first.steps)

    @property
    def rank(self) -> tuple[int, int]:
        """The worst first, then by how much there is to do."""
        return WORST_FIRST.index(self.level), -self.plan.total


@dataclass(frozen=True, slots=True)
class Result:
    """What nodes would do, as far as they have said it."""

    plans: Sequence[NodePlan]

    @property
    def groups(self) -> list[Group]:
        """Nodes that would do the same, together."""
        shapes: dict[Any, list[NodePlan]] = {}
        for plan in self.plans:
            shapes.setdefault(plan.shape, []).append(plan)
        return _ranked(Group(tuple(plans)) for plans in shapes.values())

    @property
    def apart(self) -> list[Group]:
        """Each node by itself."""
        return _ranked(Group((plan,)) for plan in self.plans)

    @property
    def verbs(self) -> Counter[str]:
        """``add``, ``change``, ``remove``: how often, over all nodes."""
        found: Counter[str] = Counter()
        for plan in self._answers:
            for count in plan.counts:
                found[count.verb] += count.number
        return found

    @property
    def changing(self) -> int:
        """Nodes that would do something."""
        return sum(plan.total > 0 for plan in self._answers)

    @property
    def conflicts(self) -> int:
        """Nodes on which something would be in the way or missing."""
        return sum(bool(plan.findings) for plan in self._answers)

    @property
    def unknown(self) -> list[str]:
        """Nodes that did not answer."""
        return [plan.node for plan in self.plans if plan.plan is None]

    @property
    def cut(self) -> list[str]:
        """Nodes that would lose the control plane."""
        return [plan.node for plan in self.plans if plan.plan and plan.plan.worst == LEVELS[0]]

    @property
    def worst(self) -> str:
        levels = {plan.worst for plan in self._answers}
        return next((level for level in LEVELS if level in levels), CLEAN)

    @property
    def _answers(self) -> list[Planned]:
        return [plan.plan for plan in self.plans if plan.plan]


def result(operation: Operation) -> Result:
    """One query."""
    rows = operation.questions.defer("body").select_related("node").order_by("node__position")
    return Result(
        [NodePlan.of(row.node.name, questions.state_of(row, operation), row.answer, row.why) for row in rows]
    )


def represent(operation: Operation) -> dict[str, Any]:
    """As a JSON value."""
    found = result(operation)
    verbs = found.verbs
    return {
        "summary": {
            "nodes": len(found.plans),
            "changing": found.changing,
            **{verb: verbs[verb] for verb in ("add", "change", "remove")},
            "conflicts": found.conflicts,
            "unknown": found.unknown,
            "worst": found.worst,
            "cut": found.cut,
        },
        "groups": [_group(group) for group in found.groups],
    }


def _told(said: Iterable[tuple[str, Any]]) -> list[tuple[Any, tuple[str, ...]]]:
    """What is said in the same words once, with who says it; at most ``MOST_TOLD``."""
    found: dict[Any, tuple[Any, list[str]]] = {}
    for node, what in said:
        found.setdefault((what.code, what.network, what.why), (what, []))[1].append(node)
    return [(what, tuple(nodes)) for what, nodes in list(found.values())[:MOST_TOLD]]


def _ranked(groups: Iterable[Group]) -> list[Group]:
    return sorted(groups, key=lambda group: group.rank)


def _group(group: Group) -> dict[str, Any]:
    plan = group.plan
    return {
        "nodes": group.nodes,
        "state": group.first.state,
        "why": group.why,
        "level": group.level,
        "counts": [asdict(count) for count in plan.counts],
        "changes": [asdict(step) for step in group.steps],
        "risks": [{"nodes": told.nodes, **asdict(told.what)} for told in group.risks],
        "findings": [{"nodes": told.nodes, **asdict(told.what)} for told in group.findings],
    }
