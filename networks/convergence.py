"""Who applied what, and whose packets cross: read by the API, the pages and ``net status``.

A node has converged on a network when it is heard of, the version it reports is the one it is to
have, it reports no problem, and its probes of the network's other nodes pass. One word says it, the
first that is true:

A node that rolled a version back keeps what it had. The networks that the version would have
changed are a problem there; the others are as declared.

    new         never reported
    silent      not heard of for some looks
    converging  is to have something newer than it has
    problem     reports one (not a warning alone), or could not carry out what it is to have
    cut         carries it out, and packets to a peer, or their answers, are lost
    mtu         small packets cross, full ones do not
    probing     carries it out, and nobody knows yet whether packets cross
    converged

The word of a network is the worst of its nodes. Of one whose nodes all have converged it is:

    up          full packets cross between all of them; or there is nothing to cross
    converged   as declared, but not probed (``cluster.probe_interval`` is 0)
    off         it has no range
    waiting     for its first node
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db.models import Count, Q

from networks.models import Address, Learnt, Network
from nodes import members
from nodes.models import Node, Report
from nodes.probes import COUNTS, Summary
from workers.report import WARNING

WORST_FIRST = ("problem", "cut", "mtu", "silent", "new", "converging", "probing", "converged")
BULKY = ("interfaces", "leases", "files", "capabilities", "last_plan", "foreign", "pairs")
"""Columns of a report that say nothing about convergence: not read for lists of nodes."""


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
    def refused(self) -> str:
        """The version that it is to have and rolled back; empty: none."""
        refused = self.report.refused if self.report else ""
        return refused if refused == self.node.desired_version else ""

    @property
    def findings(self) -> list[dict[str, str]]:
        return self.report.findings if self.report else []

    def findings_of(self, network: str) -> list[dict[str, str]]:
        """What concerns this network, or the node as a whole."""
        return [finding for finding in self.findings if finding["network"] in ("", network)]

    def failures_of(self, network: str | None = None) -> list[dict[str, str]]:
        """Pairs that fail, in the shape of findings, and with the peer: of all networks, or of this one.
        What a node said that is not heard of any more is too old."""
        if self.silent:
            return []
        return _failures(self.probes if network is None else self.probes_of(network))

    @property
    def probes(self) -> list[Summary]:
        """What its probes found, by network and family."""
        return self.report.probes if self.report else []

    def probes_of(self, network: str) -> list[Summary]:
        """The same, of one network."""
        return [summary for summary in self.probes if summary["network"] == network]

    @property
    def status(self) -> str:
        """One word of WORST_FIRST."""
        return self._word(self.findings, self.probes)

    def status_on(self, network: str) -> str:
        """The same, of one network."""
        return self._word(self.findings_of(network), self.probes_of(network))

    def _word(self, findings: list[dict[str, str]], probes: list[Summary]) -> str:
        if self.report is None:
            return "new"
        if self.silent:
            return "silent"
        if not self.current and not self.refused:
            return "problem" if self.report.outcome == "failed" else "converging"
        return "problem" if any(map(_is_problem, findings)) else _crossing(probes)


def _is_problem(finding: dict[str, str]) -> bool:
    """A warning is to be read; all is as declared in spite of it."""
    return finding.get("level") != WARNING


def _failures(probes: list[Summary]) -> list[dict[str, str]]:
    return [
        {
            "code": pair["code"],
            "network": summary["network"],
            "peer": pair["peer"],
            "subject": f"packets to {pair['peer']} over IPv{summary['family']}",
            "why": pair["why"],
            "remedy": pair["remedy"],
        }
        for summary in probes
        for pair in summary["failing"]
    ]


def _crossing(probes: list[Summary]) -> str:
    """The word for what the probes of a node found that carries out what it is to have."""
    words = {"cut": "down", "mtu": "mtu", "probing": "pending"}
    return next((word for word, count in words.items() if any(one[count] for one in probes)), "converged")


@dataclass(frozen=True)
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

    @cached_property
    def counts(self) -> Counter[str]:
        """How many of its nodes stand how."""
        return Counter(node.status_on(self.network.name) for node in self.nodes)

    @property
    def converged(self) -> int:
        """How many of its nodes have it as declared."""
        return self.counts["converged"]

    @cached_property
    def probes(self) -> Counter[str]:
        """How many pairs there are (``peers``) and how they stand, both families counted."""
        return Counter(
            {
                name: sum(one[name] for node in self.nodes for one in node.probes_of(self.network.name))
                for name in COUNTS
            }
        )

    @property
    def is_probed(self) -> bool:
        """False: there is something to probe, and no node does."""
        return bool(self.probes["peers"]) or not self.network.is_segmented or len(self.nodes) < 2

    @property
    def status(self) -> str:
        """The worst word of its nodes; ``up``, ``off`` and ``waiting`` beside them."""
        if self.network.is_off:
            return "off"
        word = next((word for word in WORST_FIRST if self.counts[word]), "waiting")
        return "up" if word == "converged" and self.is_probed else word


def node_states(nodes: Any = None) -> list[NodeState]:
    """The nodes (a queryset, or all), in cluster order, their reports without what is bulky. Two queries."""
    since = members.heard_since()
    found = (Node.objects.all() if nodes is None else nodes).select_related("report")
    found = found.defer(*(f"report__{column}" for column in BULKY))
    return [NodeState(node, getattr(node, "report", None), members.is_silent(node, since)) for node in found]


def _read(networks: Any) -> list[Network]:
    return list((Network.objects.all() if networks is None else networks).defer("peers_body"))


def network_states(networks: Any = None, nodes: list[NodeState] | None = None) -> list[NetworkState]:
    """The networks (a queryset, a list, or all) by name; ``nodes``: the states of all nodes, if they were
    read already. Three queries, five if not, whatever their number; one less for a list."""
    rows = networks if isinstance(networks, list) else _read(networks)
    states = node_states() if nodes is None else nodes
    named: dict[int, set[int]] = defaultdict(set)
    for network_id, node_id in Network.nodes.through.objects.values_list("network_id", "node_id"):
        named[network_id].add(node_id)
    used: Counter[int] = Counter()
    leases: Counter[int] = Counter()
    counts = Address.objects.values("network").annotate(
        used=Count("pk", filter=~Q(allocation__service="")),
        leases=Count("pk", filter=Q(allocation__learnt=Learnt.STORE)),
    )
    if networks is not None:
        counts = counts.filter(network__in=[row.pk for row in rows])
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
