"""The table of ``make bench``: ours, what stands beside it in the same run, the ratio, what it must be.

head -> row, row, ... -> settle: status 1 when one is not what it must be
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

Pair = tuple[float, float]
"""Ours, and what stands beside it."""

MISSED = "NOT MET: "
"""How a line begins that names a row that is not what it must be."""
missed: list[str] = []
"""Of this process."""


@dataclass(frozen=True)
class Bound:
    """How good a measure must be and should be: as a ratio, or as a figure of its own in ``unit``."""

    beside: str
    must: float | None
    """None: it is only told."""
    aim: float | None = None
    absolute: bool = False
    unit: str = "ms"
    at_least: bool = False
    """More is better: of a rate."""


def head(of: str = "peers") -> None:
    names = f"{'netadmin':>12}  {'beside it':>12}  {'ratio':>6}  {'must':>8}  {'aim':>8}"
    print(f"{of:>6}  {'measure':10} {names}")


def row(peers: int, name: str, pairs: Sequence[Pair], bound: Bound) -> None:
    """Medians over the rounds; in milliseconds from seconds."""
    scale = 1000 if bound.unit == "ms" else 1
    ours, theirs = (median(side) * scale for side in zip(*pairs, strict=True))
    ratio = ours / theirs if theirs else 0.0
    measured = ours if bound.absolute else ratio
    met = _is_met(measured, bound)
    if not met:
        missed.append(f"{peers} {name}: {_sentence(measured, bound)}")
    print(
        f"{peers:>6}  {name:10} {ours:>9.2f} {bound.unit}  {theirs:>9.2f} {bound.unit}  {ratio:>6.2f}"
        f"  {_bound(bound.must, bound):>8}  {_bound(bound.aim, bound):>8}  {'' if met else 'NOT MET '}"
        f"beside: {bound.beside}",
        flush=True,
    )


def settle() -> None:
    """The last call of a benchmark: names what was missed, and ends the process with status 1."""
    if missed:
        print("\n".join(f"{MISSED}{sentence}" for sentence in missed), flush=True)
        sys.exit(1)


def _is_met(measured: float, bound: Bound) -> bool:
    if bound.must is None:
        return True
    return measured >= bound.must if bound.at_least else measured <= bound.must


def _sentence(measured: float, bound: Bound) -> str:
    what = f"{measured:.2f} {bound.unit}" if bound.absolute else f"{measured:.2f} of {bound.beside}"
    return f"{what}, must be at {'least' if bound.at_least else 'most'} {_bound(bound.must, bound)}"


def _bound(value: float | None, bound: Bound) -> str:
    if value is None:
        return "-"
    return f"{value:g} {bound.unit}" if bound.absolute else f"{value:g}"
