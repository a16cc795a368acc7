"""Names as people give them -> rows, or a refusal that says which names there are."""

from collections.abc import Iterable
from difflib import get_close_matches

from django.db.models import QuerySet

from netadmin.problems import Fault, Missing
from networks.models import Network
from nodes.models import Node

NAMED = 20
"""How many names a refusal says."""


def the_node(name: str, among: "QuerySet[Node] | None" = None) -> Node:
    """Raises Missing."""
    node = (Node.objects.all() if among is None else among).filter(name=name).first()
    if node is None:
        names = Node.objects.values_list("name", flat=True)
        raise Missing(Fault("node", name, "is no node of the cluster", suggestion(name, names)))
    return node


def the_network(name: str, among: "QuerySet[Network] | None" = None) -> Network:
    """Raises Missing."""
    network = (Network.objects.all() if among is None else among).filter(name=name).first()
    if network is None:
        names = Network.objects.values_list("name", flat=True)
        raise Missing(Fault("network", name, "is not declared", suggestion(name, names)))
    return network


def suggestion(given: str, known: Iterable[str]) -> str:
    """The remedy for a name that is not known."""
    names = sorted(known)
    if not names:
        return "There is none yet"
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    known_ones = f"Known: {', '.join(names[:NAMED])}{more}"
    close = get_close_matches(given, names, n=1)
    return f"Did you mean {close[0]}? {known_ones}" if close else known_ones
