"""What really comes back: a few echoes, small and full, to all destinations of a question at once.

    small and full, twice -> full is lost? sizes between, until the largest that passes is known

A packet of ours that is too large says so by itself on the way (ICMP), so that size is tried
first; where nobody says anything, the sizes between are narrowed down.
"""

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from workers.explained import Crossing, Echo
from workers.probing import icmp
from workers.probing.echoes import Echoes, Heard
from workers.probing.trial import rungs

VOLLEYS = 3
APART = 0.25
"""Seconds between two volleys, and that the last one is waited for: an address is asked for first."""
PATIENCE = 1.0
"""Seconds that nothing at all is waited for."""
LADDERS = 4
STEP = 0.15
"""Seconds that a ladder is waited for, beside three round trips."""


@dataclass(slots=True)
class _Trial:
    echo: Echo
    sent: int = 0
    trips: list[float] = field(default_factory=list)
    """Milliseconds, of small packets."""
    largest: int = 0
    tried: set[int] = field(default_factory=set)
    hint: int = 0
    """What somebody on the way says that fits."""
    said: str = ""

    @property
    def small(self) -> int:
        return icmp.SMALLEST[6 if ":" in self.echo.destination else 4]

    @property
    def full(self) -> bool:
        return self.largest >= self.echo.size

    @property
    def lost(self) -> int:
        """The smallest size that did not come back, above all that did."""
        return min((size for size in self.tried if size > self.largest), default=self.echo.size)

    @property
    def narrow(self) -> bool:
        """Some come back, the full one does not, and it is not known yet from where on."""
        return bool(self.largest) and not self.full and self.lost - self.largest > 1

    @property
    def crossing(self) -> Crossing:
        return Crossing(
            source=self.echo.source,
            destination=self.echo.destination,
            sent=self.sent,
            received=len(self.trips),
            rtt=round(min(self.trips, default=0.0), 3),
            size=self.echo.size,
            largest=self.largest,
            said="" if self.full else self.said,
        )


def cross(echoes: Iterable[Echo]) -> tuple[Crossing, ...]:
    """Try them; takes about a second where something does not come back, else some milliseconds."""
    trials = [_Trial(echo) for echo in echoes]
    if trials:
        with Echoes() as door:
            _Crossings(door, trials).run()
    return tuple(trial.crossing for trial in trials)


class _Crossings:
    def __init__(self, door: Echoes, trials: list[_Trial]) -> None:
        self.door, self.trials = door, trials
        self._sent: dict[int, tuple[_Trial, int, int]] = {}
        """Number of an echo to its trial, size and time."""

    def run(self) -> None:
        for volley in range(VOLLEYS):
            left = [trial for trial in self.trials if not trial.full]
            if not left:
                return
            for trial in left:
                trial.sent += 1
                for size in dict.fromkeys((trial.small, trial.echo.size)):
                    self._send(trial, size)
            self._hear(left, PATIENCE if volley == VOLLEYS - 1 else APART)
        for _ in range(LADDERS):
            narrowed = [trial for trial in self.trials if trial.narrow]
            if not narrowed:
                return
            for trial in narrowed:
                for size in _between(trial):
                    self._send(trial, size)
            self._hear(narrowed, STEP + 3 * max(min(trial.trips, default=0.0) for trial in narrowed) / 1000)

    def _send(self, trial: _Trial, size: int) -> None:
        number = len(self._sent) + 1
        trial.tried.add(size)
        try:
            at = self.door.send(number, trial.echo.destination, trial.echo.source, size)
        except OSError as error:
            trial.said = os.strerror(error.errno or 0)
            return
        self._sent[number] = (trial, size, at)

    def _hear(self, wanted: Sequence[_Trial], seconds: float) -> None:
        """Until the full packet of each came back, or for so long."""
        end = time.monotonic() + seconds
        never = os.eventfd(0, os.EFD_CLOEXEC)
        try:
            while (left := end - time.monotonic()) > 0 and (
                not wanted or any(not one.full for one in wanted)
            ):
                self.door.wait(left, never)
                for heard in self.door.received():
                    self._note(heard)
        finally:
            os.close(never)

    def _note(self, heard: Heard) -> None:
        trial, size, at = self._sent[heard.answer.number]
        if error := heard.answer.error:
            trial.said = f"{error.by}: {error.kind}" + (f", {error.mtu} bytes fit" if error.mtu else "")
            trial.hint = error.mtu or trial.hint
            return
        trial.largest = max(trial.largest, size)
        if size == trial.small:
            trial.trips.append((heard.at - at) / 1_000_000)


def _between(trial: _Trial) -> list[int]:
    """Sizes that tell how large a packet passes: what was hinted at, and evenly from the largest that did."""
    low, high = trial.largest, trial.lost
    hinted = [size for size in (trial.hint, trial.hint + 1) if low < size < high]
    return list(dict.fromkeys([*hinted, *rungs(low, high)]))
