"""A tree with columns, as the reference draws it.

name         type           network
|- backend   routed_bridge  10.40.0.0/16
|  `- ip     node           service
|     `- ..
`- lo        loopback       127.0.0.1/32
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netadmin.commandline import table


@dataclass(frozen=True, slots=True)
class Branch:
    cells: Sequence[str]
    """The first one is the name in the tree."""
    branches: Sequence["Branch"] = ()


def draw(header: Sequence[str], branches: Sequence[Branch]) -> str:
    """All lines share the columns of the header."""
    rows = [list(header), *_rows(branches, "")]
    return table([row + [""] * (len(header) - len(row)) for row in rows])


def _rows(branches: Sequence[Branch], indent: str) -> Iterator[list[str]]:
    for place, branch in enumerate(branches):
        last = place == len(branches) - 1
        name, *cells = branch.cells
        yield [f"{indent}{'`-' if last else '|-'} {name}", *cells]
        yield from _rows(branch.branches, indent + ("   " if last else "|  "))
