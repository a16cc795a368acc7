"""The thread that fetches what the node must hold, and says what became of it.

    fetch()   -> GET holdings -> verified -> hold(holdings) -> STATE_DIR/holdings.json
    say(...)  -> one slot, the newest wins -> POST statement, again until it is taken

A connection of its own: an address that is up is told at once, whatever else the worker has to say.
What was fetched is acted on before it is written to the disk, and the file of before is removed before that:
a worker that started with it would detach what came since. One that starts without waits, and detaches
nothing.
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

from workers import files, holdings, wire
from workers.config import Settings
from workers.control import Control, ControlError, Gone, Refused
from workers.holdings import Holdings, Statement

LONGEST_PAUSE = 30.0
"""Seconds between two attempts while the control plane is away; the first pause is half a second."""
FILE = "holdings.json"
"""In the worker's state directory."""
log = logging.getLogger("netadmin.attaching")


class Post(threading.Thread):
    """``fetch``, ``say`` and ``stop`` are for any thread; a request under way is not waited for."""

    def __init__(self, settings: Settings, hold: Callable[[Holdings], None]) -> None:
        super().__init__(name="post", daemon=True)
        self.path = settings.state_dir / FILE
        self._node = settings.node
        self._control = Control(settings)
        self._hold = hold
        self._version = 0
        self._asked = False
        self._mail: Statement | None = None
        self._failures = 0
        self._not_before = 0.0
        self._state = ""
        self._stopped = False
        self._changed = threading.Condition()

    def cached(self) -> Holdings | None:
        """What was fetched last, by an earlier process; None: nothing, or not whole."""
        found = cached(self.path, self._node)
        self._version = found.version if found else 0
        return found

    def drop(self) -> None:
        """Forget what was fetched: the node was removed from the cluster."""
        files.remove(self.path)
        self._version = 0

    def fetch(self, version: int = 0) -> None:
        """Ask for what the node must hold, unless that ``version`` is known already. A wake-up knows none."""
        with self._changed:
            if not version or version != self._version:
                self._asked = True
                if not version:
                    self._not_before = 0.0
                self._changed.notify()

    def say(self, newest: Statement) -> None:
        """Hand in ``newest`` as soon as possible, in place of one that still waits."""
        with self._changed:
            self._mail = newest
            self._changed.notify()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def run(self) -> None:
        while not self._stopped:
            asked, mail = self._next()
            try:
                if asked:
                    self._fetch()
                elif mail:
                    self._control.state(holdings.dump(mail))
                self._answered()
            except (Refused, wire.WireError) as error:
                log.error("%s", error)
            except Gone:
                pass  # the agent learns it too, and takes everything away
            except ControlError as error:
                if type(error).__name__ != self._state:
                    log.warning("%s", error)
                self._state = type(error).__name__
                self._again(asked, mail)
            except Exception:
                log.exception("holdings: failed; attachments stay as they are")
                self._again(asked, mail)
        self._control.close()

    def _next(self) -> tuple[bool, Statement | None]:
        """Sleep until there is something to do."""
        with self._changed:
            while not self._stopped:
                pause = self._not_before - time.monotonic()
                waits = self._asked or self._mail is not None
                if waits and pause <= 0:
                    break
                self._changed.wait(pause if waits else None)
            asked, self._asked = self._asked, False
            mail = None
            if not asked:
                mail, self._mail = self._mail, None
            return asked, mail

    def _fetch(self) -> None:
        body = self._control.holdings(self._version)
        if body is None:
            return
        found = verified(body, self._node)
        self._version = found.version
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s: cannot be removed (%s)", self.path, error)
        self._hold(found)
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            files.replace(self.path, body, 0o600)
        except OSError as error:
            log.warning("%s: cannot be written (%s); a restart needs the control plane", self.path, error)

    def _answered(self) -> None:
        self._state, self._failures = "", 0

    def _again(self, asked: bool, mail: Statement | None) -> None:
        """Later, and later each time; what is newer meanwhile counts."""
        with self._changed:
            self._asked = self._asked or asked
            self._mail = self._mail or mail
            self._failures += 1
            pause = min(0.5 * 2 ** min(self._failures - 1, 10), LONGEST_PAUSE) * random.uniform(0.75, 1.0)
            self._not_before = time.monotonic() + pause


def verified(body: bytes, node: str) -> Holdings:
    """Read holdings and make sure that they are this node's; raises WireError."""
    found = holdings.parse(body)
    if found.node != node:
        raise wire.WireError(f"node={found.node}: these holdings are not for {node}")
    return found


def cached(path: Path, node: str) -> Holdings | None:
    """What was written last; None: nothing, or not whole."""
    try:
        return verified(path.read_bytes(), node)
    except FileNotFoundError:
        return None
    except (OSError, wire.WireError) as error:
        log.error("%s: %s; ignored until the control plane answers", path, error)
        return None
