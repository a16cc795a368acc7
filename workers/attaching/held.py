"""One attachment as the keeper knows it: what it is to be, how it is, when it is worked on, what is said.

waiting    looked for again soon, a little later each time
failed     tried again later and later
attached   looked at every look interval
releasing  not wanted any more: until DEL went through
"""

import math
import random
import time
from dataclasses import dataclass, replace

from workers.attaching.entry import Entry
from workers.holdings import ATTACHED, BROKEN, RELEASING, WAITING, Attachment, Standing

FIRST_POLL, LONGEST_POLL = 0.2, 3.0
"""Seconds between two looks for a container that is not up yet: the pause grows by half each time."""
FIRST_RETRY, LONGEST_RETRY = 1.0, 60.0
"""Seconds until what failed is tried again; doubled each time."""
MOST_TRIES = 20


@dataclass(slots=True)
class Held:
    """What is known of one attachment."""

    key: str
    entry: Entry | None = None
    standing: Standing | None = None
    wanted: Attachment | None = None
    """What it is to be, as far as a job was told; None: to be released."""
    judged: Attachment | None = None
    """What ``standing`` tells of; None: of what was taken back."""
    due: float = 0.0
    """When it is worked on next, as time.monotonic() counts; infinite while a job does."""
    tries: int = 0
    """In a row that did not attach it."""
    checked: float = 0.0
    """When the plugins were asked last."""
    renew: bool = False
    """Whether the next job attaches it anew."""

    @property
    def network(self) -> str:
        """Whose plugins are called next."""
        if self.entry:
            return self.entry.attachment.network
        return self.wanted.network if self.wanted else ""

    def want(self, wanted: Attachment | None) -> None:
        """It is to be something else from now on, and is worked on at once."""
        self.wanted, self.tries, self.due = wanted, 0, 0.0
        self.judged = self.judged if wanted else None

    def begins(self) -> None:
        """A job works on it."""
        self.due = math.inf

    def hurry(self) -> None:
        """There is a reason to work on it now; if a job does, once more behind that."""
        self.due = 0.0

    def stands(self, standing: Standing, interval: float) -> None:
        """How it is behind a job, and so when the next is due; ``interval``: seconds between two looks."""
        self.standing, self.judged = standing, self.wanted
        if self.due:
            self.due = time.monotonic() + self._pause(standing.state, interval)
        self.tries = 0 if standing.state == ATTACHED else min(self.tries + 1, MOST_TRIES)

    def _pause(self, state: str, interval: float) -> float:
        if state == ATTACHED:
            return interval * random.uniform(0.9, 1.0)
        if state == WAITING:
            return min(FIRST_POLL * 1.5**self.tries, LONGEST_POLL)
        if state == BROKEN and self.tries == 0:
            return 0.0
        return min(FIRST_RETRY * 2.0**self.tries, LONGEST_RETRY)

    def said(self, wanted: Attachment | None) -> Standing | None:
        """How it is with what is wanted now; None: nothing is known yet. One that is to be detached first,
        as it was asked for otherwise, is not passed off as what is wanted now; ports change where it is,
        and until they have it is as it was."""
        if wanted is None:
            return self._releasing()
        if self.standing is None or self.judged == wanted:
            return self.standing
        changes_where_it_is = self.judged and replace(self.judged, expose=wanted.expose) == wanted
        return replace(self.standing, pending=True) if changes_where_it_is else self._releasing()

    def _releasing(self) -> Standing:
        """Of one that was taken back; with what keeps it, when DEL failed."""
        known = self.standing or Standing(self.key, RELEASING)
        return known if known.state == RELEASING else replace(known, state=RELEASING, why="", remedy="")
