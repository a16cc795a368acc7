"""A plan on the pages: part of a form while one thinks, a page of its own to show somebody.

form "Plan on the nodes" -> operation -> _plan.html, which asks again until every node answered
form "Save"              -> refused while a plan that it shows cuts nodes off and nobody ticked that
"""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from netadmin.pages import PageRequest, page
from netadmin.problems import Fault, Missing, Problem
from networks import planned, planning
from nodes import questions
from nodes.models import Operation

MOMENT = 0.5
"""Seconds that a plan may take before the page shows how far it is."""
WITHOUT_SCRIPT = 4.0
"""The same for a browser that cannot ask again by itself."""


@page()
def plan(request: PageRequest, number: int) -> HttpResponse:
    return render(request, "networks/plan.html", context(_found(number)))


@page()
def plan_live(request: PageRequest, number: int) -> HttpResponse:
    """The part that changes, until it does not any more."""
    return render(request, "networks/_plan.html", context(_found(number)))


def context(operation: Operation) -> dict[str, Any]:
    """What the templates of a plan show."""
    return {
        "operation": operation,
        "progress": questions.progress(operation),
        "result": planned.result(operation),
    }


def waited(request: PageRequest, operation: Operation) -> Operation:
    """The same, after the moment in which most nodes answer."""
    questions.wait_beside_others(operation, MOMENT if request.htmx else WITHOUT_SCRIPT)
    return operation


def shown(request: HttpRequest) -> Operation | None:
    """The plan that a form was sent with."""
    number = request.POST.get("planned", "")
    return _of(int(number)) if number.isdecimal() and len(number) < 19 else None


def require_accepted(request: HttpRequest) -> None:
    """Raises Problem when the plan that was shown cuts nodes off and nobody ticked that."""
    operation = shown(request)
    if operation is None or request.POST.get("accept_cut"):
        return
    if cut := planned.result(operation).cut:
        why = f"the plan cuts {', '.join(cut[:10])} off from the control plane"
        raise Problem(
            Fault("accept_cut", "false", why, "Declare it otherwise, or tick that it is to be done")
        )


def _found(number: int) -> Operation:
    operation = _of(number)
    if operation is None:
        raise Http404(f"There is no plan {number}; plans are kept for a day")
    return operation


def _of(number: int) -> Operation | None:
    try:
        operation = questions.find(number)
    except Missing:
        return None
    return operation if operation.kind == planning.KIND else None
