"""Questions about the way of a packet, put to a node of an underlay as the control plane puts them."""

import dataclasses
from typing import Any

from tests.kernel.cluster import Declared, Underlay
from workers import document as documents
from workers.asked import Ground
from workers.document import Document
from workers.explained import Echo, Explained, Leg
from workers.explaining.answer import explain


def explained(
    underlay: Underlay, number: int, declared: Declared, *legs: Leg, echoes: tuple[Echo, ...] = ()
) -> Explained:
    """What a node answers when this is declared."""
    node, document = underlay.nodes[number], underlay.document(number, declared)
    body, shared = question(document, *legs, echoes=echoes)
    with node.namespace.entered():
        return explain(body, Ground(node.settings, node.kernel, document, shared))


def question(document: Document, *legs: Leg, echoes: tuple[Echo, ...] = ()) -> tuple[Any, dict[str, Any]]:
    """The body, and the peer lists by digest, as the control plane sends them."""
    networks, shared = [], {}
    for network in document.networks:
        rows = [peer._asdict() for peer in network.peers]
        digest = documents.digest(documents.canonical(rows))
        shared[digest] = rows
        networks.append({**dataclasses.asdict(network), "peers": digest})
    head = {
        **dataclasses.asdict(document),
        "cni": {"plugins": document.cni_plugins, "config": document.cni_config},
        "networks": networks,
    }
    body = {
        "head": head,
        "legs": [dataclasses.asdict(leg) for leg in legs],
        "echoes": [dataclasses.asdict(echo) for echo in echoes],
    }
    return body, shared
