"""Questions to nodes, put together as operations.

    ask(kind, subject, bodies)    one transaction: operation, a question per node; wake-ups on commit
    open_for(node)                what waits for its answer
    answer(node, question, said)  compare and set: once, by that node, before the deadline
    progress(operation)           how many nodes stand how; decided when it is read

    waiting    may still answer
    answered   did
    failed     said why it cannot
    late       did not answer by the deadline
    silent     was not heard of for some looks when it was asked, and so is not waited for

``Node.questions`` counts what waits, and may be too high after a deadline: the node asks, is
given nothing, and the count is right again.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Count, F, Q, QuerySet
from django.utils import timezone

from netadmin import waiting
from netadmin.problems import Conflict, Fault, Missing
from nodes import members, wakeup
from nodes.models import Node, Operation, Question
from workers import question as wire

WITHIN = 10.0
"""Seconds that nodes have to answer, unless said otherwise."""
EACH = 0.02
"""Seconds more for each node that is asked, as their answers are taken one after the other."""
LONGEST_WAIT = 60.0
KEPT = timedelta(days=1)
MOST = 100
"""How many operations are kept: the newest."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How many nodes stand how."""

    waiting: int = 0
    answered: int = 0
    failed: int = 0
    late: int = 0
    silent: int = 0

    @property
    def asked(self) -> int:
        return self.waiting + self.answered + self.failed + self.late + self.silent

    @property
    def done(self) -> bool:
        """Nobody is waited for any more."""
        return not self.waiting


@transaction.atomic
def ask(
    kind: str,
    subject: str,
    asked: Any,
    bodies: Mapping[Node, Any],
    shared: Mapping[str, Any] | None = None,
    *,
    by: str,
    within: float = WITHIN,
) -> Operation:
    """Ask nodes; ``bodies`` says what each of them. ``shared``: parts that bodies name by digest."""
    _prune()
    deadline = timezone.now() + timedelta(seconds=within + EACH * len(bodies))
    operation = Operation.objects.create(
        kind=kind, subject=subject, asked=asked, by=by, deadline=deadline, shared=dict(shared or {})
    )
    since = members.heard_since()
    silent = {node for node in bodies if members.is_silent(node, since)}
    Question.objects.bulk_create(
        (
            Question(
                operation=operation, node=node, body=body, state="silent" if node in silent else "waiting"
            )
            for node, body in bodies.items()
        ),
        batch_size=500,
    )
    waking = [node for node in bodies if node not in silent]
    Node.objects.filter(pk__in=[node.pk for node in waking]).update(questions=F("questions") + 1)
    wakeup.question_on_commit(node.name for node in waking)
    return operation


def find(number: int | str) -> Operation:
    """The operation of this number; raises Missing."""
    operation = Operation.objects.defer("shared").filter(pk=number).first()
    if operation is None:
        why = "is no operation, or one that is not kept any more"
        raise Missing(
            Fault("operation", str(number), why, f"Ask again; the newest {MOST} are kept for a day")
        )
    return operation


def open_for(node: Node) -> wire.Questions:
    """What waits for the answer of a node, oldest first."""
    rows = list(_open(node).order_by("pk").values_list("pk", "operation__kind", "body", "operation"))
    if len(rows) != node.questions:
        _count_again(node)
    shared: dict[str, Any] = {}
    for parts in Operation.objects.filter(pk__in={row[3] for row in rows}).values_list("shared", flat=True):
        shared |= parts
    return wire.Questions(tuple(wire.Question(key, kind, body) for key, kind, body, _ in rows), shared)


@transaction.atomic
def answer(node: Node, number: int, said: wire.Answer) -> None:
    """Take an answer; raises Missing or Conflict when nobody waits for it, WireError when it is none to
    a question of this kind."""
    asked = Question.objects.filter(node=node, pk=number).select_related("operation")
    question = asked.only("state", "operation__kind").first()
    if question is None:
        remedy = "Fetch what is asked, and answer that"
        raise Missing(Fault("question", str(number), f"is no question to node {node.name}", remedy))
    wire.check(question.operation.kind, said)
    changed = (
        _open(node)
        .filter(pk=number)
        .update(state=said.state, answer=said.content, why=said.why, answered=timezone.now())
    )
    if changed != 1:
        raise _unwanted(question)
    _count_again(node)


def progress(operation: Operation) -> Progress:
    """How far it is. One query."""
    counts = Counter(dict(operation.questions.order_by().values_list("state").annotate(Count("pk"))))
    if counts["waiting"] and operation.deadline <= timezone.now():
        counts["late"] = counts.pop("waiting")
    return Progress(**counts)


def patience(seconds: float) -> float:
    """How long nodes may take when somebody waits so long: who is late is known before he goes."""
    return max(WITHIN, seconds - 1)


def wait(operation: Operation, seconds: float) -> Progress:
    """The progress once nobody is waited for, or after so long."""
    return waiting.until(lambda: progress(operation), _is_done, seconds)


def wait_beside_others(operation: Operation, seconds: float) -> Progress:
    """The same for a request; when enough others wait already, it is answered as it stands."""
    return waiting.beside_others(lambda: progress(operation), _is_done, seconds)


def state_of(question: Question, operation: Operation) -> str:
    """Waiting, answered, failed, late or silent."""
    over = question.state == "waiting" and operation.deadline <= timezone.now()
    return "late" if over else question.state


def _is_done(found: Progress) -> bool:
    return found.done


def _open(node: Node) -> "QuerySet[Question]":
    return Question.objects.filter(node=node, state="waiting", operation__deadline__gt=timezone.now())


def _unwanted(question: Question) -> Conflict:
    why = "is not waited for any more" if question.state == "waiting" else "was answered already"
    return Conflict(Fault("question", str(question.pk), why, "Leave it; whoever wants to know asks again"))


@transaction.atomic
def _count_again(node: Node) -> None:
    """Under the lock of the node's row, which whoever asks takes too."""
    locked = Node.objects.select_for_update(no_key=True).filter(pk=node.pk).first()
    if locked is not None:
        Node.objects.filter(pk=node.pk).update(questions=_open(node).count())


def _prune() -> None:
    newest = Operation.objects.order_by("-pk").values_list("pk", flat=True)[MOST - 1 : MOST]
    old = Q(at__lt=timezone.now() - KEPT)
    for key in newest:
        old |= Q(pk__lte=key)
    Operation.objects.filter(old).delete()
