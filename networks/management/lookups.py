"""Names given on the command line -> rows, or a refusal that says which names there are."""

from collections.abc import Iterable
from difflib import get_close_matches

from netadmin.problems import Fault, Problem
from networks.models import Network
from nodes.models import Node


def the_node(name: str) -> Node:
    """Raises Problem."""
    node = Node.objects.filter(name=name).first()
    if node is None:
        names = Node.objects.values_list("name", flat=True)
        raise Problem(Fault("node", name, "is no node of the cluster", suggestion(name, names)))
    return node


def the_network(name: str) -> Network:
    """Raises Problem."""
    network = Network.objects.filter(name=name).first()
    if network is None:
        names = Network.objects.values_list("name", flat=True)
        raise Problem(Fault("network", name, "is not declared", suggestion(name, names)))
    return network


def suggestion(given: str, known: Iterable[str]) -> str:
    """The remedy for a name that is not known."""
    names = sorted(known)
    if close := get_close_matches(given, names, n=1):
        return f"Did you mean {close[0]}? Known: {', '.join(names)}"
    return f"Known: {', '.join(names)}" if names else "There is none yet"
