"""Which version may stay: a small machine without clock or disk.

    confirmed --begun(V)--> on trial --proved(V)----> V is confirmed
                               |
                               +------time is up----> V is refused, the confirmed one is in force

Times are seconds since 1970, given by the caller.
"""

import json
import math
from dataclasses import asdict, dataclass, replace

from workers import wire

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Standing:
    confirmed: str = ""
    """The last version with which the control plane was reached; empty: none yet."""
    trial: str = ""
    """The version that has to prove itself; empty: none."""
    seconds: float = 0.0
    """How long the trial lasts; of a refused version: how long it had."""
    deadline: float = 0.0
    """When the trial is over."""
    applied: bool = False
    """Whether the version on trial was carried out, so that its time counts from there."""
    refused: str = ""
    """The last version that was rolled back; it is not tried again."""

    def knows(self, version: str) -> bool:
        """Whether this version was ever carried out here; one that never was needs a trial."""
        return version in (self.confirmed, self.trial, self.refused)

    def begun(self, version: str, seconds: float, now: float) -> "Standing":
        """A version is about to be carried out. One that is on trial already gets no further time."""
        if version == self.trial:
            return self
        return replace(self, trial=version, seconds=seconds, deadline=now + seconds, applied=False)

    def ended(self, now: float) -> "Standing":
        """The version on trial was carried out, as far as it goes."""
        if not self.trial or self.applied:
            return self
        return replace(self, applied=True, deadline=now + self.seconds)

    def proved(self, version: str) -> "Standing":
        """The control plane was reached with this version, or it changed nothing that could prevent it."""
        return Standing(confirmed=version)

    def settled(self) -> "Standing":
        """No version is on trial any more: a confirmed one is in force again."""
        return replace(self, trial="", deadline=0.0, applied=False) if self.trial else self

    def remaining(self, now: float) -> float:
        """Seconds left of the trial; infinite without one. A clock that was set back makes it no longer."""
        return min(self.deadline - now, self.seconds) if self.trial else math.inf

    def rolled_back(self) -> "Standing":
        """The version on trial is refused from now on."""
        return replace(self.settled(), refused=self.trial)

    def dump(self) -> bytes:
        return json.dumps({"format": FORMAT, **asdict(self)}).encode()


def parse(body: bytes) -> Standing:
    """Raises WireError, which names the field."""
    standing: Standing = wire.load(Standing, body, FORMAT, "standing")
    return standing
