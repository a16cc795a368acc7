"""What crosses between which nodes of a network, as their newest reports tell it.

Report.pairs -> PairState ... -> REST rows
                              -> Matrix: nodes x nodes, for the page and ``net status``
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from networks.models import Network
from nodes.models import Node, Report

WORST_FIRST = ("down", "mtu", "pending", "up")


@dataclass(frozen=True, slots=True)
class PairState:
    """What crossed from one node to another, in one family (``workers.report.Pair``)."""

    source: str
    peer: str
    family: int
    state: str
    loss: float
    rtt: float
    largest: int
    at: datetime | None
    """When it was probed last; None: not yet."""
    code: str
    why: str
    remedy: str
    way: str
    """The route or tunnel it takes."""

    @property
    def sentence(self) -> str:
        """How it stands, for people."""
        words = {
            "up": f"full packets of {self.largest} bytes cross in {self.rtt:.3f} ms",
            "mtu": f"packets of up to {self.largest} bytes cross, larger ones do not",
            "down": "nothing crosses",
            "pending": "not known yet",
        }
        return f"{self.source} to {self.peer} over IPv{self.family}: {words[self.state]}"

    @classmethod
    def of(cls, source: str, said: Mapping[str, Any]) -> "PairState":
        told = {name: said[name] for name in said if name not in ("network", "at")}
        at = datetime.fromtimestamp(said["at"], UTC) if said["at"] else None
        return cls(source=source, at=at, **told)


@dataclass(frozen=True, slots=True)
class Cell:
    """One field of a matrix: a pair in the families of the network, IPv4 first."""

    source: str
    peer: str
    pairs: tuple[PairState, ...]
    """Empty: nothing was told of it."""

    @property
    def worst(self) -> PairState | None:
        """The one that stands worst; of equals the slower."""
        ranked = sorted(self.pairs, key=lambda one: (WORST_FIRST.index(one.state), -one.rtt))
        return ranked[0] if ranked else None

    @property
    def sentence(self) -> str:
        """How its pairs stand, for people."""
        if not self.pairs:
            return f"{self.source} has told nothing about {self.peer}"
        return "; ".join(pair.sentence for pair in self.pairs)

    @property
    def state(self) -> str:
        """A state of a pair; ``unknown`` when nothing was told."""
        return self.worst.state if self.worst else "unknown"


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows are sources, columns are peers, both in cluster order; None on the diagonal."""

    names: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell | None, ...]], ...]


def of_network(network: Network, nodes: Iterable[Node]) -> list[PairState]:
    """The pairs of these nodes, in their order. One query."""
    names = {node.pk: node.name for node in nodes}
    found = dict(Report.objects.filter(node__in=names).values_list("node", "pairs"))
    members = set(names.values())
    return [
        PairState.of(name, said)
        for key, name in names.items()
        for said in found.get(key, ())
        if said["network"] == network.name and said["peer"] in members
    ]


def matrix(nodes: Sequence[Node], pairs: Iterable[PairState]) -> Matrix:
    """Of the nodes of a network and its pairs."""
    found: dict[tuple[str, str], list[PairState]] = defaultdict(list)
    for pair in sorted(pairs, key=lambda one: one.family):
        found[pair.source, pair.peer].append(pair)
    names = tuple(node.name for node in nodes)
    return Matrix(
        names,
        tuple(
            (source, tuple(_cell(source, peer, found[source, peer]) for peer in names)) for source in names
        ),
    )


def _cell(source: str, peer: str, pairs: Iterable[PairState]) -> Cell | None:
    return None if source == peer else Cell(source, peer, tuple(pairs))
