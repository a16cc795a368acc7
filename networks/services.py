"""What services have, and a configuration applied: what one has on a node becomes what its text asks for.

    text -> sections.read -> asked anew, changed, left alone, released

One transaction: all of it, or with any fault nothing. What changes hands among the resources that stay, a
port of the node or the name of an interface, is first given up, then claimed. Ports are not exchanged, and
what one has that is released is free when the node has let go.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from netadmin.problems import Fault, Missing, Problem
from networks import allocations, lookups, resources, sections
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


@dataclass(frozen=True, slots=True)
class Standing:
    """A service, and how it is with what it asked for."""

    service: str
    resources: tuple[Allocation, ...]
    """By node, as the nodes are in order; at least one."""

    @property
    def standing(self) -> str:
        """The worst of its resources."""
        return min((row.standing for row in self.resources), key=list(Allocation.STANDINGS).index)

    @property
    def nodes(self) -> list[str]:
        return list(dict.fromkeys(row.node.name for row in self.resources if row.node))


def asked_for() -> "QuerySet[Allocation]":
    """What services ask for: service by service, by node and resource. Two queries."""
    found = Allocation.objects.exclude(resource="").select_related("network", "node")
    found = found.defer("network__peers_body").prefetch_related("addresses")
    return found.order_by("service", "node__position", "resource")


def standings(found: Iterable[Allocation]) -> list[Standing]:
    """Of rows in their order."""
    grouped = groupby(found, key=lambda row: row.service)
    return [Standing(service, tuple(resources)) for service, resources in grouped]


def find(service: str) -> Standing:
    """Raises Problem for what is no path, Missing for a service that asked for nothing."""
    path = resources.path(service)
    if found := standings(asked_for().filter(service=path)):
        return found[0]
    known = Allocation.objects.exclude(resource="").values_list("service", flat=True).distinct()
    remedy = lookups.suggestion(path, known)
    raise Missing(Fault("service", path, "has asked for no address", remedy))


@transaction.atomic
def apply(text: str, *, service: str, node: str, by: str) -> Applied:
    """Make what the service has on the node what its configuration asks for. Raises Problem, Conflict."""
    service = resources.path(service)
    lookups.the_node(node)
    wanted = sections.read(text, service, node)
    Cluster.locked()
    of_it = asked_for().filter(node__name=node, service=service).exclude(state=State.RELEASING)
    held = {row.resource: row for row in of_it}
    named = {one.resource for one in wanted.asked}
    gone = [row for resource, row in held.items() if resource not in named]
    done = [(row, RELEASING) for one in gone if (row := allocations.release(one.pk, by=by)) is not None]
    allocations.give_up([(held[one.resource], _whole(one)) for one in wanted.asked if one.resource in held])
    for one in wanted.asked:
        try:
            done.append(_settle(one, held.get(one.resource), by))
        except Problem as problem:
            raise problem.under(one.resource) from None
    return Applied(service, node, tuple(sorted(done, key=lambda one: one[0].resource)), wanted.passed_over)


def _settle(one: Ask, row: Allocation | None, by: str) -> tuple[Allocation, str]:
    if row is None:
        return allocations.request(one, by=by)[0], REQUESTED
    version = row.version
    changed = allocations.change_row(row, _whole(one), by=by)
    return changed, UNCHANGED if changed.version == version else CHANGED


def _whole(one: Ask) -> dict[str, Any]:
    """What is not given has its default; a chosen interface stays, and so does the comment, which no
    configuration has."""
    return {name: value for name, value in DEFAULTS.items() if name not in ("interface", "comment")} | {
        **one.values
    }
