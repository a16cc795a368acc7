"""Who is tried when.

    new, or reached another way   at once, fresh
    not up                        every few seconds; of many, more seldom
    up                            every interval; of more than SAMPLE, so many in turn

Pure: the time is given, in seconds of a monotonic clock.
"""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from workers.probing.targets import Key, Target
from workers.report import MOST_PAIRS, Pair, Probed

SAMPLE = 256
"""Pairs that are up of which each round tries all."""
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 5.0
"""Seconds between two trials of a pair that is not up; the longer it is not, the longer."""
PER_SECOND = 32
"""Pairs that are not up of which each second tries one more; with very many the pauses grow."""
UNDER_WAY = math.inf
SETTLE = 1.0
"""Seconds between two rounds at least, however often something is repaired."""


@dataclass(slots=True)
class Standing:
    """What is known of one pair."""

    target: Target
    pair: Pair
    due: float
    """When it is tried next; of a pair that is up, the next round decides. UNDER_WAY: it is being tried."""
    failures: int = 0

    @property
    def up(self) -> bool:
        return self.pair.state == "up"


class Schedule:
    def __init__(self) -> None:
        self.interval = 0.0
        """Seconds between two rounds; 0: there are none."""
        self._pairs: dict[Key, Standing] = {}
        self._ups: list[Key] = []
        """In the order in which rounds try them."""
        self._round = 0.0
        self._last_round = 0.0
        self._earliest = 0.0
        """Nobody is due before."""
        self._failing = 0
        """Pairs that are not up, as of the last round or trial of one."""

    def aim(self, targets: Iterable[Target], interval: float, now: float) -> None:
        """These are all there are now; what is known of one that stays as it was is kept."""
        before = self._pairs
        self._pairs = {target.key: self._standing(before, target, now) for target in targets}
        self._ups = [key for key, standing in self._pairs.items() if standing.up]
        if interval != self.interval or not before:
            self._round = now + interval
        self.interval = interval
        self._earliest = now

    def soon(self, now: float) -> None:
        """Something was changed on the node: the next round comes at once."""
        self._round = min(self._round, max(now, self._last_round + SETTLE))
        self._earliest = min(self._earliest, self._round)

    def due(self, now: float) -> list[Standing]:
        """Who is to be tried now, each once."""
        if not (self.interval and self._pairs) or now < self._earliest:
            return []
        found = [one for one in self._pairs.values() if not one.up and one.due <= now]
        if now >= self._round:
            self._last_round, self._round = now, now + self.interval
            found += self._sample()
        for standing in found:
            standing.due = UNDER_WAY
        rest = [one.due for one in self._pairs.values() if not one.up]
        self._failing = len(rest)
        self._earliest = min([self._round, *rest])
        return found

    def put_off(self, now: float, *targets: Target) -> None:
        """These, or all that are being tried, were not judged: they are tried again later."""
        keys = [target.key for target in targets] or list(self._pairs)
        for standing in (self._pairs[key] for key in keys):
            if standing.due == UNDER_WAY:
                standing.due = now + FIRST_PAUSE
        self._earliest = min(self._earliest, now + FIRST_PAUSE)

    def next(self) -> float | None:
        """When somebody is due, if nothing changes before; None: nobody ever."""
        if not (self.interval and self._pairs):
            return None
        return self._earliest

    def judged(self, target: Target, pair: Pair, now: float) -> bool:
        """Note the verdict about a target; False: it is no longer one."""
        standing = self._pairs.get(target.key)
        if standing is None or standing.target != target:
            return False
        standing.pair = pair
        standing.failures = 0 if standing.up else standing.failures + 1
        standing.due = now + self._pause(standing)
        self._earliest = min(self._earliest, standing.due)
        return True

    def probed(self) -> tuple[Probed, ...]:
        """How all pairs stand, by network and family."""
        groups: dict[tuple[str, int], list[Standing]] = defaultdict(list)
        for (network, family, _), standing in self._pairs.items():
            groups[network, family].append(standing)
        return tuple(_summed(*key, group) for key, group in sorted(groups.items()))

    def _standing(self, before: dict[Key, Standing], target: Target, now: float) -> Standing:
        held = before.get(target.key)
        if held is not None and held.target == target:
            return held
        return Standing(target, Pair(target.peer, "pending", way=target.way), now)

    def _sample(self) -> list[Standing]:
        """The next ones that are up, in turn."""
        self._ups = [key for key in self._ups if self._pairs[key].up]
        known = set(self._ups)
        self._ups += [key for key, standing in self._pairs.items() if standing.up and key not in known]
        chosen, self._ups = self._ups[:SAMPLE], self._ups[SAMPLE:] + self._ups[:SAMPLE]
        return [self._pairs[key] for key in chosen if self._pairs[key].due != UNDER_WAY]

    def _pause(self, standing: Standing) -> float:
        if standing.up:
            return self.interval
        crowd = self._failing / PER_SECOND
        pause = min(FIRST_PAUSE * 1.5 ** min(standing.failures - 1, 10), LONGEST_PAUSE)
        return min(max(pause, crowd), max(self.interval, FIRST_PAUSE))


def _summed(network: str, family: int, group: list[Standing]) -> Probed:
    pairs = [standing.pair for standing in group]
    states = [pair.state for pair in pairs]
    shown = pairs if len(pairs) <= MOST_PAIRS else [pair for pair in pairs if pair.state != "up"]
    trips = [pair.rtt for pair in pairs if pair.state == "up" and pair.rtt]
    return Probed(
        network=network,
        family=family,
        peers=len(pairs),
        up=states.count("up"),
        mtu=states.count("mtu"),
        down=states.count("down"),
        pending=states.count("pending"),
        size=min(standing.target.size for standing in group),
        rtt=round(median(trips), 3) if trips else 0.0,
        pairs=tuple(shown[:MOST_PAIRS]),
    )
