"""The nodes: their list, a page for each, and the forms by which they come, change and go."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache

from netadmin.pages import PageRequest, live, page, part_of
from netadmin.problems import Problem
from netadmin.roles import ADMIN, OPERATOR
from networks import convergence, fullness, membership
from networks.forms import GoingForm, NodeForm
from networks.models import Address, Network
from networks.pages.rows import Row
from networks.troubles import of_nodes, of_pairs, of_parts, of_services
from nodes import tokens, worker_conf
from nodes.models import Cluster, Event, Node, Report

EVENTS = 20


@page()
def nodes(request: PageRequest) -> HttpResponse:
    return render(request, "nodes/list.html", _listed(request))


@live
def nodes_live(request: PageRequest) -> HttpResponse:
    return render(request, "nodes/_list.html", _listed(request))


def _listed(request: PageRequest) -> dict[str, Any]:
    return {"nodes": part_of(request, convergence.node_states())}


@page()
def node(request: PageRequest, name: str) -> HttpResponse:
    found = get_object_or_404(Node, name=name)
    return render(request, "nodes/page.html", _standing(found))


@live
def node_live(request: PageRequest, name: str) -> HttpResponse:
    found = get_object_or_404(Node, name=name)
    return render(request, "nodes/_page.html", _standing(found))


def _standing(node: Node) -> dict[str, Any]:
    """Everything on a node's page: all of it may change with the next report."""
    [state] = convergence.node_states(Node.objects.filter(pk=node.pk))
    segments = {row.network_id: row for row in node.segments.all()}
    counts = fullness.counted(Address.objects.filter(allocation__node=node))
    networks = Network.switched_on().filter(Q(every_node=True) | Q(nodes=node)).distinct()
    rows = [
        Row.of(network, state, segments.get(network.pk), counts) for network in networks.defer("peers_body")
    ]
    return {
        "node": node,
        "state": state,
        "report": Report.objects.filter(node=node).first(),
        "rows": rows,
        "troubles": of_nodes([state])
        + of_pairs([state])
        + of_parts(part for row in rows for part in row.parts)
        + of_services(node=node),
        "events": Event.objects.filter(kind="node", name=node.name)[:EVENTS],
    }


@page(ADMIN)
@never_cache
def new(request: PageRequest) -> HttpResponse:
    form = NodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        by = request.user.get_username()
        try:
            node = membership.add(form.cleaned_data["name"], by=by, **form.given())
        except Problem as problem:
            form.refuse(problem)
        else:
            return _token_page(request, node, tokens.for_node(node, by=by))
    return render(request, "nodes/form.html", {"form": form})


@page(ADMIN)
def edit(request: PageRequest, name: str) -> HttpResponse:
    node = get_object_or_404(Node, name=name)
    form = NodeForm(request.POST or None, instance=node)
    if request.method == "POST" and form.is_valid():
        try:
            membership.change(name, by=request.user.get_username(), expected=form.expected, **form.given())
        except Problem as problem:
            form.refuse(problem)
        else:
            messages.success(request, f"{name} is changed.")
            return redirect("node", name=name)
    context = {"form": form, "node": node}
    return render(request, "nodes/form.html", context)


@page(ADMIN)
@never_cache
def token(request: PageRequest, name: str) -> HttpResponse:
    """A new token in place of the one the node had."""
    node = get_object_or_404(Node, name=name)
    if request.method != "POST":
        return render(request, "nodes/new_token.html", {"node": node})
    return _token_page(request, node, tokens.for_node(node, by=request.user.get_username()))


def _token_page(request: PageRequest, node: Node, token: str) -> HttpResponse:
    """The only page that ever shows the token: it is not kept, and neither is the page."""
    conf = worker_conf.render(
        node.name,
        token,
        url=request.build_absolute_uri("/").rstrip("/"),
        broker_url=worker_conf.broker_url(settings.ENVIRONMENT),
    )
    return render(request, "nodes/token.html", {"node": node, "conf": conf, "file": worker_conf.FILE})


@page(OPERATOR)
def retry(request: PageRequest, name: str) -> HttpResponse:
    """What the node rolled back is tried again."""
    node = get_object_or_404(Node, name=name)
    problem = None
    if request.method == "POST":
        try:
            membership.retry(name, by=request.user.get_username())
        except Problem as error:
            problem = error
        else:
            messages.success(request, f"{name} tries again.")
            return redirect("node", name=name)
    [state] = convergence.node_states(Node.objects.filter(pk=node.pk))
    seconds = Cluster.current().confirm_seconds
    context = {"node": node, "problem": problem, "state": state, "seconds": seconds}
    return render(request, "nodes/retry.html", context)


@page(ADMIN)
def remove(request: PageRequest, name: str) -> HttpResponse:
    node = get_object_or_404(Node, name=name)
    form = GoingForm(request.POST or None)
    problem = None
    if request.method == "POST" and form.is_valid():
        try:
            membership.remove(name, by=request.user.get_username(), force=form.cleaned_data["force"])
        except Problem as error:
            problem = error
        else:
            messages.success(request, f"{name} is removed. Its peers are dropping its routes now.")
            return redirect("nodes")
    context = {
        "node": node,
        "problem": problem,
        "segments": node.segments.select_related("network").exclude(subnet=""),
        "addresses": Address.objects.filter(allocation__node=node).count(),
    }
    return render(request, "nodes/remove.html", context)
