"""What a plan is made of: changes and conflicts.

An *owned* object is a frozen dataclass of one of the kinds (``kernel/*.py``,
``cni/confs.py``). Its ``key`` is what the kernel or the directory itself tells objects
apart by: two objects of one kind with equal keys cannot exist side by side.
"""

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from workers.report import Finding


class Owned(Protocol):
    """What every kind offers to the planner; ``str()`` names the object in a sentence."""

    @property
    def key(self) -> Hashable: ...

    @property
    def network(self) -> str:
        """The network it belongs to; empty: the node. Not part of equality."""
        ...

    @property
    def needs(self) -> str:
        """The device without which it cannot exist; empty: none."""
        ...


class Objects(Collection[Owned]):
    """Owned objects by key: a few, and collections of many that came with their keys already.

    The many are routes. As long as they are the same objects, nothing is done for each of them
    but in the comparison of one whole with another.
    """

    def __init__(self, few: Iterable[Owned], *many: Mapping[Hashable, Owned]) -> None:
        self.few = {one.key: one for one in few}
        self.many = many
        # Into an empty dictionary thousands of keys are copied in one piece.
        self.by_key: dict[Hashable, Owned] = {}
        for part in (*many, self.few):
            self.by_key.update(part)

    def __contains__(self, one: object) -> bool:
        return one in self.by_key.values()

    def __iter__(self) -> Iterator[Owned]:
        return iter(self.by_key.values())

    def __len__(self) -> int:
        return len(self.by_key)

    @classmethod
    def of(cls, objects: Iterable[Owned]) -> "Objects":
        return objects if isinstance(objects, Objects) else cls(objects)


@dataclass(frozen=True, slots=True)
class Foreign:
    """Somebody else's object with the key of one that is wanted."""

    key: Hashable
    text: str
    network: str = ""
    needs: str = ""

    def __str__(self) -> str:
        return self.text


class Verb(Enum):
    ADD = "add"
    CHANGE = "change"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Change:
    verb: Verb
    object: Owned
    """What is to be there; for REMOVE, what is there now."""
    was: Owned | None = None
    """For CHANGE: what is there now."""

    def __str__(self) -> str:
        return f"{self.verb.value} {self.object}" + (f" (was {self.was})" if self.was else "")


@dataclass(frozen=True, slots=True)
class Plan:
    """From observed to desired, in the order of apply; empty when nothing is to do."""

    changes: tuple[Change, ...] = ()
    findings: tuple[Finding, ...] = ()
    """Conflicts: somebody else's object is in the way. It is named and left alone."""

    def __bool__(self) -> bool:
        return bool(self.changes)
