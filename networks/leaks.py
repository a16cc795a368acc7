"""Leases whose container is gone, as the nodes prove it when they are asked: listed, or freed at once."""

from collections.abc import Iterable
from dataclasses import dataclass

from networks.models import OF_SERVICES, Allocation
from nodes import questions
from nodes.models import Node, Operation
from workers import wire
from workers.leaked import Leak, Leaked

KIND = "leases"


@dataclass(frozen=True, slots=True)
class Found:
    """What one node said."""

    node: str
    state: str
    """``answered``, or why there is no answer: ``failed``, ``late``, ``silent``, ``waiting``."""
    why: str
    looked: int
    leases: tuple[Leak, ...]


def ask(nodes: Iterable[Node], *, release: bool, by: str, within: float) -> Operation:
    """Ask nodes which leases would go; ``release``: free them, on the same proof, without the grace time."""
    asked = list(nodes)
    ours: dict[int, list[str]] = {node.pk: [] for node in asked}
    rows = Allocation.objects.filter(node__in=list(ours), state__in=OF_SERVICES).exclude(resource="")
    for node, uuid in rows.values_list("node", "uuid"):
        ours[node].append(uuid.hex)
    bodies = {node: {"release": release, "ours": ours[node.pk]} for node in asked}
    names = ", ".join(node.name for node in asked)[:255]
    return questions.ask(KIND, names, {"release": release}, bodies, by=by, within=within)


def found(operation: Operation) -> list[Found]:
    """What the nodes said, in cluster order."""
    rows = operation.questions.select_related("node").order_by("node__position")
    return [
        Found(
            row.node.name,
            questions.state_of(row, operation),
            row.why,
            *_read(row.answer if row.state == "answered" else None),
        )
        for row in rows
    ]


def _read(answer: object) -> tuple[int, tuple[Leak, ...]]:
    if answer is None:
        return 0, ()
    said: Leaked = wire.read(Leaked, answer, "answer")
    return said.looked, said.leases
