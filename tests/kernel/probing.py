"""A node's prober in a test: aimed at networks as an agent would, and what it found."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

from lab.waiting import until
from tests.kernel.cluster import Declared, Underlay
from workers.probing.prober import Prober
from workers.report import Pair, Probed

WITHIN = 15.0
"""Seconds until a pair is called down, at most; up takes milliseconds."""


class Probing:
    """The prober of one node of an underlay, aimed at a network as its agent would."""

    def __init__(self, underlay: Underlay, number: int) -> None:
        self.underlay, self.number = underlay, number
        self.woken = 0
        self.prober = Prober(self._wake)
        with underlay.nodes[number].namespace.entered():
            self.prober.start()

    def _wake(self) -> None:
        self.woken += 1

    def aim(self, *networks: Declared, interval: float = 1.0, changed: bool = False) -> None:
        node = self.underlay.nodes[self.number]
        document = dataclasses.replace(
            self.underlay.document(self.number, *networks), probe_interval=interval
        )
        with node.namespace.entered():
            host = node.look(document).host
        self.prober.aim(document, host, changed)

    def judged(self, within: float = WITHIN) -> tuple[Probed, ...]:
        """What is known once nothing is pending."""
        until(
            lambda: self.prober.probed and not any(one.pending for one in self.prober.probed),
            what="all pairs are judged",
            within=within,
        )
        return self.prober.probed

    def pairs(self, within: float = WITHIN) -> list[Pair]:
        return [pair for probed in self.judged(within) for pair in probed.pairs]


@contextmanager
def probing(underlay: Underlay, number: int = 1) -> Iterator[Probing]:
    one = Probing(underlay, number)
    try:
        yield one
    finally:
        one.prober.stop()
        one.prober.join()
