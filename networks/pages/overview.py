"""The overview: problems first, then networks, then nodes."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render

from netadmin.pages import ROWS, PageRequest, live, page
from networks import convergence, foreign, fullness
from networks.convergence import NetworkState, NodeState
from networks.models import BUILT_IN
from networks.troubles import of_nodes, of_pairs, of_parts, of_services


@page()
def overview(request: PageRequest) -> HttpResponse:
    return render(request, "overview/page.html", _contents())


@live
def overview_live(request: PageRequest) -> HttpResponse:
    return render(request, "overview/_page.html", _contents())


def _contents() -> dict[str, Any]:
    nodes = convergence.node_states()
    networks = convergence.network_states(nodes=nodes)
    troubles = of_nodes(nodes) + of_pairs(nodes) + of_parts(fullness.wherever_addresses_are())
    troubles += of_services()
    return {
        "nodes": nodes[:ROWS],
        "more_nodes": len(nodes[ROWS:]),
        "networks": networks[:ROWS],
        "more_networks": len(networks[ROWS:]),
        "troubles": troubles,
        "summary": _summary(nodes, networks, sum(not trouble.warning for trouble in troubles)),
        "foreign": foreign.listed(),
        "newcomer": _newcomer(nodes, networks),
    }


def _summary(nodes: list[NodeState], networks: list[NetworkState], troubles: int) -> str:
    """The state of the cluster in one sentence."""
    converged = sum(state.status == "converged" for state in nodes)
    problems = "no problem" if not troubles else "1 problem" if troubles == 1 else f"{troubles} problems"
    return f"{converged} of {len(nodes)} nodes converged, {len(networks)} networks, {problems}"


def _newcomer(nodes: list[NodeState], networks: list[NetworkState]) -> bool:
    """Nothing was declared yet, or there is nobody to carry it out."""
    return not nodes or all(state.network.name in BUILT_IN for state in networks)
