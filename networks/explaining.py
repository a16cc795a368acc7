"""Explain: the way of a packet between two addresses, as declared and as the kernels have it.

    names -> ends -> steps -> a question to each node on the way, with its document as it is declared
    (answers -> networks.explanation)

Nothing is changed. Nodes send some echoes; to addresses that are no business of the cluster's
only when somebody asks who may also declare.
"""

import json
from dataclasses import asdict
from typing import Any

from django.db import transaction

from networks import ends, passages
from networks.desired import Snapshot, peer_lists
from networks.ends import End
from networks.passages import Step
from nodes import questions
from nodes.models import Node, Operation

KIND = "explain"


@transaction.atomic
def ask(
    source: str,
    destination: str,
    network: str = "",
    *,
    by: str,
    outside: bool,
    within: float = questions.WITHIN,
) -> Operation:
    """Ask the nodes on the way; ``outside``: echoes may go to any address. Raises Problem for ends that
    cannot be understood."""
    one, two = ends.resolve(source, destination, network)
    way = passages.steps(one, two)
    bodies = _bodies(way, one, two, outside)
    asked = {
        "source": source,
        "destination": destination,
        "network": network,
        "ends": [_end(one), _end(two)],
        "steps": [_kept(step) for step in way],
    }
    subject = f"{one.text} {two.text}"
    shared = peer_lists(body["head"] for body in bodies.values())
    return questions.ask(KIND, subject, asked, bodies, shared, by=by, within=within)


def _bodies(way: list[Step], one: End, two: End, outside: bool) -> dict[Node, Any]:
    nodes = list({step.node.pk: step.node for step in way if step.leg}.values())
    snapshot = Snapshot.of(nodes)
    bodies: dict[Node, Any] = {}
    for node in nodes:
        mine = [step for step in way if step.node == node]
        tried = [echo for step in mine for echo in passages.echoes(step, one, two, outside=outside)]
        bodies[node] = {
            "head": json.loads(snapshot.head(node)),
            "legs": [asdict(step.leg) for step in mine if step.leg],
            "echoes": [asdict(echo) for echo in dict.fromkeys(tried)],
        }
    return bodies


def _end(end: End) -> dict[str, str]:
    return {
        "address": end.text,
        "kind": end.kind,
        "holder": end.holder,
        "node": end.node.name if end.node else "",
        "network": end.network.name if end.network else "",
    }


def _kept(step: Step) -> dict[str, Any]:
    return {
        "way": step.way,
        "node": step.node.name,
        "step": step.leg.step if step.leg else None,
        "told": [asdict(told) for told in step.told],
    }
