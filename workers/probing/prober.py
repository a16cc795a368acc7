"""The thread that probes, so that no repair ever waits for an echo.

    aim(document, host) -> targets -> schedule -> trials -> echoes -> verdicts -> probed -> wake()

All echoes that are due are sent together, a batch at a time, never one peer after the other.
Between rounds the thread sleeps and has no socket open: other people's ICMP wakes nobody.
"""

import heapq
import logging
import os
import random
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from workers.document import Document
from workers.host import Host
from workers.probing import paths, verdict
from workers.probing.echoes import Echoes
from workers.probing.schedule import Schedule, Standing
from workers.probing.targets import Ground, Key, expected, ground, targets
from workers.probing.trial import Echo, Trial
from workers.report import Finding, Probed

BATCH = 128
"""Echoes that are sent before answers are read."""
GAP = 0.1
"""Seconds that verdicts wait for others to be told with them, while there are some to come."""
PATHS = 64
"""Failed pairs of a batch about which the kernel's routing tables are asked."""
KEPT = 15.0
"""Seconds for which an answer to an echo is waited for: longer than any trial takes."""
FOREVER = 3600.0
FAILURE = "probes"
"""Subject of a failure of its own; a verdict ends it."""
NO_PROBES = "no-probes"
"""Code of what keeps it from probing."""

log = logging.getLogger("netadmin.probing")


class Aim(NamedTuple):
    document: Document
    host: Host
    ground: Ground


class Sent(NamedTuple):
    trial: Trial
    echo: Echo
    at: int
    """Nanoseconds since 1970."""


class Prober(threading.Thread):
    """``aim``, ``stop`` and the results are for any thread; none of them waits."""

    def __init__(self, wake: Callable[[], None]) -> None:
        super().__init__(name="prober", daemon=True)
        self.findings: tuple[Finding, ...] = ()
        """What keeps it from probing."""
        self._wake = wake
        self._lock = threading.Lock()
        self._awake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._aim: Aim | None = None
        self._taken: Aim | None = None
        self._probed: tuple[Probed, ...] = ()
        self._soon = False
        self._stopped = False
        self._schedule = Schedule()
        self._trials: dict[Key, Trial] = {}
        self._sent: dict[int, Sent] = {}
        self._number = 0
        self._timers: list[tuple[float, int, Trial]] = []
        """A heap: when to look at which trial again."""
        self._news_since = 0.0
        self._asked = 0
        self._pace = random.uniform(0.9, 1.0)
        """So that nodes that started together do not probe together for ever."""

    @property
    def probed(self) -> tuple[Probed, ...]:
        """How the pairs stand that were aimed at last; pending, as long as nobody looked at them."""
        with self._lock:
            if self._aim is self._taken or self._aim is None:
                return self._probed
            return tuple(
                Probed(network, family, peers, 0, 0, 0, peers, 0)
                for (network, family), peers in sorted(expected(self._aim.document).items())
            )

    def aim(self, document: Document, host: Host, changed: bool) -> None:
        """Probe for this document on this host from now on; ``changed``: and soon, as an apply altered
        the node. Costs next to nothing when both are as before."""
        now = ground(document, host)
        with self._lock:
            last = self._aim
            if last is None or last.document is not document or last.ground != now:
                self._aim = Aim(document, host, now)
            elif not changed:
                return
            self._soon |= changed
        os.eventfd_write(self._awake, 1)

    def stop(self) -> None:
        self._stopped = True
        os.eventfd_write(self._awake, 1)

    def run(self) -> None:
        with Echoes() as echoes:
            while not self._stopped:
                try:
                    self._turn(echoes)
                except Exception as error:
                    if self._begin_anew(error):
                        log.exception("probing failed; it begins anew")
                    echoes.close()
                    time.sleep(1)

    def _begin_anew(self, error: Exception) -> bool:
        """Forget what is under way; report what it was. False: that was said already."""
        self._trials.clear()
        self._timers.clear()
        self._schedule.put_off(time.monotonic())
        found = _failure(error)
        if found in self.findings:
            return False
        self.findings = (*self.findings, found)
        self._wake()
        return True

    def _turn(self, echoes: Echoes) -> None:
        """Whatever is to do now, and sleep until there is more.

        Answers are read before anybody's time is over: on a busy node they may have waited longer than
        this thread did.
        """
        self._take_aim()
        self._hear(echoes)
        now = time.monotonic()
        for standing in self._schedule.due(now):
            self._begin(echoes, standing, now)
        self._send(echoes, now)
        self._hear(echoes)
        self._publish(time.monotonic())
        self._forget()
        if not self._trials:
            self._timers.clear()
            echoes.close()
        echoes.wait(self._rest(time.monotonic()), self._awake)

    def _take_aim(self) -> None:
        """Follow the agent; what changed is pending from now on."""
        try:
            os.eventfd_read(self._awake)
        except BlockingIOError:
            return
        with self._lock:
            aim, soon, self._soon = self._aim, self._soon, False
        now = time.monotonic()
        if aim is not None and aim is not self._taken:
            interval = aim.document.probe_interval * self._pace
            self._schedule.aim(targets(aim.document, aim.host), interval, now)
            with self._lock:
                self._taken, self._probed = aim, self._schedule.probed()
            self._wake()
        if soon:
            self._schedule.soon(now)

    def _begin(self, echoes: Echoes, standing: Standing, now: float) -> None:
        target = standing.target
        trial = Trial(target, now, standing.pair.state, standing.pair.largest)
        if not target.device:
            self._note(trial, now)
        elif self._opened(echoes, target.family):
            self._trials[target.key] = trial
            self._set_timer(trial, now)
        else:
            self._schedule.put_off(now, target)

    def _opened(self, echoes: Echoes, family: int) -> bool:
        """Whether there is a socket; that there is none is a finding, and the pair stays as it is."""
        try:
            echoes.open(family)
        except OSError as error:
            found = _no_sockets(family, error)
            if found not in self.findings:
                self.findings = (*self.findings, found)
                self._wake()
            return False
        if self.findings:
            self.findings = tuple(one for one in self.findings if one.subject != _socket_name(family))
        return True

    def _set_timer(self, trial: Trial, at: float) -> None:
        heapq.heappush(self._timers, (at, id(trial), trial))

    def _send(self, echoes: Echoes, now: float) -> None:
        """What the trials have to send by now."""
        count = 0
        while self._timers and self._timers[0][0] <= now:
            trial = heapq.heappop(self._timers)[2]
            if self._trials.get(trial.target.key) is not trial:
                continue
            for echo in trial.due(now):
                self._send_one(echoes, trial, echo)
                count += 1
                if count % BATCH == 0:
                    self._hear(echoes)
            if not self._judged(trial, now):
                self._set_timer(trial, trial.next())

    def _send_one(self, echoes: Echoes, trial: Trial, echo: Echo) -> None:
        self._number = self._number + 1 & 0xFFFFFFFF
        try:
            at = echoes.send(self._number, *echo)
        except OSError as error:
            trial.could_not_send(echo, error.errno or 0)
        else:
            self._sent[self._number] = Sent(trial, echo, at)

    def _hear(self, echoes: Echoes) -> None:
        """Read all that came back, and only then judge: the first of several answers says little."""
        now = time.monotonic()
        heard: dict[Key, Trial] = {}
        for answer, at in echoes.received():
            sent = self._sent.get(answer.number)
            if sent is None:
                continue
            if answer.error:
                sent.trial.told(sent.echo, answer.error)
                continue
            sent.trial.heard(sent.echo, max(at - sent.at, 0) / 1e6, now)
            heard[sent.trial.target.key] = sent.trial
        for trial in heard.values():
            if not self._judged(trial, now):
                self._set_timer(trial, trial.next())

    def _judged(self, trial: Trial, now: float) -> bool:
        """Whether the trial is over, or no longer one."""
        key = trial.target.key
        if self._trials.get(key) is not trial:
            return True
        if not trial.over(now):
            return False
        del self._trials[key]
        self._note(trial, now)
        return True

    def _note(self, trial: Trial, now: float) -> None:
        path = None
        if trial.target.device and not trial.reached and self._asked < PATHS:
            self._asked += 1
            path = paths.path(trial.target)
        if self._schedule.judged(trial.target, verdict.pair(trial, path, time.time()), now):
            self._news_since = self._news_since or now

    def _publish(self, now: float) -> None:
        """Let the agent know of verdicts; together, as far as they come together."""
        self._asked = 0
        if not self._news_since or (self._trials and now - self._news_since < GAP):
            return
        self._news_since = 0.0
        self.findings = tuple(one for one in self.findings if one.subject != FAILURE)
        with self._lock:
            self._probed = self._schedule.probed()
        self._wake()

    def _forget(self) -> None:
        """Let go of echoes that no trial waits for any more; the oldest are first."""
        limit = time.time_ns() - int(KEPT * 1e9)
        while self._sent and (not self._trials or next(iter(self._sent.values())).at < limit):
            del self._sent[next(iter(self._sent))]

    def _rest(self, now: float) -> float:
        """Seconds until something is due."""
        due = [self._timers[0][0]] if self._timers else []
        if (coming := self._schedule.next()) is not None:
            due.append(coming)
        if self._news_since:
            due.append(self._news_since + GAP)
        return min(due, default=now + FOREVER) - now


def _socket_name(family: int) -> str:
    return f"echo socket of IPv{family}"


def _no_sockets(family: int, error: OSError) -> Finding:
    return Finding(
        code=NO_PROBES,
        network="",
        subject=_socket_name(family),
        why=f"cannot be opened ({error.strerror}), so that nothing tells whether packets cross",
        remedy="Give the worker CAP_NET_RAW as its systemd unit does, or switch probes off "
        "(cluster.probe_interval=0)",
    )


def _failure(error: Exception) -> Finding:
    return Finding(
        code=NO_PROBES,
        network="",
        subject=FAILURE,
        why=f"{type(error).__name__}: {error}",
        remedy="They are tried again; the worker's log has the details",
    )
