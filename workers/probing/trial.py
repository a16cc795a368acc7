"""One trial of one pair: which echoes go out when, until it is clear what passes.

    volley ... volley          to the peer's own address, small, full; until a full one comes back: up
       |  nothing comes back      -> down
       `- only small ones do      -> ladders of sizes between the two, each narrower -> mtu

Pure: the time is given, in seconds of a monotonic clock. A pair that is new gets more volleys, as
its peer may carry out the same declaration a little later; one that was up is not called down
for a lost packet; one that was down is only asked whether it still is.
"""

from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

from workers.probing.icmp import SMALLEST, Error
from workers.probing.targets import Target

VOLLEYS = {
    "pending": (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 2.5, 3.5, 4.5),
    "up": (0.0, 0.02, 0.04, 0.5, 1.0),
    "mtu": (0.0, 0.02, 0.04, 0.5, 1.0),
    "down": (0.0, 0.3),
}
"""Seconds from the start of a trial, by how the pair stood before."""
MEASURED = 3
"""Volleys that measure the loss of a pair that was reached before; full echoes go with the first one."""
PATIENCE = 1.0
"""Seconds to wait for the last echoes."""
LADDER = 16
"""Sizes that are tried at once between the largest that passed and the smallest that did not."""
STEP = 0.2
"""Seconds for the echoes of a ladder, and some round trips more."""


class Echo(NamedTuple):
    """One echo to send."""

    address: str
    source: str
    """Empty: the kernel chooses."""
    size: int
    """Bytes of the IP packet."""


@dataclass(slots=True)
class Trial:
    target: Target
    start: float
    before: str = "pending"
    """How the pair stood."""
    largest: int = 0
    """The largest packet that passed the last time: tried again, with the next size, if it stood ``mtu``."""
    sent: int = 0
    """Small echoes."""
    trips: list[float] = field(default_factory=list)
    """Milliseconds, of the small echoes that came back."""
    passed: set[int] = field(default_factory=set)
    """Sizes that came back."""
    answered: bool = False
    """The peer's own address did."""
    refused: int = 0
    """Error number with which the kernel refused the last small echo; 0: it sent it."""
    errors: list[Error] = field(default_factory=list)
    """What others on the way said."""
    _volleys: int = 0
    _heard_at: float = 0.0
    _tried: set[int] = field(default_factory=set)
    """Sizes that had their time, or have it now."""
    _ladder_ends: float = 0.0

    @property
    def small(self) -> int:
        return SMALLEST[self.target.family]

    @property
    def up(self) -> bool:
        return self.target.size in self.passed

    @property
    def reached(self) -> bool:
        """Anything came back."""
        return bool(self.passed)

    @property
    def best(self) -> int:
        """The largest packet that passed."""
        return max(self.passed, default=0)

    @property
    def loss(self) -> float:
        """Of the small echoes. What was lost before the peer was reached at all does not count."""
        if self.reached and not self._measures:
            return 0.0
        return round(1 - len(self.trips) / self.sent, 3) if self.sent else 0.0

    @property
    def rtt(self) -> float:
        """Milliseconds."""
        return round(median(self.trips), 3) if self.trips else 0.0

    def due(self, now: float) -> list[Echo]:
        """The echoes to send now."""
        if now >= self._deadline:
            return self._ladder(now) if self._narrowing(now) else []
        passed = sum(now >= self.start + offset for offset in self._offsets)
        if passed <= self._volleys:
            return []
        self._volleys = passed
        return self._volley()

    def next(self) -> float:
        """When to look at it again, if nothing comes back before."""
        if self._ladder_ends:
            return self._ladder_ends
        coming = [self.start + offset for offset in self._offsets[self._volleys : self._volleys + 1]]
        return min([self._deadline, *coming])

    def heard(self, echo: Echo, milliseconds: float, now: float) -> None:
        """An echo came back."""
        if echo.address != self.target.address:
            self.answered = True
            return
        if not self.reached:
            self._heard_at = now
        self.passed.add(echo.size)
        if echo.size == self.small:
            self.trips.append(milliseconds)

    def told(self, echo: Echo, error: Error) -> None:
        """Somebody on the way could not pass an echo on."""
        if echo.address == self.target.address and error not in self.errors:
            self.errors.append(error)

    def could_not_send(self, echo: Echo, number: int) -> None:
        """The kernel refused an echo."""
        if echo.address == self.target.address and echo.size == self.small:
            self.refused = number

    def over(self, now: float) -> bool:
        """Whether it is clear how the pair stands."""
        if self.up:
            measured = self._volleys >= MEASURED and len(self.trips) == self.sent
            return measured or not self._measures or now >= self._deadline
        if now < self._deadline or not self.reached:
            return now >= self._deadline
        return now >= self._ladder_ends and self._lost - self.best <= 1

    @property
    def _measures(self) -> bool:
        """It was reached before: now its loss counts."""
        return self.before in ("up", "mtu")

    @property
    def _offsets(self) -> tuple[float, ...]:
        return VOLLEYS[self.before]

    @property
    def _deadline(self) -> float:
        """When the volleys have had their time."""
        return (self._heard_at if self.reached else self.start + self._offsets[-1]) + PATIENCE

    @property
    def _lost(self) -> int:
        """The smallest size, above all that passed, that did not."""
        return min((size for size in self._tried if size > self.best), default=self.target.size)

    def _volley(self) -> list[Echo]:
        self.refused = 0
        self.sent += 1
        echoes = [] if self.reached or not self.target.underlay else [self._own()]
        echoes.append(self._echo(self.small))
        if not self.up and not (self._measures and 1 < self._volleys <= MEASURED):
            known = (self.largest, self.largest + 1) if self.before == "mtu" else ()
            echoes += [self._echo(size) for size in (self.target.size, *known) if size > self.small]
        return echoes

    def _own(self) -> Echo:
        """To the peer's own address; it goes first. The kernel asks who has the next hop in the name of the
        packet that made it ask; in the name of a bridge the peer would not learn where this node is."""
        return Echo(self.target.underlay, "", self.small)

    def _narrowing(self, now: float) -> bool:
        """Small packets pass, the full one had its time, and where the limit is, is not clear yet."""
        unclear = self._lost - self.best > 1
        return self.reached and not self.up and unclear and now >= self._ladder_ends

    def _ladder(self, now: float) -> list[Echo]:
        self._ladder_ends = now + STEP + 3 * self.rtt / 1000
        return [self._echo(size) for size in rungs(self.best, self._lost)]

    def _echo(self, size: int) -> Echo:
        self._tried.add(size)
        return Echo(self.target.address, self.target.source, size)


def rungs(best: int, lost: int) -> list[int]:
    """At most LADDER sizes between the two, evenly."""
    room = lost - best - 1
    count = min(LADDER, room)
    return [best + (room + 1) * number // (count + 1) for number in range(1, count + 1)]
