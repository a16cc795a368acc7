"""Keywords carried out: what ``manage.py cluster`` and ``manage.py node`` set, get and print.

    KEYWORD=VALUE ... -> keywords -> one Declaration a network -> declare, change
                                  -> fields of the cluster or the node -> change

All keywords of one call are one transaction, with one event for each network.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from django.db import transaction

from netadmin.problems import Fault, Missing, Problem
from networks import cluster, declare, desired, keywords, membership
from networks.declaration import OVERRIDES, Declaration
from networks.keywords import CLUSTER, CLUSTER_READ_ONLY, NETWORK, NODE, NODES, Keyword
from networks.lookups import suggestion, the_network, the_node
from networks.models import DEFAULT_RANGES, Network, Segment, Type
from nodes.models import Cluster, Node

SWITCHED_OFF = "none"
Given = Sequence[tuple[Keyword, str]]


@transaction.atomic
def set_for_cluster(texts: Iterable[str], *, by: str, force: bool = False) -> list[str]:
    """Carry out ``KEYWORD=VALUE`` for every node; returns what was changed. Raises Problem."""
    Cluster.locked()
    given = _each(texts, lambda text: keywords.parse_assignment(text, [*CLUSTER, CLUSTER_READ_ONLY]))
    fields = _fields(given, CLUSTER)
    wanted = _declarations(given)
    if fields:
        cluster.change(by=by, **fields)
    for name in sorted(wanted, key=lambda name: not _switches_off(wanted[name])):
        _carry_out(name, wanted[name], by=by, force=force)
    return [*(["cluster"] if fields else []), *wanted]


def networks_of(texts: Iterable[str]) -> list[str]:
    """The networks that ``KEYWORD=VALUE`` texts are about. Raises Problem."""
    given = _each(texts, lambda text: keywords.parse_assignment(text, [*CLUSTER, CLUSTER_READ_ONLY]))
    return list(dict.fromkeys(keyword.network for keyword, _ in given if keyword.network))


@transaction.atomic
def unset_for_cluster(texts: Iterable[str], *, by: str, force: bool = False) -> list[str]:
    """Give keywords their defaults back; returns what was changed. Raises Problem."""
    Cluster.locked()
    given = _each(texts, lambda text: keywords.parse(text, [*CLUSTER, CLUSTER_READ_ONLY]))
    return set_for_cluster((f"{keyword}={_default(keyword)}" for keyword in given), by=by, force=force)


@transaction.atomic
def set_for_node(node: str, texts: Iterable[str], *, by: str, force: bool = False) -> list[str]:
    """Carry out ``KEYWORD=VALUE`` for one node; returns what was changed. Raises Problem.

    A network that is not declared becomes one of this node only; the node joins one that is
    limited to named nodes; of one that is on every node, only what may differ can be given.
    """
    Cluster.locked()
    the_node(node)
    given = _each(texts, lambda text: keywords.parse_assignment(text, list(NODE)))
    fields = _fields(given, NODE)
    by_network: dict[str, list[tuple[Keyword, str]]] = {}
    for keyword, value in given:
        if keyword.network:
            by_network.setdefault(keyword.network, []).append((keyword, value))
    if fields:
        membership.change(node, by=by, **fields)
    for name, own in by_network.items():
        _carry_out(name, _on_one_node(name, node, own), by=by, force=force)
    return [*([f"node {node}"] if fields else []), *by_network]


def value(text: str, *, node: str = "") -> str:
    """The value of a keyword, its default if it is not declared; as ``node`` has it, if given.

    Raises Problem.
    """
    keyword = keywords.parse(text, list(NODE) if node else [*CLUSTER, CLUSTER_READ_ONLY])
    if keyword.network:
        return _network_value(keyword, node)
    if node:
        option = NODE[str(keyword)]
        return option.write(getattr(the_node(node), option.column))
    if str(keyword) == CLUSTER_READ_ONLY:
        return " ".join(_cluster_nodes())
    option = CLUSTER[str(keyword)]
    return option.write(getattr(Cluster.current(), option.column))


def as_ini() -> str:
    """Everything that is declared, as the reference prints its configuration; defaults left out."""
    sections: dict[str, dict[str, str]] = {"cluster": {"nodes": " ".join(_cluster_nodes())}}
    for text, option in CLUSTER.items():
        section, _, name = text.partition(".")
        if written := option.write(getattr(Cluster.current(), option.column)):
            sections.setdefault(section, {})[name] = written
    for network in Network.objects.all():
        sections[f"network#{network.name}"] = _declared(network)
    blocks = (
        "\n".join([f"[{section}]", *(f"{name} = {text}" for name, text in options.items())])
        for section, options in sections.items()
    )
    return "\n\n".join(blocks)


# -- set


def _each(texts: Iterable[str], parse: Callable[[str], Any]) -> list[Any]:
    """Parse all, so that every fault is said at once."""
    parsed: list[Any] = []
    faults: list[Fault] = []
    for text in texts:
        try:
            parsed.append(parse(text))
        except Problem as problem:
            faults += problem.faults
    if faults:
        raise Problem(*faults)
    return parsed


def _fields(given: Given, known: Any) -> dict[str, Any]:
    """The columns of the cluster or the node that are given."""
    fields = {}
    for keyword, text in given:
        if keyword.network:
            continue
        if str(keyword) == CLUSTER_READ_ONLY:
            remedy = "Use manage.py node add and node rm"
            raise Problem(Fault(CLUSTER_READ_ONLY, text, "follows from the nodes", remedy))
        option = known[str(keyword)]
        fields[option.column] = keywords.read(option, keyword, text)
    return fields


def _declarations(given: Given) -> dict[str, Declaration]:
    """One declaration for each network, in the order given."""
    wanted: dict[str, Declaration] = {}
    for keyword, text in given:
        if not (name := keyword.network):
            continue
        declaration = wanted.setdefault(name, Declaration())
        if keyword.node:
            _require_scopable(keyword, text)
            declaration.per_node.setdefault(keyword.node, {})[keyword.option] = text
        elif keyword.option == NODES:
            wanted[name] = replace(declaration, scope=keywords.read_scope(text, _cluster_nodes()))
        else:
            _require_unscoped(keyword, text)
            option = NETWORK[keyword.option]
            declaration.values[option.column] = keywords.read(option, keyword, text)
    return wanted


def _require_scopable(keyword: Keyword, text: str) -> None:
    if keyword.option not in OVERRIDES:
        remedy = f"Give {replace(keyword, node='')}; per node there are {', '.join(OVERRIDES)}"
        raise Problem(Fault(str(keyword), text, "is the same on every node", remedy))


def _require_unscoped(keyword: Keyword, text: str) -> None:
    if keyword.option not in NETWORK:
        raise Problem(Fault(str(keyword), text, "differs from node to node", f"Give {keyword}@NODE"))


def _switches_off(wanted: Declaration) -> bool:
    """Goes first: its range may be what another network is to get."""
    return wanted.values.get("network") == SWITCHED_OFF


def _carry_out(name: str, wanted: Declaration, *, by: str, force: bool) -> None:
    try:
        if Network.objects.filter(name=name).exists():
            declare.change(name, wanted, by=by, force=force)
        else:
            _require_declaring(name, wanted)
            declare.declare(name, wanted, by=by)
    except Problem as problem:
        raise problem.under(f"network#{name}") from problem


def _require_declaring(name: str, wanted: Declaration) -> None:
    """A misspelt name must not become a network."""
    if not {"type", "network"} & wanted.values.keys():
        names = Network.objects.values_list("name", flat=True)
        remedy = f"{suggestion(name, names)}. Give its type or network to declare it"
        raise Missing(Fault("name", name, "is not declared", remedy))


def _default(keyword: Keyword) -> str:
    if not keyword.network:
        if str(keyword) == CLUSTER_READ_ONLY:
            return ""
        option = CLUSTER[str(keyword)]
        return option.write(getattr(Cluster(), option.column))
    network = the_network(keyword.network)
    if keyword.node or keyword.option not in NETWORK:
        return ""
    if keyword.option == "network":
        return DEFAULT_RANGES.get(Type(network.type), "")
    return keywords.default(keyword.option)


# -- set for one node


def _on_one_node(name: str, node: str, given: Given) -> Declaration:
    """What to declare so that one node has these keywords, and no other node loses its own."""
    own: dict[str, str] = {}
    plain: list[tuple[Keyword, str]] = []
    for keyword, text in given:
        if keyword.node not in ("", node):
            remedy = f"Use node set --node {keyword.node}, or cluster set"
            raise Problem(Fault(str(keyword), text, f"is of another node than {node}", remedy))
        if keyword.option == NODES:
            raise Problem(Fault(str(keyword), text, "is of the whole network", "Use cluster set"))
        if keyword.option in OVERRIDES:
            own[keyword.option] = text
        else:
            plain.append((keyword, text))
    network = Network.objects.filter(name=name).first()
    members = [] if network is None else [member.name for member in network.scope()]
    if network is None or (not network.every_node and set(members) <= {node}):
        return _of_this_node_only(node, own, plain)
    for keyword, text in plain:
        _require_same(network, members, keyword, text)
    if own.get("network") == network.network:
        own["network"] = ""  # as all have it
    joins = not network.every_node and node not in members
    return Declaration(scope=(*members, node) if joins else None, per_node={node: own} if own else {})


def _of_this_node_only(node: str, own: dict[str, str], plain: Given) -> Declaration:
    values = {NETWORK[k.option].column: keywords.read(NETWORK[k.option], k, text) for k, text in plain}
    if "network" in own:
        values["network"] = own.pop("network")
    return Declaration(values, scope=(node,), per_node={node: own} if own else {})


def _require_same(network: Network, members: list[str], keyword: Keyword, text: str) -> None:
    """A keyword that cannot differ may be repeated as it is."""
    option = NETWORK[keyword.option]
    current = getattr(network, option.column)
    if keywords.read(option, keyword, text) != current:
        where = "every node" if network.every_node else ", ".join(members)
        raise Problem(
            Fault(
                str(keyword),
                text,
                f"cannot differ between nodes, and is {option.write(current) or 'empty'} on {where}",
                f"Change it for all with cluster set; for one node give {', '.join(OVERRIDES)}",
            )
        )


# -- get


def _network_value(keyword: Keyword, node: str) -> str:
    network = the_network(keyword.network)
    if where := keyword.node or node:
        member = the_node(where)
        if not network.scope().filter(pk=member.pk).exists():
            raise Problem(
                Fault("node", where, f"is not in the scope of network {network.name}", "Choose one that is")
            )
        if keyword.option in OVERRIDES:
            return _own_value(network, member, keyword.option)
    if keyword.option == NODES:
        return keywords.EVERY_NODE if network.every_node else " ".join(node.name for node in network.scope())
    if keyword.option == "network":
        return network.network or SWITCHED_OFF
    _require_unscoped(keyword, "")
    option = NETWORK[keyword.option]
    return option.write(getattr(network, option.column))


def _own_value(network: Network, node: Node, option: str) -> str:
    """What is in force on the node: declared, chosen or looked up."""
    segment = Segment.objects.filter(network=network, node=node).first() or Segment()
    if option == "network":
        return segment.own_range or network.network or SWITCHED_OFF
    if option == "subnet":
        return segment.subnet
    addresses = " ".join(desired.underlay(node, segment))
    return addresses if option == "addr" else segment.gateway or addresses


# -- print


def _cluster_nodes() -> list[str]:
    return list(Node.objects.values_list("name", flat=True))


def _declared(network: Network) -> dict[str, str]:
    options = {"type": network.type, "network": network.network or SWITCHED_OFF}
    for name, option in NETWORK.items():
        text = option.write(getattr(network, option.column))
        if name not in options and text != keywords.default(name):
            options[name] = text.replace("\n", "\n  ")  # a further line of a value is indented
    if not network.every_node:
        options[NODES] = " ".join(node.name for node in network.scope())
    for row in network.segments.exclude(node=None).select_related("node").order_by("node__position"):
        assert row.node is not None
        given = {"network": row.own_range, "subnet": row.subnet, "addr": row.addr, "gateway": row.gateway}
        options |= {f"{name}@{row.node.name}": text for name, text in given.items() if text}
    return options
