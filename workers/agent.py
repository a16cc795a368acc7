"""Triggers to runs, one at a time.

    start, timer ------------------------------+
    kernel, firewall, files, leases (watch) ---+--> one run: reconcile -> report
    document, wake-up (courier) ---------------+                |
    probes (prober) -----------------------------------------> report
                                 ^                        |
                control plane <--+-- courier <------------+
                      ^              | questions wait
                      +-- answers <--+
                      +-- keeper   (attaching)
leases of containers that are gone (leaks) -> report

A deleted route of ours is back before the run that its event leads to (``repair``).
A CNI file is written once the keeper holds what is reserved in its network (``cni.gate``).
A run never waits for HTTP and HTTP never for a run: the courier has its own thread, and so have
the answers to questions. What happens while a run is under way coalesces to one more. A run that
fails is reported and tried again; the thread goes on for as long as the process does.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import replace
from functools import partial
from pathlib import Path

from workers import repair, reporting
from workers.answers import Answers
from workers.attaching.journal import Journal
from workers.attaching.keeper import Keeper
from workers.cache import Cache, CacheError
from workers.changes import Change
from workers.cni.gate import Gate
from workers.cni.store import Store
from workers.config import Settings
from workers.confirm import Confirm
from workers.control import Control
from workers.courier import Courier
from workers.damping import Damping
from workers.desired import LOOK_INTERVAL, Desired
from workers.document import Document
from workers.kernel.door import Kernel
from workers.kernel.netlink import Message
from workers.leaks.finder import Finder
from workers.objects import conf_directory
from workers.observe import Observed, observe
from workers.probing.prober import Prober
from workers.reconcile import Outcome, reconcile
from workers.report import Finding, Lease, Report
from workers.rivals import Rivals
from workers.watch import EVENTS, Watch

SHARE = 4
"""Looks that events ask for and that find nothing to do take at most 1 / (1 + SHARE) of the time:
a routing daemon beside us may change its own routes a thousand times a second."""
FIRST_RETRY = 1.0
"""Seconds until what the kernel refused is tried again; doubled up to the look interval."""
PROBLEMS = 5
"""How many of a run's new problems are logged one by one."""

log = logging.getLogger("netadmin.agent")


class Agent(threading.Thread):
    def __init__(self, settings: Settings, watch: Watch, ready: Callable[[], None] = lambda: None) -> None:
        """``ready``: called when all was done that could be with what an earlier process left."""
        super().__init__(name="agent", daemon=True)
        self._settings = settings
        self._watch = watch
        self._ready = ready
        self._cache = Cache(settings.state_dir, settings.node)
        self._store = Store(settings.cni_store)
        self._damping = Damping()
        self._confirm = Confirm(self._cache, settings)
        self._answers = Answers(settings, lambda: self._in_force().document)
        self._gate = Gate(lambda: watch.wake("reserved"))
        self._keeper = Keeper(settings, lambda: self._in_force().document, self._gate)
        self._leaks = Finder(
            settings,
            lambda: self._in_force().document,
            Journal(settings.state_dir).ids,
            lambda: watch.wake("leases"),
        )
        self._courier = Courier(
            Control(settings, self._confirm.answered),
            self._cache,
            self._confirm,
            self._restored(),
            lambda reasons: watch.wake(*reasons),
            self._answers.ask,
            self._named,
        )
        self._prober = Prober(lambda: watch.wake("probes"))
        self._rivals = Rivals()
        self._applied = self._confirm.confirmed
        """The version of which a difference is drift: applied before, here or by an earlier process."""
        self._left: set[Hashable] = set()
        self._seen: Observed | None = None
        """By the last run."""
        self._repaired: list[Change] = []
        """Since the last run, which confirms and reports it."""
        self._last: Report | None = None
        """Of the last run, with what became known behind it."""
        self._told: Report | None = None
        self._problems: set[Finding] = set()
        self._failures = 0
        self._timer = self._retry = self._resume = 0.0
        self._stopping = False
        self.built = threading.Event()
        """Set once a run has carried out a document."""

    def look(self) -> None:
        """A wake-up: the control plane has something new. For any thread; returns at once."""
        self._courier.ask("wake-up")

    def answer(self) -> None:
        """Questions wait. For any thread; returns at once."""
        self._answers.ask()

    def hold(self) -> None:
        """What the node must hold for services changed. For any thread; returns at once."""
        self._keeper.fetch()

    def stop(self) -> None:
        """End after the run that is under way. The network stays as it is. For any thread."""
        self._stopping = True
        self._courier.stop()
        self._answers.stop()
        self._keeper.stop()
        self._leaks.stop()
        self._prober.stop()
        self._watch.wake("stop")

    def run(self) -> None:
        self._courier.start()
        self._answers.start()
        self._keeper.start()
        self._leaks.start()
        self._prober.start()
        while not self._stopping:
            self._courier.ask("start")
            try:
                with Kernel() as kernel:
                    self._watch.heard = partial(self._repair, kernel)
                    self._serve(kernel)
            except Exception as error:
                self._watch.heard = None
                log.exception("a run failed; the network stays as it is until the next")
                self._post(reporting.failed(self._settings, self._in_force(), error, self._told))
                self._failures += 1
                self._ready()
                self._watch.pause(self._backoff())

    def _named(self, version: int) -> None:
        """The control plane has holdings of that version for this node; before the document is in force."""
        self._gate.named(version)
        self._keeper.fetch(version)

    def _serve(self, kernel: Kernel) -> None:
        """Runs, until told to stop; raises what a run raises."""
        self._turn(kernel, {"start"})
        self._gate.settle()
        self._ready()
        reasons = self._next()
        while not self._stopping:
            if reasons == {"probes"} and self._last is not None:
                self._tell_probes(self._last)
            else:
                self._turn(kernel, reasons - {"probes"})
            reasons = self._next()

    def _turn(self, kernel: Kernel, reasons: set[str]) -> None:
        """One run, and what follows from how it went."""
        start = time.monotonic()
        if went_back := self._confirm.give_up():
            self._applied = ""
        desired = self._in_force()
        if "timer" in reasons:
            self._courier.ask("timer")
        self._follow(desired)
        if desired.document is None:
            outcome = Outcome((), (), (), observe(None, self._settings, kernel), 0.0)
        else:
            outcome = self._carry_out(desired.document, kernel)
            self._prober.aim(desired.document, outcome.observed.host, bool(outcome.changes))
            if outcome.changes or not self.built.is_set():
                self._keeper.built()
            self._rivals.look(desired.document, outcome.observed, self._settings.protocol, kernel)
            self.built.set()
        outcome = self._with_repairs(outcome)
        drift = self._drift(desired, outcome)
        self._plan_next(reasons, outcome, start)
        self._tell(reasons, desired, outcome, drift)
        if went_back:
            self._courier.ask("rolled-back")

    def _repair(self, kernel: Kernel, messages: list[Message]) -> None:
        """Put back at once what somebody deleted, unless that is a fight (``damping``)."""
        if not self._damping.pause:
            wanted = self._seen.desired.many if self._seen else ()
            protocol = self._settings.protocol
            self._repaired += repair.repair(messages, self._watch.flood, wanted, protocol, kernel)

    def _with_repairs(self, outcome: Outcome) -> Outcome:
        """What was put back since the last run is a part of this one."""
        repaired, self._repaired = self._repaired, []
        self._seen = outcome.observed
        return replace(outcome, changes=(*repaired, *outcome.changes)) if repaired else outcome

    def _in_force(self) -> Desired:
        """What the control plane wants, or what stands in its place after a roll-back."""
        return self._confirm.in_force(self._courier.desired)

    def _carry_out(self, document: Document, kernel: Kernel) -> Outcome:
        """One run, in which a version that is new may have to prove itself."""
        on_trial = partial(self._confirm.before, document)
        try:
            outcome = reconcile(
                document,
                self._settings,
                kernel,
                self._watch.forget,
                on_trial,
                self._watch.linger,
                self._seen,
                self._gate.let_pass,
            )
        except Exception:
            self._confirm.interrupted()
            raise
        self._confirm.after(document)
        return outcome

    def _follow(self, desired: Desired) -> None:
        """Watch the directories as they are now; a plugin may have made one meanwhile."""
        config = conf_directory(desired.document, self._settings)
        places = {Path(config): "files"} if config else {}
        places[self._store.directory] = "leases"
        for place in places:
            place.mkdir(parents=True, exist_ok=True)
        self._watch.follow({**places, **dict.fromkeys(self._store.networks(), "leases")})

    def _drift(self, desired: Desired, outcome: Outcome) -> tuple[Change, ...]:
        """The changes that nobody declared: not of a new version, not a second try of what was refused."""
        known = desired.version == self._applied
        drift = [change for change in outcome.changes if known and change.object.key not in self._left]
        self._applied = desired.version
        self._left = {change.object.key for change in outcome.left}
        return tuple(drift)

    def _plan_next(self, reasons: set[str], outcome: Outcome, start: float) -> None:
        """When the timer, a retry and the next event may lead to a run."""
        now = time.monotonic()
        self._damping.calm(now)
        if not reasons <= {*EVENTS, "retry"}:
            self._timer = now + self._interval() * random.uniform(0.9, 1.0)
        self._resume = now
        if reasons <= EVENTS:
            self._damping.note(outcome.changes, now)
            self._resume += self._damping.pause if outcome.changes else SHARE * (now - start)
        self._failures = self._failures + 1 if outcome.left else 0
        self._retry = now + self._backoff() if outcome.left else self._timer

    def _next(self) -> set[str]:
        """Sleep until there is a reason for a run."""
        while True:
            due = min(self._timer, self._retry, self._confirm.until)
            rest = min(self._resume, due) - time.monotonic()
            if rest > 0 and (reasons := self._watch.pause(rest)):
                return reasons
            if reasons := self._watch.wait(due - time.monotonic()):
                return reasons
            if self._confirm.is_over:
                return {"confirm"}
            if due == self._timer:
                return {"timer"}
            if due == self._retry:
                return {"retry"}

    def _tell(self, reasons: set[str], desired: Desired, outcome: Outcome, drift: tuple[Change, ...]) -> None:
        """Log what was done, and report it; when nothing is new, only the timer's look is reported."""
        if desired.removed:
            self._keeper.give_up()
        if desired.removed and not outcome.left:
            self._cache.drop()
            self._confirm.forget()
        found = (
            *self._damping.findings,
            *self._prober.findings,
            *self._rivals.findings,
            *self._keeper.findings,
        )
        report = reporting.report(
            self._settings,
            desired,
            outcome,
            drift,
            found,
            self._leases_of_others(),
            self._prober.probed,
        )
        self._last = report
        self._log(report, reasons)
        if desired.removed or (desired.document is None and "start" in reasons):
            return
        asked_for = self._confirm.seconds or reasons & {"timer", "wake-up"}
        if asked_for or report.changes or not reporting.same(report, self._told):
            self._post(report)

    def _leases_of_others(self) -> tuple[Lease, ...]:
        """What the statement tells of is left to it: a report that is overtaken by the statement of its end
        would make a stranger's of it. The order of the two looks matters."""
        said = self._keeper.statement()
        ours = {one.id for one in said.attachments} if said else set()
        return tuple(one for one in self._leaks.marked(self._store.settled()) if one.container not in ours)

    def _tell_probes(self, last: Report) -> None:
        """Probes found something out; nothing was looked at for it."""
        self._last = reporting.probed(last, self._prober.probed, self._prober.findings)
        if not (self._courier.desired.removed or reporting.same(self._last, self._told)):
            self._post(self._last)

    def _post(self, report: Report) -> None:
        self._told = self._last = report
        self._courier.post(report)

    def _restored(self) -> Desired:
        """What the last process left in the cache; a file that is damaged is as good as none."""
        try:
            self._confirm.adopt()
            return Desired(self._confirm.restored())
        except CacheError as error:
            log.error("%s", error)
            remedy = "Nothing, if the control plane answers; else look at the disk"
            return Desired(findings=(Finding("cache", "", str(self._cache.path), str(error), remedy),))

    def _interval(self) -> float:
        document = self._courier.desired.document
        return max(document.look_interval, 1.0) if document else LOOK_INTERVAL

    def _backoff(self) -> float:
        return min(FIRST_RETRY * 2.0 ** min(self._failures - 1, 10), self._interval())

    def _log(self, report: Report, reasons: set[str]) -> None:
        """One line for a run that changed something, and the problems that were not there before."""
        if report.changes:
            fields = {
                "version": report.version[:12],
                "changes": len(report.changes),
                "drift": len(report.drift),
                "ms": report.milliseconds,
                "because": ",".join(sorted(reasons)),
                "first": f"{report.changes[0]!r}",
            }
            log.info("repaired" if report.drift else "applied", extra=fields)
        new = [finding for finding in report.findings if finding not in self._problems]
        for finding in new[:PROBLEMS]:
            log.warning("%s", finding)
        if len(new) > PROBLEMS:
            log.warning("and %d more problems; all are in the report", len(new) - PROBLEMS)
        self._problems = set(report.findings)
