"""The thread that decides which attachment is worked on, and when.

    holdings --+
    a job's end --+--> due: one job for each attachment, a few side by side --> statement
    its device changed, a namespace came, the timer --+

    reserved   in the lease store before anything is attached, and again whenever a lease comes or goes
    waiting    looked for at once when a namespace gets a name
    failed     tried again at once when a host port came free
    attached   looked at when the kernel says that its device changed; the plugins' CHECK as often as its
               share of the processor allows

A job works on the newest holdings; what comes meanwhile is a reason for the next.
"""

import logging
import math
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from workers.attaching import chain, sight
from workers.attaching.attacher import Attacher, Outcome
from workers.attaching.entry import Entry
from workers.attaching.held import FIRST_RETRY, Held
from workers.attaching.hostports import HostPorts, PortTaken
from workers.attaching.jobs import Jobs
from workers.attaching.journal import Journal
from workers.attaching.post import Post
from workers.cni.gate import Gate
from workers.cni.reserving import Held as Reserved
from workers.cni.reserving import Reserving
from workers.config import Settings
from workers.desired import LOOK_INTERVAL
from workers.document import Document
from workers.holdings import (
    ATTACHED,
    BROKEN,
    FAILED,
    WAITING,
    Declined,
    Holdings,
    Reservation,
    Statement,
)
from workers.kernel.messages import Type
from workers.kernel.netlink import Message
from workers.kernel.nft import NftError
from workers.report import Finding
from workers.watch import LINK_GROUPS, Watch

CHECK_PAUSE = 1.5
"""Seconds of a node for each CHECK, some 15 ms of processes: 1% of a processor."""
KEEP_PAUSE = 0.1
"""Seconds between two looks at the table of host ports: others may change their rulesets all the time."""
DOCKER = Path("/run/docker/netns")
"""Where docker puts a file for the namespace of each container."""
log = logging.getLogger("netadmin.attaching")


class Keeper(threading.Thread):
    """``hold``, ``fetch``, ``built``, ``give_up`` and ``stop`` are for any thread."""

    def __init__(self, settings: Settings, in_force: Callable[[], Document | None], gate: Gate) -> None:
        super().__init__(name="attaching", daemon=True)
        self._settings = settings
        self._in_force = in_force
        self._gate = gate
        self._journal = Journal(settings.state_dir)
        self._post = Post(settings, self.hold)
        self._holdings = self._post.cached()
        """None: never heard."""
        self._held: dict[str, Held] = {}
        self._devices: dict[str, str] = {}
        """Attachments by the name of their end on the node."""
        self._done: queue.SimpleQueue[tuple[str, Entry | None, Outcome]] = queue.SimpleQueue()
        """Attachment, how it was, and how it is now."""
        self._moved: list[tuple[Entry | None, Entry | None]] = []
        """Entries before and after a job, whose connections are still to follow."""
        self._behind = ThreadPoolExecutor(1, thread_name_prefix="connections")
        self._jobs = Jobs()
        self._room_at = math.inf
        """When what is due and found no room may find some, as time.monotonic() counts."""
        self._reserving = Reserving(settings.cni_store)
        self._reserved: Reserved | None = None
        """What became of reservations; None: they have to be looked at."""
        self._reservations: tuple[Reservation, ...] = ()
        """Those that were looked at last."""
        self._reserve_again = math.inf
        """When those that could not be held are tried again, as time.monotonic() counts."""
        self._said: Statement | None = None
        self._due_now: set[str] = set()
        self._keep_at = math.inf
        """When the table of host ports is looked at next, as time.monotonic() counts."""
        self._kept = 0.0
        """When it was looked at last."""
        self._restored = False
        """Whether the journal was read; nothing is done before."""
        self._stopping = False
        self._watch = Watch(LINK_GROUPS)
        self._watch.heard = self._heard

    def hold(self, holdings: Holdings) -> None:
        """What the node must hold from now on."""
        self._holdings = holdings
        self._watch.wake("holdings")

    def fetch(self, version: int = 0) -> None:
        """The control plane has other holdings, of that version if it is known."""
        self._post.fetch(version)

    def built(self) -> None:
        """The networks were built, or built anew."""
        self._watch.wake("built")

    def give_up(self) -> None:
        """The node was removed from the cluster: hold nothing any more."""
        if self._holdings is None or self._holdings.version:
            self._post.drop()
            self.hold(Holdings(self._settings.node, 0))

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong with the journal."""
        return self._journal.findings

    def statement(self) -> Statement | None:
        """What was said last; None: nothing yet."""
        return self._said

    def stop(self) -> None:
        """End; what is under way is in the journal. Attachments stay."""
        self._stopping = True
        self._post.stop()
        self._watch.wake("stop")

    def run(self) -> None:
        self._post.start()
        self._post.fetch()
        with (
            self._watch,
            HostPorts(self._settings.nft_table) as ports,
            self._behind,
        ):
            attacher = Attacher(self._settings, self._journal, ports, self._in_force)
            while not self._stopping:
                try:
                    self._turn(attacher, ports)
                except Exception:
                    log.exception("failed; attachments stay as they are until the next turn")
                    time.sleep(FIRST_RETRY)
            self._jobs.stop()

    def _restore(self, attacher: Attacher, ports: HostPorts) -> None:
        """What an earlier process left: its attachments keep their host ports, and are looked at first."""
        entries = self._journal.read()
        chain.end_orphans({key for key, entry in entries.items() if not entry.detached})
        for key, entry in entries.items():
            held = Held(key, entry, attacher.as_left(entry), entry.attachment, judged=entry.attachment)
            self._held[key] = held
            try:
                ports.restore(entry)
            except (PortTaken, ValueError) as error:
                log.error("%s %s: %s", entry.attachment.service, entry.attachment.resource, error)
            self._moved.append((None, entry))  # it was killed before connections followed, perhaps
        self._keep(ports)

    def _turn(self, attacher: Attacher, ports: HostPorts) -> None:
        """Work on what is due, say what is new, wait for the next."""
        if not self._restored:
            self._restore(attacher, ports)
            self._restored = True
        self._take_outcomes()
        if self._holdings is None:
            # Never heard: nothing is known of what is no more wanted.
            self._gate.held(0, {})
            self._take_reasons(self._watch.wait(LOOK_INTERVAL), ports)
            return
        holdings = self._holdings
        declined = self._reserve(holdings)
        now = time.monotonic()
        self._start_jobs(holdings, attacher, now)
        self._say(holdings, declined)
        self._let_connections_follow(attacher)
        due = [held.due for held in self._held.values() if held.key not in self._jobs and held.due > now]
        pause = min([*due, self._room_at, self._reserve_again, self._keep_at])
        reasons = self._watch.wait(min(max(pause - time.monotonic(), 0), LOOK_INTERVAL))
        if not reasons or "leases" in reasons:
            self._reserved = None
        self._take_reasons(reasons, ports)

    def _reserve(self, holdings: Holdings) -> tuple[Declined, ...]:
        """Make the lease store hold what is reserved; those that somebody has."""
        if self._reserved is None or holdings.reservations != self._reservations:
            self._reserved = self._reserving.hold(holdings.reservations)
            self._reservations = holdings.reservations
            stores = {self._settings.cni_store / one.network for one in holdings.reservations}
            self._watch.follow(dict.fromkeys(stores, "leases"))
            for trouble in self._reserved.troubles.values():
                log.error("reservations: %s", trouble)
            self._reserve_again = time.monotonic() + FIRST_RETRY if self._reserved.troubles else math.inf
        self._gate.held(holdings.version, self._reserved.troubles)
        return self._reserved.declined

    def _start_jobs(self, holdings: Holdings, attacher: Attacher, now: float) -> None:
        """One job for each attachment that is due and has none, as far as there is room."""
        wanted = {one.id: one for one in holdings.attachments}
        for key in wanted.keys() - self._held.keys():
            self._held[key] = Held(key)
        idle = [held for held in self._held.values() if held.key not in self._jobs]
        for held in idle:
            if held.wanted != wanted.get(held.key):
                held.want(wanted.get(held.key))
        self._room_at = math.inf
        for held in sorted(idle, key=lambda one: one.due):
            if held.due > now:
                break
            if self._jobs.has_room(held.network, now):
                self._jobs.start(held.key, held.network, self._work, attacher, held)
                held.begins()
            else:
                self._room_at = self._jobs.next_room(now)

    def _work(self, attacher: Attacher, held: Held) -> None:
        """A job; what goes wrong is an outcome too."""
        key, before = held.key, held.entry
        try:
            outcome = self._outcome(attacher, held)
        except (OSError, NftError) as error:
            log.exception("attachment %s", key)
            outcome = attacher.interrupted(key, self._journaled(key, before), str(error))
        except Exception as error:
            log.exception("attachment %s", key)
            outcome = attacher.interrupted(
                key, self._journaled(key, before), f"{type(error).__name__}: {error}"
            )
        self._done.put((key, before, outcome))
        self._watch.wake("done")

    def _outcome(self, attacher: Attacher, held: Held) -> Outcome:
        if held.wanted is None:
            return attacher.release(held.key, held.entry, self._is_needed(held))
        if held.renew and held.entry:
            return attacher.renew(held.wanted, held.entry)
        return attacher.settle(held.wanted, held.entry, self._check_is_due(held))

    def _journaled(self, key: str, before: Entry | None) -> Entry | None:
        """What there is of it is what the journal says; while that cannot be read, how it was before."""
        try:
            return self._journal.read_one(key)
        except OSError as error:
            log.error("attachment %s: %s", key, error)
            return before

    def _is_needed(self, leaving: Held) -> bool:
        """Whether another attachment of its service is to be in the namespace of the service's own."""
        service = leaving.entry.attachment.service if leaving.entry else ""
        wanted = [held.wanted for held in list(self._held.values())]
        return any(one.service == service and not one.netns for one in wanted if one)

    def _check_is_due(self, held: Held) -> bool:
        now = time.monotonic()
        due = now - held.checked >= max(self._interval(), CHECK_PAUSE * len(self._held))
        if due:
            held.checked = now
        return due

    def _take_outcomes(self) -> None:
        while not self._done.empty():
            key, before, outcome = self._done.get()
            self._moved.append((before, outcome.entry))
            self._jobs.ended(key)
            held = self._held[key]
            held.entry, held.renew = outcome.entry, outcome.renew
            if outcome.standing is None:
                del self._held[key]
            else:
                held.stands(outcome.standing, self._interval())
            if _gave_ports_up(before, outcome.entry):
                self._hurry(FAILED, BROKEN)
            elif outcome.standing is None:
                self._hurry(FAILED)  # it may have had what another one wants
        self._devices = {
            name: key for key, held in self._held.items() if held.entry for name in held.entry.ends
        }

    def _take_reasons(self, reasons: set[str], ports: HostPorts) -> None:
        if "firewall" in reasons:
            self._keep_at = min(self._keep_at, self._kept + KEEP_PAUSE)
        if self._keep_at <= time.monotonic():
            self._keep(ports)
        if "built" in reasons:
            self._hurry(ATTACHED, WAITING, FAILED)
        if "namespaces" in reasons:
            self._hurry(WAITING)
        for key in self._due_now & self._held.keys():
            self._held[key].hurry()
        self._due_now.clear()
        self._follow()

    def _hurry(self, *states: str) -> None:
        """Those in these states, and those that may come to be in one of them by the job they have."""
        for held in self._held.values():
            if held.key in self._jobs or (held.standing and held.standing.state in states):
                held.hurry()

    def _follow(self) -> None:
        """Hear of namespaces that come while one is waited for."""
        if any(held.standing and held.standing.state == WAITING for held in self._held.values()):
            self._watch.follow(dict.fromkeys((self._settings.netns_dir, DOCKER), "namespaces"))

    def _heard(self, messages: list[Message]) -> None:
        """What the kernel said of the devices that attachments have on the node."""
        for kind, _, _, _, body in messages:
            if kind in (Type.NEWLINK, Type.DELLINK) and (key := self._devices.get(sight.name_of(body))):
                self._due_now |= {key} if sight.is_amiss(kind, body) else set()

    def _keep(self, ports: HostPorts) -> None:
        self._kept, self._keep_at = time.monotonic(), math.inf
        try:
            if ports.keep():
                log.warning("the table of host ports was not as it must be, and was put right")
        except (OSError, NftError) as error:
            log.error("the table of host ports: %s", error)
            self._keep_at = self._kept + FIRST_RETRY

    def _say(self, holdings: Holdings, declined: tuple[Declined, ...]) -> None:
        """The statement, when it is another one than the last."""
        wanted = {one.id: one for one in holdings.attachments}
        standings = tuple(
            standing for key, held in sorted(self._held.items()) if (standing := held.said(wanted.get(key)))
        )
        # One more than the last where the clock was set back: a smaller one would not be heard.
        sequence = max(time.time_ns(), self._said.sequence + 1 if self._said else 0)
        said = Statement(self._settings.node, holdings.version, sequence, standings, declined)
        same = self._said and replace(said, sequence=self._said.sequence) == self._said
        if holdings.version and not same:
            self._said = said
            self._post.say(said)

    def _let_connections_follow(self, attacher: Attacher) -> None:
        """Behind the statement: walking through the kernel's connections keeps a processor for some 12 ms."""
        for before, after in self._moved:
            self._behind.submit(attacher.settle_connections, before, after)
        self._moved.clear()

    def _interval(self) -> float:
        document = self._in_force()
        return max(document.look_interval, 1.0) if document else LOOK_INTERVAL


def _gave_ports_up(before: Entry | None, after: Entry | None) -> bool:
    had, has = (set(entry.attachment.expose) if entry else set() for entry in (before, after))
    return bool(had - has)
