"""What nodes would do for a draft: the verb is carried out, its documents are rendered, it is taken back.

    verb -> rows -> heads and peer lists -> (rolled back) -> a question to each node it concerns
    answers -> networks.planned

The same verbs, rules and segments as for real. No row, no event and no wake-up of the draft is left.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from networks import declare
from networks.declaration import Declaration
from networks.desired import Snapshot, peer_lists
from networks.models import Network
from nodes import questions
from nodes.models import Node, Operation

KIND = "plan"


def change(name: str, wanted: Declaration, *, by: str, expected: int | None, force: bool) -> None:
    """A network that is not there is declared."""
    if expected is None and not Network.objects.filter(name=name).exists():
        declare.declare(name, wanted, by=by)
    else:
        declare.change(name, wanted, by=by, expected=expected, force=force)


def replace(name: str, wanted: Declaration, *, by: str, expected: int | None, force: bool) -> None:
    declare.replace(name, wanted, by=by, expected=expected, force=force)


def withdraw(name: str, wanted: Declaration, *, by: str, expected: int | None, force: bool) -> None:
    """Nothing is wanted of it."""
    declare.withdraw(name, by=by, expected=expected, force=force)


VERBS = {"change": change, "replace": replace, "withdraw": withdraw}
"""What can be drafted of one network."""


@dataclass(frozen=True, slots=True)
class Draft:
    """Documents as they would be."""

    heads: Mapping[Node, Any]
    peers: Mapping[str, Any]
    """Peer lists by digest."""


def ask(
    verb: Callable[[], object],
    names: Iterable[str],
    asked: Any,
    *,
    by: str,
    within: float = questions.WITHIN,
) -> Operation:
    """Ask the nodes that a draft concerns: those in scope of the named networks before or after it, and
    those whose document it changes. Raises the Problem that the verb raises."""
    subject = list(dict.fromkeys(names))
    made = draft(verb, subject)
    bodies = {node: {"head": head} for node, head in made.heads.items()}
    return questions.ask(KIND, ", ".join(subject)[:255], asked, bodies, made.peers, by=by, within=within)


def draft(verb: Callable[[], object], names: Iterable[str]) -> Draft:
    """Carry the verb out, render, take it back."""
    with transaction.atomic():
        before = _scope(names)
        versions = dict(Node.objects.values_list("pk", "desired_version"))
        verb()
        concerned = before | _scope(names)
        nodes = list(Node.objects.all())
        snapshot = Snapshot.of()
        chosen = [
            node for node in nodes if node.pk in concerned or node.desired_version != versions.get(node.pk)
        ]
        heads = {node: json.loads(snapshot.head(node)) for node in chosen}
        peers = peer_lists(heads.values())
        transaction.set_rollback(True)
    return Draft(heads, peers)


def _scope(names: Iterable[str]) -> set[int]:
    networks = Network.objects.filter(name__in=list(names)).defer("peers_body")
    return {node.pk for network in networks for node in network.scope()}
