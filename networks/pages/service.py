"""Addresses of services: their list, a page for each, and the forms by which they are asked for and go."""

from typing import Any

from django.contrib import messages
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from netadmin.pages import PageRequest, asked, live, page, part_of
from netadmin.problems import Problem
from netadmin.roles import OPERATOR
from networks import allocations
from networks.forms import GoingForm, ServiceForm
from networks.fullness import Reasons
from networks.models import Allocation
from networks.services import asked_for
from nodes.models import Event

EVENTS = 20


@page()
def services(request: PageRequest) -> HttpResponse:
    return render(request, "services/list.html", _listed(request))


@live
def services_live(request: PageRequest) -> HttpResponse:
    return render(request, "services/_list.html", _listed(request))


@page()
def service(request: PageRequest, number: int) -> HttpResponse:
    row = get_object_or_404(asked_for(), pk=number)
    return render(request, "services/page.html", _standing(row))


@live
def service_live(request: PageRequest, number: int) -> HttpResponse:
    row = asked_for().filter(pk=number).first()
    return render(request, "services/_page.html", _standing(row) if row else {"row": None})


@page(OPERATOR)
def new(request: PageRequest) -> HttpResponse:
    form = ServiceForm(request.POST or None, initial=request.GET.dict())
    if request.method == "POST" and form.is_valid():
        try:
            row, _ = allocations.request(form.ask(), by=request.user.get_username())
        except Problem as problem:
            form.refuse(problem)
        else:
            messages.success(
                request, f"{row.service} {row.resource} is asked for. {row.node} carries it out now."
            )
            return redirect("service", number=row.pk)
    return render(request, "services/form.html", {"form": form})


@page(OPERATOR)
def edit(request: PageRequest, number: int) -> HttpResponse:
    row = get_object_or_404(asked_for(), pk=number)
    form = ServiceForm(request.POST or None, instance=row)
    if request.method == "POST" and form.is_valid():
        by = request.user.get_username()
        try:
            allocations.change(number, form.given(), by=by, expected=form.expected)
        except Problem as problem:
            form.refuse(problem)
        else:
            messages.success(
                request, f"{row.service} {row.resource} is changed. {row.node} is following now."
            )
            return redirect("service", number=number)
    return render(request, "services/form.html", {"form": form, "row": row})


@page(OPERATOR)
def release(request: PageRequest, number: int) -> HttpResponse:
    row = get_object_or_404(asked_for(), pk=number)
    form = GoingForm(request.POST or None, initial={"version": row.version})
    problem = None
    if request.method == "POST" and form.is_valid():
        by, force = request.user.get_username(), form.cleaned_data["force"]
        try:
            left = allocations.release(number, by=by, expected=form.cleaned_data["version"], force=force)
        except Problem as error:
            problem = error
        else:
            follows = f"{row.node} is detaching it now." if left else "Its addresses are free."
            messages.success(request, f"{row.service} {row.resource} is released. {follows}")
            return redirect("service", number=number) if left else redirect("services")
    return render(request, "services/release.html", {"row": row, "form": form, "problem": problem})


def _listed(request: PageRequest) -> dict[str, Any]:
    """All, or those of which one of the words says something: each must."""
    words = asked(request, "q")
    rows = asked_for()
    for word in words.split():
        rows = rows.filter(
            Allocation.STANDINGS.get(word.lower(), Q(pk=None))
            | Q(service__icontains=word)
            | Q(resource__iexact=word)
            | Q(node__name__iexact=word)
            | Q(network__name__icontains=word)
            | Q(netns__icontains=word)
        )
    return {"services": part_of(request, rows), "asked": words, "reasons": Reasons()}


def _standing(row: Allocation) -> dict[str, Any]:
    events = Event.objects.filter(kind="service", name=row.service)[:EVENTS]
    return {"row": row, "reasons": Reasons(), "events": events}
