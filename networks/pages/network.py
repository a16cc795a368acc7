"""The networks: their list and a page for each."""

import json
from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render

from netadmin.pages import PageRequest, asked, live, page, part_of
from networks import convergence, foreign, fullness, pairs
from networks.convergence import NetworkState
from networks.models import BUILT_IN, Network
from networks.pages.rows import Row
from networks.troubles import of_nodes, of_parts, of_services
from nodes.models import Event, Report

ADDRESSES = 25
EVENTS = 20
LARGEST_MATRIX = 30
"""Nodes up to which every pair is shown; of more, those that are not up."""


@page()
def networks(request: PageRequest) -> HttpResponse:
    return render(request, "networks/list.html", _listed(request))


@live
def networks_live(request: PageRequest) -> HttpResponse:
    return render(request, "networks/_list.html", _listed(request))


@page()
def network(request: PageRequest, name: str) -> HttpResponse:
    found = get_object_or_404(Network, name=name)
    standing = _standing(request, found)
    names = [member.node.name for member in standing["state"].nodes]
    return render(request, "networks/page.html", {**standing, **_around(request, found, names)})


@live
def network_live(request: PageRequest, name: str) -> HttpResponse:
    found = get_object_or_404(Network.objects.defer("peers_body"), name=name)
    return render(request, "networks/_page.html", _standing(request, found))


def _listed(request: PageRequest) -> dict[str, Any]:
    return {"networks": part_of(request, convergence.network_states()), "foreign": foreign.listed()}


def _standing(request: PageRequest, network: Network) -> dict[str, Any]:
    """The part that changes: who has what of it, how it stands, who holds addresses."""
    [state] = convergence.network_states([network])
    segments = {row.node_id: row for row in network.segments.exclude(node=None)}
    counts = fullness.counted(network.addresses.all())
    nodes = part_of(request, state.nodes)
    addresses = network.addresses.select_related("allocation__node")
    rows = [Row.of(network, node, segments.get(node.node.pk), counts) for node in nodes]
    return {
        "state": state,
        "network": network,
        "nodes": nodes,
        "rows": rows,
        "troubles": of_nodes(state.nodes, network.name)
        + of_parts(part for row in rows for part in row.parts)
        + of_services(network=network.name),
        "addresses": part_of(request, addresses, ADDRESSES, "addresses"),
        **_probes(request, state),
        "events": Event.objects.filter(kind="network", name=network.name)[:EVENTS],
    }


def _probes(request: PageRequest, state: NetworkState) -> dict[str, Any]:
    """What crosses between its nodes, and the two of which more is asked."""
    if not state.probes["peers"]:
        return {"pairs": None}
    nodes = [member.node for member in state.nodes]
    found = pairs.of_network(state.network, nodes)
    ends = {request.GET.get("from"), request.GET.get("to")}
    return {
        "pairs": found,
        "matrix": pairs.matrix(nodes, found) if len(nodes) <= LARGEST_MATRIX else None,
        "failing": part_of(request, [pair for pair in found if pair.code], parameter="pairs"),
        "chosen_pairs": [pair for pair in found if {pair.source, pair.peer} == ends],
    }


def _around(request: PageRequest, network: Network, names: list[str]) -> dict[str, Any]:
    """The part that stays: what the nodes are told of each other, what one of them wrote."""
    peers = json.loads(network.peers_body) if network.peers_body else []
    chosen = asked(request, "node") or next(iter(names), "")
    return {
        "peers": part_of(request, peers),
        "names": names,
        "chosen": chosen,
        "files": _files(network, chosen),
        "built_in": network.name in BUILT_IN,
    }


def _files(network: Network, node: str) -> dict[str, str]:
    """The CNI files of the network as the node last reported them: name to content."""
    report = Report.objects.filter(node__name=node).only("files").first()
    files: dict[str, str] = report.files if report else {}
    return {name: content for name, content in files.items() if name.rpartition(".")[0] == network.name}
