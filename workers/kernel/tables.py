"""A table as nft lists it, taken apart, and the commands that bring it to another. Pure.

    listing -> blocks (sets, maps, chains) -> what differs -> transactions

What is alike stays, and so does a set whose elements change. Elements of a *new* set of intervals come into
force a fraction of a millisecond behind the rules of the same transaction that ask it (measured on Linux
6.18): meanwhile ``saddr != @set drop`` drops all. So new sets are there, and filled, before any rule is.

    1  new sets and maps, with their elements: nobody asks them yet
    2  chains emptied and filled again, elements out and in, chains and sets that are too many

Only where a set or chain is there as another kind is the whole table made anew, in one transaction.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from operator import itemgetter

BLOCK = re.compile(r"^\t(set|map|chain) (\w+) \{\n(.*?)^\t\}\n+", re.DOTALL | re.MULTILINE)
ELEMENTS = re.compile(r"^\t\telements = \{(.*?)\}\n", re.DOTALL | re.MULTILINE)
HOOK = re.compile(r"^\t\ttype .*$", re.MULTILINE)

Names = frozenset[tuple[str, str]]
"""Of elements: their map or set, and how nft writes them."""


@dataclass(frozen=True, slots=True)
class Block:
    """One set, map or chain."""

    kind: str
    name: str
    body: str
    """All its lines; of a set or map without the elements."""
    elements: Names

    @property
    def head(self) -> str:
        """What cannot change while it is there."""
        if self.kind != "chain":
            return self.body
        hook = HOOK.search(self.body)
        return hook[0] if hook else ""

    def __str__(self) -> str:
        listed = ", ".join(text for _, text in sorted(self.elements))
        filled = f"\t\telements = {{ {listed} }}\n" if listed else ""
        return f"\t{self.kind} {self.name} {{\n{self.body}{filled}\t}}\n"


Key = tuple[str, str]
"""Kind and name of a block."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A table as it is. In which order things came into it makes no difference."""

    blocks: dict[Key, Block]
    rest: str
    """What is left of the listing without them."""

    @property
    def rules(self) -> tuple[str, frozenset[tuple[str, str, str]]]:
        """All of it without the elements."""
        return self.rest, frozenset((block.kind, block.name, block.body) for block in self.blocks.values())

    @property
    def elements(self) -> Names:
        return _held(self.blocks.values())


@lru_cache(maxsize=8)
def parse(listing: str) -> Listed:
    """The table from nft's own listing; one that is not there is listed as ""."""
    blocks = {(kind, name): _block(kind, name, body) for kind, name, body in BLOCK.findall(listing)}
    return Listed(blocks, BLOCK.sub("", listing))


def alike(listing: str, other: str) -> bool:
    """Whether both are the same table."""
    return listing == other or parse(listing) == parse(other)


def elements(table: str, present: Names, wanted: Names) -> str:
    """Commands from some elements to others, for one transaction; empty: nothing to do."""
    gone, come = sorted(present - wanted), sorted(wanted - present)
    return "".join([*_elements("delete", table, gone), *_elements("add", table, come)])


def whole(table: str, text: str) -> str:
    """Commands that put ``text``, the definition of a table, in the place of what is there."""
    return f"table inet {table}\ndelete table inet {table}\n{text}"


def transactions(table: str, present: str, wanted: str) -> list[str]:
    """Commands from one listing to another, none of them empty."""
    old, new = parse(present).blocks, parse(wanted).blocks
    known = not present or parse(present).rest == parse(wanted).rest
    if not known or any(old[key].head != new[key].head for key in old.keys() & new.keys()):
        return [whole(table, wanted)]
    sets = [block for key, block in new.items() if key not in old and block.kind != "chain"]
    return [commands for commands in (_defined(table, sets), _changes(table, old, new)) if commands]


def _changes(table: str, old: dict[Key, Block], new: dict[Key, Block]) -> str:
    """From one to the other, but for the sets and maps that are new."""
    gone = [block for key, block in old.items() if key not in new]
    gone.sort(key=lambda block: block.kind != "chain")  # a set that a rule asks cannot go
    chains = [block for key, block in new.items() if block.kind == "chain" and block != old.get(key)]
    emptied = [block.name for key, block in old.items() if block.kind == "chain" and block != new.get(key)]
    kept = old.keys() & new.keys()
    return "".join(
        [
            *(f"flush chain inet {table} {name}\n" for name in emptied),
            *(f"delete {block.kind} inet {table} {block.name}\n" for block in gone),
            elements(table, _held(old[key] for key in kept), _held(new[key] for key in kept)),
            _defined(table, chains),
        ]
    )


def _held(blocks: Iterable[Block]) -> Names:
    return frozenset(element for block in blocks for element in block.elements)


def _defined(table: str, blocks: Iterable[Block]) -> str:
    text = "".join(map(str, blocks))
    return f"table inet {table} {{\n{text}}}\n" if text else ""


def _block(kind: str, name: str, body: str) -> Block:
    if kind == "chain":
        return Block(kind, name, body, frozenset())
    listed = (" ".join(text.split()) for found in ELEMENTS.findall(body) for text in found.split(","))
    return Block(kind, name, ELEMENTS.sub("", body), frozenset((name, text) for text in listed))


def _elements(verb: str, table: str, which: Iterable[tuple[str, str]]) -> Iterator[str]:
    for holder, named in groupby(which, key=itemgetter(0)):
        yield f"{verb} element inet {table} {holder} {{ {', '.join(text for _, text in named)} }}\n"
