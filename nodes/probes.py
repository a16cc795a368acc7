"""What a node's probes found, as it is stored with its report.

Report.probes   by network and family: counts, ``failing`` (the pairs that are not up), and ``known``,
                sentences about those that failed when nothing was pending last; small, read for lists
Report.pairs    every pair that the node told of, for the matrix
"""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from workers.report import Pair, Probed

COUNTS = ("peers", "up", "mtu", "down", "pending")
FAILED = ("mtu", "down")

Summary = dict[str, Any]
"""network, family, peers, up, mtu, down, pending, size, rtt, failing, known."""


def summary(said: Iterable[Probed], held: Iterable[Summary]) -> list[Summary]:
    """``held`` is the summary of the report before: what was known stays so while pairs are pending."""
    known = {(one["network"], one["family"]): one["known"] for one in held}
    return [_summed(one, known.get((one.network, one.family), [])) for one in said]


def pairs(said: Iterable[Probed]) -> list[dict[str, Any]]:
    return [
        {"network": probed.network, "family": probed.family, **asdict(pair)}
        for probed in said
        for pair in probed.pairs
    ]


def failures(summaries: Iterable[Summary]) -> list[str]:
    """The pairs that are known to fail, a sentence each."""
    return sorted(sentence for one in summaries for sentence in one["known"])


def _summed(probed: Probed, known: list[str]) -> Summary:
    failing = [pair for pair in probed.pairs if pair.state in FAILED]
    if not probed.pending:
        known = [_sentence(probed, pair) for pair in failing]
    return {
        **{name: getattr(probed, name) for name in ("network", "family", *COUNTS, "size", "rtt")},
        "failing": [asdict(pair) for pair in failing],
        "known": known,
    }


def _sentence(probed: Probed, pair: Pair) -> str:
    return f"{probed.network} to {pair.peer} over IPv{probed.family} {pair.state}: {pair.why}"
