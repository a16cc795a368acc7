"""Declare, change and withdraw a network: a form, a look at what would come of it, the verb.

"Preview", "Plan on the nodes" and "Declare" are buttons of one form: all call the same verb, the first
two take it back (``networks.preview``, ``networks.planning``).
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from netadmin.pages import PageRequest, page
from netadmin.problems import Problem, StaleVersion
from netadmin.roles import OPERATOR
from networks import declare, planning, preview
from networks.forms import GoingForm, NetworkForm
from networks.models import Network
from networks.pages import plan
from nodes.models import Event

HOLDERS = 10
"""Holders of addresses that are named before a network goes."""


@page(OPERATOR)
def new(request: PageRequest) -> HttpResponse:
    form = NetworkForm(request.POST or None)
    by = request.user.get_username()
    return _answer(
        request,
        form,
        lambda force: declare.declare(form.cleaned_data["name"], form.declaration(), by=by),
        "{0} is declared. Its nodes are building it now.",
    )


@page(OPERATOR)
def edit(request: PageRequest, name: str) -> HttpResponse:
    network = get_object_or_404(Network, name=name)
    form = NetworkForm(request.POST or None, instance=network)
    by = request.user.get_username()
    return _answer(
        request,
        form,
        lambda force: declare.change(name, form.declaration(), by=by, expected=form.expected, force=force),
        "{0} is changed. Its nodes are following now.",
    )


def _answer(
    request: PageRequest, form: NetworkForm, verb: Callable[[bool], Network], done: str
) -> HttpResponse:
    """The form, what would come of it (also by force), or the page of what came of it."""
    context: dict[str, Any] = {"form": form, "network": form.instance if form.instance.pk else None}
    if request.method == "POST" and form.is_valid():
        try:
            if "preview" in request.POST:
                context["preview"] = preview.of(lambda: verb(True))
            elif "plan" in request.POST:
                name = form.instance.name or form.cleaned_data["name"]
                context |= _planned(request, name, lambda: verb(True))
            elif "look" not in request.POST:
                plan.require_accepted(request)
                network = verb(form.cleaned_data["force"])
                messages.success(request, done.format(network.name))
                return redirect("network", name=network.name)
        except Problem as problem:
            form.refuse(problem)
            if isinstance(problem, StaleVersion):
                context["overtaken_by"] = Event.objects.filter(
                    kind="network", name=form.instance.name
                ).first()
    template = "networks/_preview.html" if request.htmx else "networks/form.html"
    return render(request, template, _with_plan(request, context))


def _planned(request: PageRequest, name: str, verb: Callable[[], object]) -> dict[str, Any]:
    """The nodes are asked what they would do."""
    by = request.user.get_username()
    operation = planning.ask(verb, [name], {"page": request.path}, by=by)
    return plan.context(plan.waited(request, operation))


def _with_plan(request: PageRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Whoever asked for a plan keeps it on the page."""
    operation = plan.shown(request)
    faults = request.htmx and context["form"].errors
    if operation and not faults and not context.keys() & {"operation", "preview"}:
        return context | plan.context(operation)
    return context


@page(OPERATOR)
def withdraw(request: PageRequest, name: str) -> HttpResponse:
    network = get_object_or_404(Network, name=name)
    form = GoingForm(request.POST or None, initial={"version": network.version})
    problem = None
    context: dict[str, Any] = {}
    if request.method == "POST" and form.is_valid():
        by, expected = request.user.get_username(), form.cleaned_data["version"]
        try:
            if "plan" in request.POST:
                verb = partial(declare.withdraw, name, by=by, expected=expected, force=True)
                context = _planned(request, name, verb)
            elif "look" not in request.POST:
                plan.require_accepted(request)
                declare.withdraw(name, by=by, expected=expected, force=form.cleaned_data["force"])
                messages.success(request, f"{name} is withdrawn. Its nodes are removing it now.")
                return redirect("networks")
        except Problem as error:
            problem = error
    if request.htmx and context:
        return render(request, "networks/_plan.html", context)
    context |= {
        "network": network,
        "form": form,
        "problem": problem,
        "nodes": network.scope().count(),
        "addresses": network.addresses.count(),
        "holders": network.addresses.select_related("allocation__node")[:HOLDERS],
    }
    return render(request, "networks/withdraw.html", _with_plan(request, context))
