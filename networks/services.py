"""A service's configuration applied: what it has on a node becomes what its text asks for.

    text -> sections.read -> asked anew, changed, left alone, released

One transaction: all of it, or with any fault nothing.
"""

from dataclasses import dataclass

from django.db import transaction

from netadmin.problems import Problem
from networks import allocations, resources, sections
from networks.models import Allocation, State
from networks.resources import DEFAULTS, Ask
from nodes.models import Cluster

REQUESTED, CHANGED, UNCHANGED, RELEASING = "requested", "changed", "unchanged", "releasing"


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of the ip resources of a service on a node."""

    service: str
    node: str
    resources: tuple[tuple[Allocation, str], ...]
    """Each with one word: requested, changed, unchanged or releasing."""
    passed_over: tuple[str, ...]


@transaction.atomic
def apply(text: str, *, service: str, node: str, by: str) -> Applied:
    """Make what the service has on the node what its configuration asks for. Raises Problem, Conflict."""
    service = resources.path(service)
    wanted = sections.read(text, service, node)
    Cluster.locked()
    rows = Allocation.objects.filter(node__name=node, service=service).exclude(resource="")
    held = {row.resource: row for row in rows.exclude(state=State.RELEASING).order_by("resource")}
    named = {one.resource for one in wanted.asked}
    gone = [row for resource, row in held.items() if resource not in named]
    done = [(row, RELEASING) for one in gone if (row := allocations.release(one.pk, by=by)) is not None]
    for one in wanted.asked:
        try:
            done.append(_settle(one, held.get(one.resource), by))
        except Problem as problem:
            raise problem.under(one.resource) from None
    return Applied(service, node, tuple(sorted(done, key=lambda one: one[0].resource)), wanted.passed_over)


def _settle(one: Ask, row: Allocation | None, by: str) -> tuple[Allocation, str]:
    if row is None:
        return allocations.request(one, by=by)[0], REQUESTED
    changed = allocations.change(row.pk, _whole(one), by=by)
    return changed, UNCHANGED if changed.version == row.version else CHANGED


def _whole(one: Ask) -> dict[str, object]:
    """What is not given has its default; a chosen interface stays, and so does the comment, which no
    configuration has."""
    return {name: value for name, value in DEFAULTS.items() if name not in ("interface", "comment")} | {
        **one.values
    }
