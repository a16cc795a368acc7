"""Whether a change may stay: after it the control plane must still be reached, or the node goes back.

    agent    before(document, plan)   a new version with a plan that could cut us off: on trial, on disk
             (apply)
             after(document)          from here on its time runs
    courier  answered(begun)          an exchange that began after the apply was answered: confirmed
             unanswered()             it was not, but its machine speaks to us: confirmed
    agent    give_up()                no answer in time: refused, the confirmed document is in force again

Going back is reconciling to the last confirmed document, not carrying out a list of inverse
changes: what is there is compared as ever, so a kill at any point converges. On disk:

    STATE_DIR/document.json    what the control plane last said
    STATE_DIR/confirmed.json   the last document with which it was reached after the apply
    STATE_DIR/confirm.json     the version on trial and until when, and the refused one

Only a version that this node never carried out is tried: repairing drift or starting again
without the control plane proves nothing, as it could not be reached before either.
"""

import dataclasses
import logging
import math
import threading
import time

from workers import files, reach, rollback, standing, wire
from workers.cache import Cache, CacheError
from workers.changes import Plan
from workers.cni.confs import Conf
from workers.cni.weave import PluginLink, Router
from workers.config import Settings
from workers.desired import Desired, emptied
from workers.document import Document
from workers.standing import Standing

HARMLESS = (Conf, PluginLink, Router)
"""Kinds that cannot cut a node off: only containers live by them."""

log = logging.getLogger("netadmin.confirm")


class Confirm:
    """``answered`` is for any thread; what changes the network is for the agent's."""

    def __init__(self, store: Cache, settings: Settings) -> None:
        self._path = store.path.with_name("confirm.json")
        self._store = store
        self._settings = settings
        self._lock = threading.Lock()
        self._standing = self._read()
        self._until = time.monotonic() + self._standing.remaining(time.time())
        self._since = math.inf
        """An exchange that began earlier proves nothing: the apply was still to end."""
        self._kept: Document | None = None
        """The confirmed document, while a version is refused."""

    @property
    def confirmed(self) -> str:
        """The version that is known to leave the control plane in reach; empty: none yet."""
        return self._standing.confirmed

    @property
    def trial(self) -> str:
        """The version on trial; empty: none."""
        return self._standing.trial

    @property
    def seconds(self) -> float:
        """How long the trial that waits for an answer may take; 0: none does."""
        return self._standing.seconds if self._standing.trial and self._since < math.inf else 0.0

    def haste(self, desired: Desired) -> float:
        """How long the trial lasts that is under way, or that begins with this document; 0: neither.

        A request that is under way when the apply cuts it off keeps the next one waiting.
        """
        if self._standing.trial:
            return self._standing.seconds
        if desired.document is None or self._standing.knows(desired.version):
            return 0.0
        return desired.document.confirm

    @property
    def until(self) -> float:
        """When the trial is given up, as ``time.monotonic``; infinite without one."""
        return self._until

    @property
    def is_over(self) -> bool:
        """Whether the trial has lasted too long."""
        return time.monotonic() >= self._until

    # -- which document is in force

    def restored(self) -> Document | None:
        """What an earlier process had in force. Raises CacheError.

        A document that was fetched and never carried out is left to the control plane to serve
        again: then it is known that it could be reached before.
        """
        cached = self._store.read()
        if cached is None or not self._path.exists() or self._standing.knows(cached.version):
            return cached
        return self._store.read_confirmed()

    def adopt(self) -> None:
        """Begin the record, if there is none: what is cached was in force under an earlier release.

        Raises CacheError.
        """
        if self._path.exists():
            return
        cached = self._store.read()
        with self._lock:
            if cached:
                self._keep(cached.version)
            self._write()

    def forget(self) -> None:
        """The node was removed from the cluster."""
        with self._lock:
            self._standing, self._until, self._since = Standing(), math.inf, math.inf
            if self._path.exists():
                files.remove(self._path)

    def in_force(self, desired: Desired) -> Desired:
        """``desired``, or what stands in its place while its version is refused."""
        document = desired.document
        if document is None or not document.version or document.version != self._standing.refused:
            self._kept = None
            return desired
        kept = self._kept = self._kept or self._last_confirmed() or emptied(document)
        told = rollback.findings(document, kept, self._standing.seconds, self._settings.url)
        return dataclasses.replace(
            desired, document=kept, findings=(*desired.findings, *told), refused=document.version
        )

    def _last_confirmed(self) -> Document | None:
        try:
            return self._store.read_confirmed()
        except CacheError as error:
            log.error("%s", error)
            return None

    # -- the trial

    def before(self, document: Document, plan: Plan) -> None:
        """A plan is about to be carried out: put its version on trial, if it needs one."""
        harmless = all(isinstance(change.object, HARMLESS) for change in plan.changes)
        with self._lock:
            if document.confirm and not harmless and self._is_news(document):
                self._since = math.inf
                self._set(self._standing.begun(document.version, document.confirm, time.time()))

    def after(self, document: Document) -> None:
        """The document was carried out, as far as it goes. The trial of another one is now this one's."""
        with self._lock:
            held = self._standing
            if not self._is_news(document):
                self._set(held.settled())
            elif held.trial and document.confirm:
                now = time.time()
                self._set(held.begun(document.version, document.confirm, now).ended(now))
                self._since = time.monotonic()
            else:
                self._keep(document.version)

    def _is_news(self, document: Document) -> bool:
        return document.version not in ("", self._standing.confirmed)

    def interrupted(self) -> None:
        """The apply ended early. What it did stands until the next, and may be confirmed meanwhile."""
        if self._standing.trial:
            self._since = time.monotonic()

    def answered(self, begun: float) -> None:
        """An exchange that began then (``time.monotonic``) showed that the control plane is reached."""
        with self._lock:
            if self._standing.trial and begun >= self._since:
                log.info("confirmed", extra={"version": self._standing.trial[:12]})
                self._keep(self._standing.trial)

    def unanswered(self) -> None:
        """No answer came. A control plane that is being restarted is reached all the same."""
        begun = time.monotonic()
        try:
            if self.seconds and reach.reached(self._settings):
                self.answered(begun)
        except OSError as error:
            log.warning("whether the control plane is reached cannot be told: %s", error)

    def give_up(self) -> bool:
        """Roll back, if the time of the trial is up; whether it was."""
        with self._lock:
            if not self.is_over:
                return False
            version, seconds = self._standing.trial, self._standing.seconds
            log.error("rolled back", extra={"version": version[:12], "seconds": seconds})
            self._set(self._standing.rolled_back())
            return True

    # -- the disk

    def _keep(self, version: str) -> None:
        """The version may stay. It is on disk before the record says so."""
        try:
            kept = self._store.confirm(version)
        except OSError as error:
            log.error(
                "%s: cannot be written (%s); make room on the disk", self._store.confirmed, error.strerror
            )
            kept = True
        held = self._standing
        self._set(held.proved(version) if kept else held.settled())

    def _set(self, changed: Standing) -> None:
        """In force even where it cannot be written: then it is lost with this process."""
        if changed == self._standing:
            return
        self._standing = changed
        self._until = time.monotonic() + changed.remaining(time.time())
        if not changed.trial:
            self._since = math.inf
        self._write()

    def _write(self) -> None:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            files.replace(self._path, self._standing.dump(), 0o600)
        except OSError as error:
            log.error("%s: cannot be written (%s); make room on the disk", self._path, error.strerror)

    def _read(self) -> Standing:
        """What an earlier process left; of a record that is damaged, what the documents still tell."""
        kept = self._last_confirmed()
        try:
            held = standing.parse(self._path.read_bytes())
        except FileNotFoundError:
            return Standing()
        except (OSError, wire.WireError) as error:
            log.error("%s: %s; it is written anew", self._path, error)
            held = Standing()
        if kept and not held.confirmed:
            held = dataclasses.replace(held, confirmed=kept.version)
        # The process may have ended between the two writes of a confirmation.
        return held.proved(kept.version) if kept and kept.version == held.trial else held
