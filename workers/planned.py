"""The answer to a question of kind ``plan``: what a node would do for a draft.

question  {"head": the document's head for this node, with its peer lists by digest}
answer    ``Planned``; standard library only, as both sides read it
"""

from dataclasses import dataclass

from workers.report import Finding

MOST_STEPS = 200
"""Changes told one by one; all are counted."""
MOST_FINDINGS = 100
LEVELS = ("cut", "interrupt", "note")
"""How bad a risk is, the worst first: the node loses the control plane; somebody's traffic stops; worth
knowing, and nobody loses a packet."""


@dataclass(frozen=True, slots=True)
class Step:
    """One change, as an apply would carry it out."""

    verb: str
    """``add``, ``change`` or ``remove``."""
    kind: str
    """``bridge``, ``address``, ``route`` ..."""
    object: str
    network: str = ""
    """Empty: the node."""
    was: str = ""

    @property
    def before(self) -> str:
        """What was there, if its name tells it from what is to be there."""
        return self.was if self.was != self.object else ""

    def __str__(self) -> str:
        """The sentence in which the apply reports it."""
        return f"{self.verb} {self.object}" + (f" (was {self.was})" if self.was else "")


@dataclass(frozen=True, slots=True)
class Count:
    """How many changes of one sort there are."""

    verb: str
    kind: str
    network: str
    number: int


@dataclass(frozen=True, slots=True)
class Risk:
    """What a change would do to traffic that is there now."""

    level: str
    code: str
    """Short and stable, for scripts."""
    network: str
    subject: str
    """The change, or the first of them."""
    why: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.why}. {self.remedy}"


@dataclass(frozen=True, slots=True)
class Planned:
    version: str
    """Of the document that was planned for."""
    steps: tuple[Step, ...] = ()
    """In the order of an apply; at most ``MOST_STEPS``."""
    counts: tuple[Count, ...] = ()
    findings: tuple[Finding, ...] = ()
    """What would be in the way or missing; at most ``MOST_FINDINGS``."""
    risks: tuple[Risk, ...] = ()
    """The worst first."""
    milliseconds: float = 0.0

    @property
    def total(self) -> int:
        return sum(count.number for count in self.counts)

    @property
    def worst(self) -> str:
        """The level of the worst risk; empty: there is none."""
        return next((level for level in LEVELS if any(risk.level == level for risk in self.risks)), "")
