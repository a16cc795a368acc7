"""The addresses of a network: who holds them, keeping some, giving back what is kept.

addresses   a filter by words; reservations have a box to be chosen for release
reserve     a form; "Preview" asks for the same and keeps nothing
release     what was chosen, once more, before it is given back
"""

import re
from typing import Any

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from netaddr import AddrFormatError, IPAddress, IPNetwork

from netadmin import rest
from netadmin.pages import PageRequest, asked, page, part_of
from netadmin.problems import Problem
from netadmin.roles import OPERATOR
from networks import reservations
from networks.forms import ReserveForm
from networks.models import Address, Network, State
from networks.reservations import Kept
from networks.wishes import Wish

SHOWN = 5
"""Addresses that a sentence names, and that are shown as the next free ones."""
ROWS = 50
"""Addresses of a preview that are shown."""


@page()
def addresses(request: PageRequest, name: str) -> HttpResponse:
    network = _network(name)
    words = asked(request, "q")
    rows = _matching(_held(network), words)
    context = {"network": network, "addresses": part_of(request, rows), "asked": words}
    return render(request, "addresses/list.html", context)


@page(OPERATOR)
def reserve(request: PageRequest, name: str) -> HttpResponse:
    network = _network(name)
    form = ReserveForm(request.POST or None, network=network)
    context: dict[str, Any] = {"network": network, "form": form}
    if request.method == "POST" and form.is_valid():
        wanted = form.wishes()
        try:
            if "preview" in request.POST:
                chosen = reservations.look(name, wanted)
                context |= {"chosen": chosen[:ROWS], "more": len(chosen[ROWS:])}
            else:
                kept = reservations.reserve(name, wanted, by=request.user.get_username())
                messages.success(request, _sentence(kept))
                return redirect("network-addresses", name=name)
        except Problem as problem:
            form.refuse(problem)
    template = "addresses/_preview.html" if request.htmx else "addresses/reserve.html"
    return render(request, template, context | _next(network))


@page(OPERATOR)
def release(request: PageRequest, name: str) -> HttpResponse:
    network = _network(name)
    given = request.POST if request.method == "POST" else request.GET
    keys = [int(text) for text in given.getlist("id") if re.fullmatch(rest.NUMBER, text)]
    problem = None
    if request.method == "POST":
        try:
            reservations.release(keys, network=name, by=request.user.get_username())
        except Problem as error:
            problem = error
        else:
            messages.success(request, f"{_counted(len(keys))} given back.")
            return redirect("network-addresses", name=name)
    rows = _held(network).filter(allocation__in=keys, allocation__state=State.RESERVED)
    context = {"network": network, "addresses": rows, "problem": problem}
    return render(request, "addresses/release.html", context)


def _network(name: str) -> Network:
    network: Network = get_object_or_404(Network.objects.defer("peers_body"), name=name)
    return network


def _held(network: Network) -> "QuerySet[Address]":
    return network.addresses.select_related("allocation__node")


def _matching(rows: "QuerySet[Address]", words: str) -> "QuerySet[Address]":
    """Those of which each word says something."""
    for word in words.split():
        rows = rows.filter(_inside(word) or _said(word))
    return rows


def _inside(word: str) -> Q | None:
    """An address, or a CIDR."""
    try:
        cidr = IPNetwork(word) if re.search(r"[.:]", word) else None
    except (AddrFormatError, ValueError):
        return None
    if cidr is None:
        return None
    return Q(address__range=(IPAddress(cidr.first, cidr.version), IPAddress(cidr.last, cidr.version)))


def _said(word: str) -> Q:
    return (
        Q(allocation__node__name__iexact=word)
        | Q(allocation__state__istartswith=word)
        | Q(allocation__service__icontains=word)
        | Q(allocation__hostname__icontains=word)
        | Q(allocation__comment__icontains=word)
        | Q(allocation__container__istartswith=word)
    )


def _next(network: Network) -> dict[str, Any]:
    """What is free, or why nothing can be kept here."""
    node = None if network.is_segmented else network.scope().first()
    if not network.is_segmented and node is None:
        return {"free": []}
    try:
        return {
            "free": reservations.available(network.name, Wish(node=node.name if node else "", count=SHOWN))
        }
    except Problem as problem:
        return {"refused": problem}


def _sentence(kept: list[Kept]) -> str:
    """Kept: 10.11.3.254 on n1, 10.11.7.254 on n2 and 3 more."""
    named = [
        f"{one.address} on {one.chosen.node.name}" if one.chosen.node else str(one.address) for one in kept
    ]
    more = f" and {len(named) - SHOWN} more" if len(named) > SHOWN else ""
    return f"Kept: {', '.join(named[:SHOWN])}{more}."


def _counted(count: int) -> str:
    return "1 address is" if count == 1 else f"{count} addresses are"
