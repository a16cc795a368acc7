"""What one node has of one network, as the tables of both show it."""

from dataclasses import dataclass

from networks import fullness
from networks.convergence import NodeState
from networks.fullness import Counts, Fullness
from networks.models import Network, Segment


@dataclass(frozen=True, slots=True)
class Row:
    network: Network
    state: NodeState
    status: str
    """Of the node on this network, one word."""
    segment: Segment | None
    parts: tuple[Fullness, ...]

    @classmethod
    def of(cls, network: Network, state: NodeState, segment: Segment | None, counts: Counts) -> "Row":
        parts = fullness.of(network, state.node, segment, counts)
        return cls(network, state, state.status_on(network.name), segment, parts)
