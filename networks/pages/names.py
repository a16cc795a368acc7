"""The names page: what the cluster DNS serves, by name and type, and who serves it."""

from itertools import islice
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render

from netadmin.pages import PageRequest, asked, live, page
from networks.dns import changes, listing, loaded
from networks.dns.zones import Zones

ROWS = 200


@page()
def names(request: PageRequest) -> HttpResponse:
    return render(request, "names/page.html", {"types": listing.TYPES, **_found(request)})


@live
def names_live(request: PageRequest) -> HttpResponse:
    return render(request, "names/_page.html", _found(request))


def _found(request: PageRequest) -> dict[str, Any]:
    """The first records that the filter leaves. A fixed number of queries."""
    given = {key: asked(request, key) for key in ("name", "type")}
    kind = given["type"] if given["type"] in listing.TYPES else ""
    zones = Zones(loaded.facts())
    found = [*islice(listing.records(zones, name=given["name"], kind=kind), ROWS + 1)]
    return {
        "asked": given,
        "records": [one.record for one in found[:ROWS]],
        "more": len(found) > ROWS,
        "faults": zones.facts.faults,
        "serial": zones.facts.serial,
        "servers": changes.servers(),
    }
