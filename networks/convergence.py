"""Who applied what: read by the API, the pages and ``net status``.

A node has converged when the version it reports is the one it is to have and it reports no
finding. A network has converged when all its nodes have.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Q
from django.utils import timezone

from networks.models import Allocation, Learnt, Network
from nodes.models import Cluster, Node, Report

MISSED_LOOKS = 3
"""A node that missed so many looks is called silent."""


@dataclass(frozen=True, slots=True)
class NodeState:
    """How a node stands."""

    node: Node
    report: Report | None
    silent: bool
    """Not heard of for some looks, or never."""

    @property
    def current(self) -> bool:
        """Applied the newest version."""
        return bool(self.node.desired_version) and self.node.applied_version == self.node.desired_version

    @property
    def findings(self) -> list[dict[str, str]]:
        return self.report.findings if self.report else []

    def findings_of(self, network: str) -> list[dict[str, str]]:
        """What concerns this network, or the node as a whole."""
        return [finding for finding in self.findings if finding["network"] in ("", network)]

    def converged_on(self, network: str) -> bool:
        return self.current and not self.findings_of(network)

    @property
    def status(self) -> str:
        """One word: new, silent, converging, problem, converged."""
        if self.report is None:
            return "new"
        if self.silent:
            return "silent"
        if not self.current:
            return "converging"
        return "problem" if self.findings else "converged"


@dataclass(frozen=True, slots=True)
class NetworkState:
    """How a network stands: usage as ``om net status`` counts it, and convergence."""

    network: Network
    used: int
    """Addresses that resources of services report; the same one on two nodes counts twice."""
    leases: int
    """Addresses that the nodes' stores handed out."""
    nodes: tuple[NodeState, ...]

    @property
    def free(self) -> int:
        return self.network.size - self.used

    @property
    def percent(self) -> str:
        size = self.network.size
        return f"{100 * self.used / size:.2f}%" if size else "0.00%"

    @property
    def converged(self) -> int:
        """How many of its nodes have it as declared."""
        return sum(node.converged_on(self.network.name) for node in self.nodes)


def node_states(nodes: Any = None) -> list[NodeState]:
    """The nodes (a queryset, or all), in cluster order. Two queries."""
    interval = Cluster.current().look_interval
    limit = timezone.now() - timedelta(seconds=MISSED_LOOKS * interval)
    found = (Node.objects.all() if nodes is None else nodes).select_related("report")
    return [NodeState(node, getattr(node, "report", None), _silent(node.last_seen, limit)) for node in found]


def _silent(last_seen: datetime | None, limit: datetime) -> bool:
    return last_seen is None or last_seen < limit


def network_states(networks: Any = None) -> list[NetworkState]:
    """The networks (a queryset, or all) by name. Six queries, whatever their number."""
    rows = list((Network.objects.all() if networks is None else networks).defer("peers_body"))
    states = node_states()
    named: dict[int, set[int]] = defaultdict(set)
    for network_id, node_id in Network.nodes.through.objects.values_list("network_id", "node_id"):
        named[network_id].add(node_id)
    used: Counter[int] = Counter()
    leases: Counter[int] = Counter()
    counts = Allocation.objects.values("network").annotate(
        used=Count("pk", filter=~Q(service="")), leases=Count("pk", filter=Q(learnt=Learnt.STORE))
    )
    for row in counts.order_by():
        used[row["network"]], leases[row["network"]] = row["used"], row["leases"]
    return [
        NetworkState(
            network=network,
            used=used[network.pk],
            leases=leases[network.pk],
            nodes=tuple(
                state for state in states if network.every_node or state.node.pk in named[network.pk]
            ),
        )
        for network in rows
    ]
