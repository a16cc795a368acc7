"""What somebody asks for: the keywords of one network, as every entrance hands them in."""

from dataclasses import dataclass, field
from typing import Any

OVERRIDES = ("subnet", "addr", "gateway", "network")
"""Keywords that may differ per node (``kw@NODE``)."""


class EveryNode:
    """Scope: every node of the cluster, also those that join later."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """Keywords that are given; what is not given keeps its value (or its default)."""

    values: dict[str, Any] = field(default_factory=dict)
    """Columns of Network by name."""
    scope: "EveryNode | tuple[str, ...] | None" = None
    """Every node, these nodes, or None: not given."""
    per_node: dict[str, dict[str, str]] = field(default_factory=dict)
    """Node name to its overrides (keywords of OVERRIDES); an empty text takes one back."""
