"""Rows -> desired-state documents (format: ``workers.document``).

    publish(changed networks)   renders each changed network's peer list once, then compares the
                                version of every node's head with the stored one: those that
                                differ are to be woken
    document(node)              the bytes a node fetches: its head and the rendered lists it points to

A fixed number of queries, whatever the number of nodes and networks.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from netaddr import IPAddress, valid_ipv4, valid_ipv6

from networks import mtu
from networks.models import OWN_RANGES, Network, Segment
from nodes.models import Cluster, Node
from workers import document as wire


@dataclass(slots=True)
class Snapshot:
    """The rows that documents are made of."""

    cluster: Cluster
    networks: list[Network]
    named: dict[int, set[int]]
    """Network to the nodes it is limited to."""
    segments: dict[tuple[int, int], Segment] = field(default_factory=dict)
    """(network, node) to segment."""

    @classmethod
    def of(cls, nodes: Iterable[Node] | None = None) -> "Snapshot":
        """Everything, or what concerns these nodes. Four queries."""
        links = Network.nodes.through.objects.all()
        segments = Segment.objects.exclude(node=None)
        if nodes is not None:
            keys = [node.pk for node in nodes]
            links, segments = links.filter(node__in=keys), segments.filter(node__in=keys)
        named: dict[int, set[int]] = defaultdict(set)
        for network_id, node_id in links.values_list("network_id", "node_id"):
            named[network_id].add(node_id)
        return cls(
            cluster=Cluster.current(),
            networks=list(Network.switched_on().defer("peers_body")),
            named=named,
            segments={(row.network_id, row.node_id or 0): row for row in segments},
        )

    def head(self, node: Node) -> bytes:
        """The part of the document that is the node's own, canonical."""
        mine = [
            network for network in self.networks if network.every_node or node.pk in self.named[network.pk]
        ]
        return wire.canonical(
            {
                "cluster": self.cluster.name,
                "node": node.name,
                "addresses": underlay(node, None),
                "look_interval": self.cluster.look_interval,
                "probe_interval": self.cluster.probe_interval,
                "confirm": self.cluster.confirm_seconds,
                "lease_grace": self.cluster.lease_grace,
                "attempt": node.attempt,
                "cni": {
                    "plugins": node.cni_plugins or self.cluster.cni_plugins,
                    "config": node.cni_config or self.cluster.cni_config,
                },
                "ranges": [text for network in self.networks for text in network.network.split()],
                "networks": [
                    self._network(network, self.segments.get((network.pk, node.pk))) for network in mine
                ],
            }
        )

    def _network(self, network: Network, segment: Segment | None) -> dict[str, object]:
        own = segment.own_range if segment and network.type in OWN_RANGES else ""
        return {
            "name": network.name,
            "type": network.type,
            "ranges": (own or network.network).split(),
            "subnets": (segment.subnet if segment else "").split()
            if network.is_segmented
            else (own or network.network).split(),
            "device": network.device,
            "adopted": bool(network.dev),
            "public": network.public,
            "mtu": network.effective_mtu or 0,
            "tables": [str(table) for table in network.tables],
            "tunnel": network.tunnel,
            "tunnel_mode": network.tunnel_mode,
            "peers": network.peers_digest,
            "conf": network.template,
        }


def underlay(node: Node, segment: Segment | None) -> list[str]:
    """By which addresses peers reach a node: addr@NODE, else the first of each family that
    is not of this host only (``127.0.1.1`` in a hosts file, ``fe80:``)."""
    return underlay_texts([*(segment.addr.split() if segment else ()), *node.addresses])


def underlay_texts(texts: Iterable[str]) -> list[str]:
    """The first reachable address of each family, IPv4 first; what is no address is passed over."""
    chosen: dict[int, str] = {}
    for text in texts:
        if not (valid_ipv4(text) or valid_ipv6(text)):
            continue
        address = IPAddress(text)
        if not (address.is_loopback() or address.is_link_local()):
            chosen.setdefault(address.version, str(address))
    return [chosen[version] for version in sorted(chosen)]


def render_peers(network: Network) -> None:
    """Render the network's shared part into its row: peers and MTU; one query."""
    if not network.has_peers or not network.network:
        network.peers_digest, network.peers_body, network.carries = "", "", None
        return
    rows = list(_members(network))
    body = wire.canonical([_peer(row) for row in rows])
    network.peers_digest, network.peers_body = wire.digest(body), body.decode()
    network.carries = _carries(network, rows) if network.is_segmented else None


def resized(network: Network) -> bool:
    """Whether another MTU follows from what the nodes report now; one query."""
    return network.is_segmented and network.carries != _carries(network, _members(network))


def _members(network: Network) -> Iterable[Segment]:
    """The segments that nodes hold; of a network that is not cut, all nodes in scope with their overrides."""
    rows = network.segments.exclude(node=None).select_related("node").order_by("node__position")
    if network.is_segmented:
        return rows.exclude(subnet="")
    held = {row.node_id: row for row in rows}
    return [held.get(node.pk) or Segment(network=network, node=node) for node in network.scope()]


def _carries(network: Network, rows: Iterable[Segment]) -> int | None:
    members = []
    for row in rows:
        assert row.node is not None
        ends = underlay(row.node, row)
        members.append(mtu.Member(ends, row.gateway.split() or ends, row.node.underlay))
    return mtu.computed(network, members)


def _peer(row: Segment) -> dict[str, object]:
    assert row.node is not None
    addresses = underlay(row.node, row)
    return {
        "node": row.node.name,
        "addresses": addresses,
        "gateways": row.gateway.split() or addresses,
        "subnets": row.subnet.split(),
    }


def publish(changed: Iterable[Network]) -> list[Node]:
    """Bring the stored versions up to date; returns the nodes that have something new."""
    for network in changed:
        render_peers(network)
        network.save(update_fields=["peers_digest", "peers_body", "carries"])
    snapshot = Snapshot.of()
    news = []
    for node in Node.objects.all():
        version = wire.digest(snapshot.head(node))
        if version != node.desired_version:
            node.desired_version = version
            news.append(node)
    Node.objects.bulk_update(news, ["desired_version"], batch_size=500)
    return news


@transaction.atomic
def republish() -> None:
    """Bring everything up to date when the control plane starts: another release may render the same
    rows differently, and nodes are answered 304 by the stored version."""
    Cluster.locked()
    publish(Network.objects.all())


def peer_lists(heads: Iterable[Any]) -> dict[str, Any]:
    """The lists that heads (as JSON values) point to, by digest."""
    digests = {network["peers"] for head in heads for network in head["networks"]} - {""}
    rows = Network.objects.filter(peers_digest__in=digests).values_list("peers_digest", "peers_body")
    return {digest: json.loads(body) for digest, body in rows}


def document(node: Node) -> tuple[str, bytes]:
    """(version, bytes) of a node's document as the rows are now.

    A declaration that commits between the queries can replace a peer list that the head still
    points to; then the head is read again.
    """
    while True:
        head = Snapshot.of([node]).head(node)
        digests = {network["peers"] for network in json.loads(head)["networks"]} - {""}
        rows = Network.objects.filter(peers_digest__in=digests).values_list("peers_digest", "peers_body")
        bodies = {key: body.encode() for key, body in rows}
        if bodies.keys() >= digests:
            return wire.digest(head), wire.assemble(head, bodies)
