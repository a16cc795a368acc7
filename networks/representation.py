"""Networks as JSON values: what the REST API and ``net show --format json`` answer."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from networks import addressing, convergence, declare
from networks.declare import KEYWORDS
from networks.models import Network, Segment
from nodes.probes import COUNTS


def represent(networks: Iterable[Network]) -> list[dict[str, Any]]:
    """The networks as JSON values, in the order given. A fixed number of queries."""
    order = [network.pk for network in networks]
    segments: dict[int, list[Segment]] = defaultdict(list)
    rows = Segment.objects.filter(network__in=order).exclude(node=None).select_related("node")
    for row in rows.order_by("node__position"):
        segments[row.network_id].append(row)
    states = {
        state.network.pk: _represented(state, segments[state.network.pk])
        for state in convergence.network_states(Network.objects.filter(pk__in=order))
    }
    return [states[pk] for pk in order if pk in states]


def _represented(state: convergence.NetworkState, segments: list[Segment]) -> dict[str, Any]:
    network = state.network
    return {
        "name": network.name,
        **{keyword: getattr(network, keyword) for keyword in KEYWORDS},
        "nodes": None if network.every_node else [member.node.name for member in state.nodes],
        "per_node": {
            row.node.name: given for row in segments if row.node and (given := declare.overrides(row))
        },
        "version": network.version,
        "device": network.device,
        "effective_mtu": network.effective_mtu,
        "size": str(network.size),
        "used": state.used,
        "free": str(state.free),
        "pct": state.percent,
        "leases": state.leases,
        "segments": [segment_of(row) for row in segments if row.subnet],
        "convergence": {"nodes": len(state.nodes), "converged": state.converged},
        "status": state.status,
        "probes": {name: state.probes[name] for name in COUNTS},
        "created": network.created,
        "changed": network.changed,
    }


def segment_of(row: Segment) -> dict[str, str]:
    """A segment as a JSON value."""
    return {
        "node": row.node.name if row.node else "",
        "subnet": row.subnet,
        "address": " ".join(f"{addressing.first_address(cidr)}/{cidr.prefixlen}" for cidr in row.cidrs),
        "addr": row.addr,
        "gateway": row.gateway,
    }
