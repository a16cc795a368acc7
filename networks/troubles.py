"""What somebody should look at: what nodes found, nodes that nobody hears of, segments that are full."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from networks.convergence import NodeState
from networks.fullness import Fullness
from nodes.models import Node
from workers.report import WARNING


@dataclass(frozen=True, slots=True)
class Trouble:
    node: Node
    network: str
    """Empty: it concerns the whole node."""
    sentence: str
    remedy: str
    warning: bool = False
    """It may come to a problem; now all is as declared."""
    retry: bool = False
    """The node rolled back what it is to have, and may be told to try again."""


def of_nodes(states: Iterable[NodeState], network: str | None = None) -> list[Trouble]:
    """In the order of the nodes; only what concerns this network, if one is named."""
    found = []
    for state in states:
        if state.status == "silent":
            found.append(_silent(state.node))
        findings = state.findings if network is None else state.findings_of(network)
        found += [
            Trouble(
                state.node,
                finding["network"],
                f"{finding['subject']}: {finding['why']}",
                finding["remedy"],
                warning=finding.get("level") == WARNING,
                retry=bool(state.refused) and finding["code"] == "rolled-back",
            )
            for finding in findings
        ]
    return found


def of_pairs(states: Sequence[NodeState], network: str | None = None) -> list[Trouble]:
    """Pairs of nodes between which packets are lost; a peer that does not stand well itself is said so."""
    words = {state.node.name: state.status for state in states}
    return [
        Trouble(
            state.node,
            failure["network"],
            f"{failure['subject']}: {failure['why']}{_excuse(failure['peer'], words)}",
            failure["remedy"],
        )
        for state in states
        for failure in state.failures_of(network)
    ]


def of_parts(parts: Iterable[Fullness]) -> list[Trouble]:
    """Segments in which there is no room for containers, or soon will be none."""
    return [
        Trouble(
            part.node,
            part.network.name,
            f"{part.leases} of the {part.room} addresses of {part.cidr} are leased"
            + (", it is full" if part.full else ""),
            "Stop containers there, or give the network larger segments",
        )
        for part in parts
        if part.nearly_full
    ]


def _excuse(peer: str, words: Mapping[str, str]) -> str:
    word = words.get(peer, "")
    return f" ({peer} is {word})" if word in ("new", "silent", "converging", "problem") else ""


def _silent(node: Node) -> Trouble:
    return Trouble(
        node,
        "",
        "is not heard of any more",
        "See whether it is up, its worker runs and reaches this control plane",
    )
