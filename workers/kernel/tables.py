"""A table as nft lists it, taken apart, and the commands that bring it to another. Pure.

    listing -> blocks (sets, maps, chains) -> what differs -> transactions

What is alike stays, and so does a set whose elements change. Elements of a set come into force a fraction of
a millisecond before or behind the rules of the same transaction (measured on Linux 6.18, most with sets of
intervals): meanwhile ``saddr != @set drop`` drops what it must not. So no rule comes with what it asks:

    1  new sets and maps, with their elements; of others the elements, where some come
    2  chains emptied and filled again; chains and sets that are too many
    3  elements of sets of which some go, and none comes

Where a set or chain is there as another kind, or with elements that we never write, the whole table is made
anew, in one transaction. (nft 1.0.6 crashes when it is to delete some of those.)
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from operator import itemgetter

BLOCK = re.compile(r"^\t(set|map|chain) (\w+) \{\n(.*?)^\t\}\n+", re.DOTALL | re.MULTILINE)
ELEMENTS = re.compile(r"^\t\telements = \{(.*?)\}\n", re.DOTALL | re.MULTILINE)
HEAD = re.compile(r"^\t\t(?:comment|type) .*$", re.MULTILINE)
PART = r"""(?:"[\w.@:-]+"|[\w.:/-]+)"""
PLAIN = re.compile(rf"{PART}(?: [.:] {PART})*")
"""An element as we write it: an address, a range, a device, or several joined."""

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
        return "\n".join(HEAD.findall(self.body)) if self.kind == "chain" else self.body

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
    def elements(self) -> Names:
        return _held(self.blocks.values())

    def holding(self, elements: Names) -> "Listed":
        """The same with these elements, and no others."""
        by_holder: dict[str, set[tuple[str, str]]] = {}
        for element in elements:
            by_holder.setdefault(element[0], set()).add(element)
        filled = {
            key: replace(block, elements=frozenset(by_holder.get(block.name, ())))
            for key, block in self.blocks.items()
        }
        return Listed(filled, self.rest)

    def __str__(self) -> str:
        """The definition of the table."""
        return self.rest.removesuffix("}\n") + "".join(map(str, self.blocks.values())) + "}\n"


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


def transactions(table: str, present: Listed, wanted: Listed) -> list[str]:
    """Commands from one to the other, none of them empty."""
    old, new = present.blocks, wanted.blocks
    if not _changes_in_place(present, wanted):
        return [whole(table, str(wanted))]
    fresh = [block for key, block in new.items() if key not in old and block.kind != "chain"]
    pairs = [(old[key].elements, new[key].elements) for key in new if key in old]
    growing = [pair for pair in pairs if pair[1] - pair[0]]
    shrinking = [pair for pair in pairs if not pair[1] - pair[0]]
    steps = (
        _defined(table, fresh) + _moved(table, growing),
        _chains(table, old, new),
        _moved(table, shrinking),
    )
    return [commands for commands in steps if commands]


def _changes_in_place(present: Listed, wanted: Listed) -> bool:
    """Whether nothing is there that can only go with the whole table."""
    old, new = present.blocks, wanted.blocks
    if present.rest not in ("", wanted.rest):
        return False
    if any(old[key].head != new[key].head for key in old.keys() & new.keys()):
        return False
    return all(PLAIN.fullmatch(text) for _, text in present.elements)


def _chains(table: str, old: dict[Key, Block], new: dict[Key, Block]) -> str:
    """Those that differ, and whatever is too much: a set that a rule asks cannot go before it."""
    gone = sorted(
        (block for key, block in old.items() if key not in new), key=lambda one: one.kind != "chain"
    )
    emptied = [block.name for key, block in old.items() if block.kind == "chain" and block != new.get(key)]
    filled = [block for key, block in new.items() if block.kind == "chain" and block != old.get(key)]
    return "".join(
        [
            *(f"flush chain inet {table} {name}\n" for name in emptied),
            *(f"delete {block.kind} inet {table} {block.name}\n" for block in gone),
            _defined(table, filled),
        ]
    )


def _moved(table: str, pairs: Iterable[tuple[Names, Names]]) -> str:
    """The elements of sets from what they are to what they are to be."""
    return "".join(elements(table, present, wanted) for present, wanted in pairs)


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
