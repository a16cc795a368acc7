"""The way of a packet: two fields, and hop by hop what came of it.

GET  /explain/?source=..&destination=..   the form, filled in; nobody is asked yet
POST /explain/                            asks, waits a moment, goes to
GET  /explain/ID/                         what is known by now; follows until every node has answered
"""

from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from netadmin import roles
from netadmin.pages import PageRequest, live, page
from netadmin.problems import Problem
from networks import explaining, explanation
from networks.explanation import Explanation, Hop
from networks.forms import ExplainForm
from nodes import questions
from nodes.models import Operation

MOMENT = 2.0
"""Seconds that an answer usually takes no longer than: without a script the page would show nothing yet."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """The hops on one node, one after the other."""

    way: str
    node: str
    hops: list[tuple[Hop, bool]]
    """With whether it is the first that is not as declared."""


@page()
def explain(request: PageRequest) -> HttpResponse:
    if request.method != "POST":
        return render(request, "explain/page.html", {"form": ExplainForm(initial=request.GET.dict())})
    form = ExplainForm(request.POST)
    if form.is_valid():
        try:
            operation = explaining.ask(
                **form.cleaned_data,
                by=request.user.get_username(),
                outside=roles.has_role(request.user, roles.OPERATOR),
            )
        except Problem as problem:
            form.refuse(problem)
        else:
            questions.wait_beside_others(operation, MOMENT)
            return redirect("explained", operation=operation.pk)
    return render(request, "explain/page.html", {"form": form})


@page()
def explained(request: PageRequest, operation: int) -> HttpResponse:
    found = _operation(operation)
    asked = {name: found.asked[name] for name in ("source", "destination", "network")}
    return render(request, "explain/page.html", {"form": ExplainForm(initial=asked), **_shown(found)})


@live
def explained_live(request: PageRequest, operation: int) -> HttpResponse:
    return render(request, "explain/_page.html", _shown(_operation(operation)))


def _operation(number: int) -> Operation:
    return get_object_or_404(Operation.objects.defer("shared"), pk=number, kind=explaining.KIND)


def _shown(operation: Operation) -> dict[str, Any]:
    found = explanation.result(operation)
    return {"operation": operation, "found": found, "stretches": _stretches(found)}


def _stretches(found: Explanation) -> list[Stretch]:
    numbered = [(hop, place == found.first) for place, hop in enumerate(found.hops)]
    together = groupby(numbered, key=lambda one: (one[0].way, one[0].node))
    return [Stretch(way, node, list(hops)) for (way, node), hops in together]
