"""Somebody else undoes a repair as fast as it is made: slow down, and say so.

    up to LIMIT repairs of one object      at once, each
    more                                   a pause before the next, doubled up to LONGEST
    no repair at all for PEACE seconds     over, and counted from zero

The pause holds for the runs that events ask for, not for a new document or the timer, and it
counts from the last run: repairs that are rare anyway do not wait.
"""

import logging
from collections import Counter
from collections.abc import Hashable, Iterable

from workers.changes import Change
from workers.report import Finding

LIMIT = 20
PEACE = 10.0
FIRST = 0.1
LONGEST = 4.0

log = logging.getLogger("netadmin.agent")


class Damping:
    """Pure: the time comes from the caller, in seconds of one clock."""

    def __init__(self) -> None:
        self.pause = 0.0
        """Seconds to wait after a run before an event may lead to the next."""
        self.findings: tuple[Finding, ...] = ()
        self._counts: Counter[Hashable] = Counter()
        self._over = 0.0

    def note(self, repairs: Iterable[Change], now: float) -> None:
        """Count what an event made the worker repair."""
        self.calm(now)
        worn = []
        for change in repairs:
            key = (type(change.object), change.object.key)
            self._counts[key] += 1
            if self._counts[key] > LIMIT:
                worn.append(change)
            self._over = now + PEACE
        if worn:
            self.pause = min(max(self.pause * 2, FIRST), LONGEST)
            self._tell(worn[0])

    def calm(self, now: float) -> None:
        """Forget everything once there was peace for long enough."""
        if self._counts and now >= self._over:
            if self.findings:
                log.info("damping is over: no repair for %d s", PEACE)
            self.pause, self.findings = 0.0, ()
            self._counts.clear()

    def _tell(self, change: Change) -> None:
        if self.findings:
            return
        finding = Finding(
            "damped",
            change.object.network,
            str(change.object),
            f"was repaired {LIMIT} times in a row; repairs now wait up to {LONGEST:g} s",
            "Find out who changes it (ip monitor, nft monitor), and stop that",
        )
        log.warning("%s", finding)
        self.findings = (finding,)
