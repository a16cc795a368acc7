"""What is told of a version that was rolled back."""

from workers.document import Document
from workers.report import Finding

MOST = 8
"""Networks up to which it is told for each; beyond, once for the node."""


def findings(refused: Document, kept: Document, seconds: float, url: str) -> tuple[Finding, ...]:
    """For each network that the version would have changed; for the node when that tells nothing.

    ``kept`` is in force in its place; ``seconds`` is how long ``url`` was not reached.
    """
    names = _changed(refused, kept)
    why = f"was rolled back, as {url} could not be reached for {seconds:g} s after it was applied"
    remedy = (
        "Change what is declared so that the control plane stays in reach, or try it again: "
        f"manage.py node retry {refused.node}"
    )
    return tuple(
        Finding("rolled-back", name, f"version {refused.version[:12]}", why, remedy)
        for name in (names if 0 < len(names) <= MOST else [""])
    )


def _changed(one: Document, other: Document) -> list[str]:
    """Names of the networks that come, go or are otherwise."""
    here, there = ({network.name: network for network in of.networks} for of in (one, other))
    return sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))
