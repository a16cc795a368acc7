"""The reference's computed cases (tests/vectors), handed in as an operator would: as keywords."""

import json
from pathlib import Path
from typing import Any

from networks import declare, membership
from networks.declaration import Declaration, EveryNode
from networks.models import BUILT_IN, Network

VECTORS = Path(__file__).parent.parent / "vectors"
NUMBERS = ("ips_per_node", "mtu")


def load(name: str) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads((VECTORS / f"{name}.json").read_text())["cases"]
    return cases


def add_nodes(names: list[str]) -> None:
    for number, name in enumerate(names, 1):
        membership.add(name, by="ada", addresses=[f"192.0.2.{number}"])


def declared(name: str, keywords: dict[str, str]) -> Network:
    """One network of a case; ``kw@NODE`` is an override of that node."""
    values: dict[str, Any] = {}
    per_node: dict[str, dict[str, str]] = {}
    for keyword, value in keywords.items():
        bare, _, node = keyword.partition("@")
        if node:
            per_node.setdefault(node, {})[bare] = value
        else:
            values[bare] = int(value) if bare in NUMBERS and value.lstrip("-").isdecimal() else value
    wanted = Declaration(values, EveryNode(), per_node)
    if name in BUILT_IN:
        return declare.change(name, wanted, by="oscar")
    return declare.declare(name, wanted, by="oscar")
