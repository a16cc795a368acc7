"""The events page: newest first, by kind and name."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render

from netadmin.pages import PageRequest, live, page
from nodes.models import Event

KINDS = ("network", "node", "cluster", "token", "user")
ROWS = 50


@page()
def events(request: PageRequest) -> HttpResponse:
    return render(request, "events/page.html", {"kinds": KINDS, **_found(request)})


@live
def events_live(request: PageRequest) -> HttpResponse:
    return render(request, "events/_page.html", _found(request))


def _found(request: PageRequest) -> dict[str, Any]:
    """The newest events that the filter leaves; ``before``: older than that one. One query."""
    asked = {key: request.GET.get(key, "").strip() for key in ("kind", "name", "before")}
    rows = Event.objects.all()
    if asked["kind"]:
        rows = rows.filter(kind=asked["kind"])
    if asked["name"]:
        rows = rows.filter(name=asked["name"])
    if asked["before"].isdecimal():
        rows = rows.filter(pk__lt=int(asked["before"]))
    found = list(rows[: ROWS + 1])
    return {
        "asked": asked,
        "events": found[:ROWS],
        "older": found[ROWS - 1].pk if len(found) > ROWS else None,
    }
