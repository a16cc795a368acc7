"""Declare, change and withdraw a network: a form, a look at what would come of it, the verb.

"Preview" and "Declare" are two buttons of one form: both call the same verb, the first one
takes it back (``networks.preview``).
"""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from netadmin.pages import PageRequest, page
from netadmin.problems import Problem, StaleVersion
from netadmin.roles import OPERATOR
from networks import declare, preview
from networks.forms import GoingForm, NetworkForm
from networks.models import Network
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
            if "preview" not in request.POST:
                network = verb(form.cleaned_data["force"])
                messages.success(request, done.format(network.name))
                return redirect("network", name=network.name)
            context["preview"] = preview.of(lambda: verb(True))
        except Problem as problem:
            form.refuse(problem)
            if isinstance(problem, StaleVersion):
                context["overtaken_by"] = Event.objects.filter(
                    kind="network", name=form.instance.name
                ).first()
    template = "networks/_preview.html" if request.htmx else "networks/form.html"
    return render(request, template, context)


@page(OPERATOR)
def withdraw(request: PageRequest, name: str) -> HttpResponse:
    network = get_object_or_404(Network, name=name)
    form = GoingForm(request.POST or None, initial={"version": network.version})
    problem = None
    if request.method == "POST" and form.is_valid():
        try:
            declare.withdraw(
                name,
                by=request.user.get_username(),
                expected=form.cleaned_data["version"],
                force=form.cleaned_data["force"],
            )
        except Problem as error:
            problem = error
        else:
            messages.success(request, f"{name} is withdrawn. Its nodes are removing it now.")
            return redirect("networks")
    context = {
        "network": network,
        "form": form,
        "problem": problem,
        "nodes": network.scope().count(),
        "addresses": network.allocations.count(),
        "holders": network.allocations.select_related("node")[:HOLDERS],
    }
    return render(request, "networks/withdraw.html", context)
