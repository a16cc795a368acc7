"""The reference's spelling of what can be declared: text <-> columns; reads and writes no rows.

    network#backend1.type=routed_bridge         a network
    network#backend1.addr@n1=192.0.2.1          the same, as one node has it
    cluster.dns=10.0.0.53 10.0.0.54             the cluster
    node.addresses=192.0.2.1                    a node (``node set --node N``)

Lists are words with spaces or commas between; flags are true or false (yes, no). Where a list
of nodes is taken, ``{clusternodes}`` stands for all of today, ``*`` for all, also those that
join later.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from netadmin.problems import Fault, Problem
from networks.declaration import OVERRIDES, EveryNode
from networks.models import Network

EVERY_NODE = "*"
CLUSTER_NODES = re.compile(r"\{(clusternodes|cluster\.nodes)\}")
SPELLING = re.compile(r"(?P<section>[^.@=]+)\.(?P<option>[^.@=]+)(@(?P<node>[^@=]*))?")
FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True)
class Keyword:
    section: str
    option: str
    node: str = ""
    """After the @; empty: not scoped."""

    @property
    def network(self) -> str:
        """The network it belongs to; empty: the cluster, or a node."""
        return self.section.partition("#")[2]

    def __str__(self) -> str:
        return f"{self.section}.{self.option}" + (f"@{self.node}" if self.node else "")


@dataclass(frozen=True, slots=True)
class Option:
    """How the text of a keyword becomes the value of a column, and back."""

    column: str
    read: Callable[[str], Any]
    """Raises ValueError with the remedy."""
    write: Callable[[Any], str] = str


def words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _joined(values: Iterable[Any]) -> str:
    return " ".join(map(str, values))


def _spaced(text: str) -> str:
    """One CIDR per family, or one prefix length for each: also with commas between."""
    return _joined(words(text))


def _number(text: str) -> int:
    if not re.fullmatch("[0-9]{1,18}", text):
        raise ValueError("Give a number")
    return int(text)


def _number_or_none(text: str) -> int | None:
    return _number(text) if text else None


def _or_empty(value: int | None) -> str:
    return "" if value is None else str(value)


def _flag(text: str) -> bool:
    if text.lower() not in FLAGS:
        raise ValueError("Give true or false")
    return FLAGS[text.lower()]


def _flag_text(value: bool) -> str:
    return "true" if value else "false"


NETWORK: Mapping[str, Option] = {
    "type": Option("type", str),
    "network": Option("network", _spaced),
    "ips_per_node": Option("ips_per_node", _number),
    "mask_per_node": Option("mask_per_node", _spaced),
    "tunnel": Option("tunnel", str),
    "tunnel_mode": Option("tunnel_mode", str),
    "tables": Option("tables", words, _joined),
    "dev": Option("dev", str),
    "public": Option("public", _flag, _flag_text),
    "mtu": Option("mtu", _number_or_none, _or_empty),
    "template": Option("template", str),
    "comment": Option("comment", str),
    "tags": Option("tags", words, _joined),
}
NODES = "nodes"
"""The scope of a network; no column of its own."""
CLUSTER: Mapping[str, Option] = {
    "cluster.name": Option("name", str),
    "cluster.dns": Option("dns", words, _joined),
    "cluster.look_interval": Option("look_interval", _number),
    "cluster.probe_interval": Option("probe_interval", _number),
    "cluster.confirm": Option("confirm_seconds", _number),
    "cluster.lease_grace": Option("lease_grace", _number),
    "cni.plugins": Option("cni_plugins", str),
    "cni.config": Option("cni_config", str),
    "node.allowed_networks": Option("allowed_networks", words, _joined),
}
CLUSTER_READ_ONLY = "cluster.nodes"
NODE: Mapping[str, Option] = {
    "node.addresses": Option("addresses", words, _joined),
    "node.weight": Option("weight", _number),
    "node.comment": Option("comment", str),
    "cni.plugins": Option("cni_plugins", str),
    "cni.config": Option("cni_config", str),
}
NETWORK_OPTIONS = (*NETWORK, NODES, *(option for option in OVERRIDES if option not in NETWORK))


def parse(text: str, others: Sequence[str]) -> Keyword:
    """A keyword without value; ``others``: those known beside ``network#NAME.*``. Raises Problem."""
    found = SPELLING.fullmatch(text.strip())
    if found is None:
        raise Problem(
            Fault("kw", text, "is not spelled SECTION.KEYWORD or SECTION.KEYWORD@NODE", _known(text, others))
        )
    keyword = Keyword(found["section"], found["option"], found["node"] or "")
    kind, _, name = keyword.section.partition("#")
    known = keyword.option in NETWORK_OPTIONS if kind == "network" and name else str(keyword) in others
    if not known:
        raise Problem(Fault("kw", text, "is no keyword", _known(text, others)))
    if found[3] == "@":
        raise Problem(Fault("kw", text, "has no node after the @", f"Give {text}NODE"))
    return keyword


def parse_assignment(text: str, others: Sequence[str]) -> tuple[Keyword, str]:
    """KEYWORD=VALUE. Raises Problem."""
    keyword, separator, value = text.partition("=")
    if not separator:
        raise Problem(Fault("kw", text, "has no value", f"Give {text}=VALUE, or use unset"))
    return parse(keyword, others), value.strip()


def read(option: Option, keyword: Keyword, text: str) -> Any:
    """The value of a text. Raises Problem."""
    try:
        return option.read(text)
    except ValueError as error:
        raise Problem(Fault(str(keyword), text, "cannot be read", str(error))) from error


def read_scope(text: str, cluster_nodes: Sequence[str]) -> EveryNode | tuple[str, ...]:
    """A list of nodes: which ones a network is limited to."""
    if text.strip() in ("", EVERY_NODE):
        return EveryNode()
    return tuple(dict.fromkeys(words(CLUSTER_NODES.sub(_joined(cluster_nodes), text))))


def default(option: str) -> str:
    """What a keyword of a network is without being declared."""
    return NETWORK[option].write(getattr(Network(), NETWORK[option].column))


def _known(text: str, others: Sequence[str]) -> str:
    """The remedy for a keyword that is not known: the nearest one, and all."""
    section = text.partition(".")[0]
    name = section if section.startswith("network#") and len(section) > len("network#") else "network#NAME"
    known = [
        *others,
        *(f"{name}.{option}" for option in (*NETWORK, NODES)),
        *(f"{name}.{option}@NODE" for option in OVERRIDES),
    ]
    near = get_close_matches(
        text.partition("@")[0], [one.partition("@")[0] for one in known], n=1, cutoff=0.75
    )
    question = f"Did you mean {near[0]}? " if near else ""
    return f"{question}Known: {', '.join(known)}"
