"""What somebody should look at: what nodes found, and nodes that nobody hears of."""

from collections.abc import Iterable
from dataclasses import dataclass

from networks.convergence import NodeState
from nodes.models import Node


@dataclass(frozen=True, slots=True)
class Trouble:
    node: Node
    network: str
    """Empty: it concerns the whole node."""
    subject: str
    why: str
    remedy: str


def of_nodes(states: Iterable[NodeState], network: str | None = None) -> list[Trouble]:
    """In the order of the nodes; only what concerns this network, if one is named."""
    found = []
    for state in states:
        if state.status == "silent":
            found.append(_silent(state))
        findings = state.findings if network is None else state.findings_of(network)
        found += [
            Trouble(state.node, finding["network"], finding["subject"], finding["why"], finding["remedy"])
            for finding in findings
        ]
    return found


def _silent(state: NodeState) -> Trouble:
    return Trouble(
        state.node,
        "",
        f"node {state.node.name}",
        "is not heard of any more",
        "See whether it is up, its worker runs and reaches this control plane",
    )
