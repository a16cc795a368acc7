"""The straight line, once: from what is there to what must be there.

    observe -> wanted -> plan -> apply -> observe again ... until the plan is empty

A plan is made of what was seen, and an apply changes what is seen (a bridge that is new
gives its routes a device), so the line is walked again until nothing is left to do or a
round leaves the same things undone. The last look is also what the report tells.

What a new document adds to the last one is known before anybody looks, so plain routes to new peers go
first: among thousands that is a fifth of the time. They are added exclusively, and the look that follows
judges them like all others.

Routes move into a new tunnel, and a tunnel that they left goes, only after a short wait: the
peers do the same, and whoever is last must not lose a packet.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from workers.apply import apply
from workers.changes import Change, Plan, Verb
from workers.config import Settings
from workers.document import Document
from workers.kernel.door import Kernel
from workers.objects import news
from workers.observe import Observed, observe
from workers.plan import plan, stages
from workers.report import Finding

ROUNDS = 4
"""More than any document needs; a bound, so that a fight with somebody else ends."""

SETTLE = 2.0
"""Seconds that peers, woken by the same declaration, get to open or leave a tunnel."""

log = logging.getLogger("netadmin.reconcile")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run found, did, and left."""

    changes: tuple[Change, ...]
    """Carried out, in order."""
    left: tuple[Change, ...]
    """Still to do: they were refused. Empty: the node is as the document says."""
    findings: tuple[Finding, ...]
    observed: Observed
    """After the last change."""
    milliseconds: float
    """From the start to the end of the apply; without changes, to the end of the look."""


def look(document: Document, settings: Settings, kernel: Kernel) -> tuple[Observed, Plan]:
    """What is there, and what would have to be done; changes nothing."""
    observed = observe(document, settings, kernel)
    made = plan(observed.desired, observed.ours, observed.foreign)
    return observed, Plan(made.changes, (*observed.problems, *made.findings))


def reconcile(
    document: Document,
    settings: Settings,
    kernel: Kernel,
    before_look: Callable[[], None] = lambda: None,
    before_apply: Callable[[Plan], None] = lambda todo: None,
    settle: Callable[[float], None] = time.sleep,
    last: Observed | None = None,
    let_pass: Callable[[str], None] = lambda network: None,
) -> Outcome:
    """Make the node what the document says.

    ``before_look`` is called when a look begins: of what happened earlier, nothing needs
    another run. ``before_apply`` is called with each plan that is about to be carried out, ``settle``
    with the seconds that the peers get before routes move into a new tunnel. ``last`` is what the run before
    this one saw. ``let_pass`` is that of ``apply``.
    Raises what the kernel's doors raise when they cannot look at all.
    """
    start = time.monotonic()
    early = _early(document, settings, last)
    if early:
        before_apply(early)
        apply(early, kernel, let_pass)
    end = time.monotonic()
    before_look()
    observed, todo = look(document, settings, kernel)
    ours = observed.ours.by_key
    done = [change for change in early.changes if ours.get(change.object.key) == change.object]
    refused: list[Finding] = []
    end = end if done else time.monotonic()
    for _ in range(ROUNDS):
        if not todo:
            break
        before_apply(todo)
        refused = _carry_out(todo, kernel, settle, let_pass)
        end = time.monotonic()
        before_look()
        tried = todo
        observed, todo = look(document, settings, kernel)
        undone = set(todo.changes)
        done += [change for change in tried.changes if not undone or change not in undone]
        if todo.changes == tried.changes:
            break
    return Outcome(
        changes=tuple(done),
        left=todo.changes,
        findings=(*todo.findings, *(refused if todo else ())),
        observed=observed,
        milliseconds=round((end - start) * 1000, 3),
    )


def _early(document: Document, settings: Settings, last: Observed | None) -> Plan:
    """What can be added without a look."""
    routes = news(document, last.desired, last.host, settings) if last else []
    return Plan(tuple(Change(Verb.ADD, route) for route in routes))


def _carry_out(
    todo: Plan, kernel: Kernel, settle: Callable[[float], None], let_pass: Callable[[str], None]
) -> list[Finding]:
    """Both stages; after a refusal the second one is left to the next look."""
    now, late = stages(todo)
    refused = apply(now, kernel, let_pass)
    if refused or not late:
        return refused
    settle(SETTLE)
    return apply(late, kernel, let_pass)
