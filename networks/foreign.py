"""Networks that nobody declared: CNI files of others, as the nodes report them.

The reference lists such a file with type and network ``undef`` and size 1. A file that gives its
network the name of a declared one is not listed: its node reports it as a problem.
"""

from collections import defaultdict
from dataclasses import dataclass

from networks.models import Network
from nodes.models import Report

UNDEFINED = "undef"
SIZE = 1


@dataclass(frozen=True, slots=True)
class ForeignNetwork:
    name: str
    files: tuple[tuple[str, str], ...]
    """Node and path of each file, in cluster order."""

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(node for node, _ in self.files))

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(path for _, path in self.files))


def listed() -> list[ForeignNetwork]:
    """By name. Two queries."""
    declared = set(Network.objects.values_list("name", flat=True))
    rows = Report.objects.exclude(foreign={}).order_by("node__position")
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for node, files in rows.values_list("node__name", "foreign"):
        for path, name in sorted(files.items()):
            if name not in declared:
                found[name].append((node, path))
    return [ForeignNetwork(name, tuple(found[name])) for name in sorted(found)]
