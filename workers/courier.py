"""The thread that talks to the control plane, so that no repair ever waits for HTTP.

    ask(reason)  -> GET  -> verified -> cache -> desired -> wake(reasons)
                         -> a header says that questions wait -> questioned()
                         -> a header says what it must hold    -> held(version)
    post(report) -> one slot, the newest wins -> POST, again until it is taken

An answer of any kind also confirms the version that is on trial (``confirm``): usually that to the
first report after the apply. One back-off serves both: while the control plane is away the node
keeps its network, and what was done meanwhile is told when it is back.
"""

import dataclasses
import logging
import random
import threading
import time
from collections.abc import Callable

from workers import cache, report
from workers.cache import Cache
from workers.confirm import Confirm
from workers.control import Away, Control, ControlError, Denied, Gone, Refused, Silent
from workers.desired import Desired
from workers.document import Document, DocumentError
from workers.report import Finding, Report

LONGEST_PAUSE = 30.0
"""Seconds between two attempts while the control plane is away; the first pause is half a second."""
TRIAL_PAUSE = 1.0
"""Seconds between two attempts while a version is on trial."""
ATTEMPTS = 4
"""A request of a trial waits for its answer no longer than this part of the trial."""
AT_ONCE = {"wake-up", "rolled-back"}
"""Reasons to ask for which a back-off ends."""
BETWEEN_REPORTS = 0.5
"""Seconds, but for the first one of a new version and the first one that knows whether its packets
cross: containers that come and go by the dozen make one report, not dozens."""
SENTENCES = 1000
"""How many changes of reports that were not taken are carried over to the next."""

log = logging.getLogger("netadmin.control")


class Courier(threading.Thread):
    """``ask``, ``post`` and ``stop`` are for any thread; a request under way is not waited for."""

    def __init__(
        self,
        control: Control,
        store: Cache,
        confirm: Confirm,
        desired: Desired,
        wake: Callable[[set[str]], None],
        questioned: Callable[[], None],
        held: Callable[[int], None],
    ) -> None:
        super().__init__(name="courier", daemon=True)
        self.desired = desired
        """Replaced as a whole, before ``wake`` is called."""
        self._control = control
        self._cache = store
        self._confirm = confirm
        self._wake = wake
        self._questioned = questioned
        self._held = held
        self._asked: set[str] = set()
        self._mail: Report | None = None
        self._state = ""
        self._failures = 0
        self._not_before = 0.0
        self._report_not_before = 0.0
        self._told: tuple[str, bool] | None = None
        self._stopped = False
        self._changed = threading.Condition()

    def ask(self, reason: str) -> None:
        """Fetch the document, and wake the agent if it changed.

        A ``wake-up`` wakes it in any case. What is ``AT_ONCE`` does not wait for a back-off to end.
        """
        with self._changed:
            self._asked.add(reason)
            if reason in AT_ONCE:
                self._not_before, self._failures = 0.0, 0
            self._changed.notify()

    def post(self, newest: Report) -> None:
        """Hand in ``newest`` as soon as possible, in place of one that is still waiting."""
        with self._changed:
            self._mail = merged(self._mail, newest)
            if self._confirm.seconds:
                self._not_before = 0.0
            self._changed.notify()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def run(self) -> None:
        while not self._stopped:
            asked, mail = self._next()
            if seconds := self._confirm.haste(self.desired):
                self._control.hurry(seconds / ATTEMPTS)
            try:
                if asked:
                    self.fetch(asked)
                elif mail:
                    self._hand_in(mail)
            except Refused as error:
                log.error("a report was not taken: %s", error)
            except Silent as error:
                self._confirm.unanswered()
                self._failed(error)
            except ControlError as error:
                self._failed(error)
            except Exception:
                log.exception("failed; the network stays as it is")
                self._back_off()
        self._control.close()

    def fetch(self, asked: set[str]) -> None:
        """Ask for the document once. Raises ControlError; ``desired`` then is as it was, or removed."""
        before = self.desired
        try:
            body = self._control.document("" if before.removed else before.version)
        except Gone:
            if not before.removed:
                self.desired = before.without_networks(self._cache.node)
            raise
        except ControlError:
            self.ask("again")
            raise
        else:
            self._answered()
            if self._control.asked:
                self._questioned()
            if self._control.holdings_version:
                self._held(self._control.holdings_version)
            if body is not None:
                self.desired = self._taken(body)
        finally:
            news = {"document"} if self.desired != before else set()
            if reasons := news | (asked & {"wake-up"}):
                self._wake(reasons)

    def _next(self) -> tuple[set[str], Report | None]:
        """Sleep until there is something to do; documents come before reports."""
        with self._changed:
            while not self._stopped:
                now = time.monotonic()
                fetch_in = self._not_before - now
                report_in = fetch_in
                if self._mail and _milestone(self._mail) == self._told:
                    report_in = max(fetch_in, self._report_not_before - now)
                if self._asked and fetch_in <= 0:
                    asked, self._asked = self._asked, set()
                    return asked, None
                if self._mail and report_in <= 0:
                    mail, self._mail = self._mail, None
                    return set(), mail
                pauses = ([fetch_in] if self._asked else []) + ([report_in] if self._mail else [])
                self._changed.wait(min(pauses, default=None))
        return set(), None

    def _taken(self, body: bytes) -> Desired:
        """The document in force from now on; one that is not whole or not this node's changes nothing."""
        try:
            document = cache.verify(body, self._cache.node)
        except DocumentError as error:
            remedy = "The last good one stays in force"
            refused = Finding("document", "", "desired-state document", str(error), remedy)
            return self._with(self.desired.document, refused)
        try:
            self._cache.write(body, document.version)
        except OSError as error:
            remedy = "Make room, or the node has no network after a restart without the control plane"
            unwritten = Finding(
                "cache", "", str(self._cache.path), f"cannot be written ({error.strerror})", remedy
            )
            return self._with(document, unwritten)
        return Desired(document)

    def _with(self, document: Document | None, finding: Finding) -> Desired:
        if finding not in self.desired.findings:
            log.warning("%s", finding)
        return Desired(document, findings=(finding,))

    def _hand_in(self, mail: Report) -> None:
        self._report_not_before = time.monotonic() + BETWEEN_REPORTS
        try:
            self._control.report(report.dump(mail))
        except Gone:
            self.ask("again")
        except Refused:
            raise
        except ControlError:
            with self._changed:
                self._mail = merged(mail, self._mail) if self._mail else mail
            raise
        else:
            self._told = _milestone(mail)
            self._answered()

    def _answered(self) -> None:
        if self._state:
            log.info("the control plane answers again")
        self._state, self._failures = "", 0

    def _failed(self, error: ControlError) -> None:
        """Say once what keeps the control plane from being of use, and wait longer each time."""
        state = type(error).__name__
        if state != self._state:
            log.warning("%s", error)
        self._state = state
        if isinstance(error, Away):
            self._back_off(error.retry_after)
        elif isinstance(error, Denied):
            self._back_off(LONGEST_PAUSE)

    def _back_off(self, at_least: float = 0.0) -> None:
        self._failures += 1
        pause = min(0.5 * 2 ** min(self._failures - 1, 10), LONGEST_PAUSE) * random.uniform(0.75, 1.0)
        if self._confirm.seconds:
            pause = min(pause, TRIAL_PAUSE)
        self._not_before = time.monotonic() + max(pause, at_least)


def _milestone(of: Report) -> tuple[str, bool]:
    """What the control plane waits for: a version carried out, all of its probes judged."""
    return of.version, not any(probed.pending for probed in of.probes)


def merged(older: Report | None, newer: Report) -> Report:
    """``newer``, with the changes that ``older`` would have told."""
    if older is None or not older.changes:
        return newer
    return dataclasses.replace(
        newer,
        outcome="applied" if newer.outcome == "unchanged" else newer.outcome,
        changes=(older.changes + newer.changes)[-SENTENCES:],
        drift=(older.drift + newer.drift)[-SENTENCES:],
    )
