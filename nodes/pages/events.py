"""The events page: newest first, by kind and name."""

import re
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render

from netadmin.pages import PageRequest, asked, live, page
from netadmin.rest import NUMBER
from nodes.models import Event

KINDS = ("network", "service", "node", "cluster", "token", "user")
ROWS = 50


@page()
def events(request: PageRequest) -> HttpResponse:
    return render(request, "events/page.html", {"kinds": KINDS, **_found(request)})


@live
def events_live(request: PageRequest) -> HttpResponse:
    return render(request, "events/_page.html", _found(request))


def _found(request: PageRequest) -> dict[str, Any]:
    """The newest events that the filter leaves; ``before``: older than that one. One query."""
    given = {key: asked(request, key) for key in ("kind", "name", "before")}
    rows = Event.objects.all()
    if given["kind"]:
        rows = rows.filter(kind=given["kind"])
    if given["name"]:
        rows = rows.filter(name=given["name"])
    if re.fullmatch(NUMBER, given["before"]):
        rows = rows.filter(pk__lt=int(given["before"]))
    found = list(rows[: ROWS + 1])
    return {
        "asked": given,
        "events": found[:ROWS],
        "older": found[ROWS - 1].pk if len(found) > ROWS else None,
    }
