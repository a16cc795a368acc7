"""One thread that makes calls which nobody waits for.

    later = Later("broker")
    later.call(wake_up, ("n1", "n2"))      # returns at once
    later.done(within=1.0)                 # at the end of the process: True when all were made

Calls are made one after the other, in order. A call that waits already is not made twice: it
moves to the end. So what piles up behind a server that hangs is bounded by the number of
different calls. Calls that are to be some time apart let the others pass meanwhile.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

Call = tuple[Callable[..., object], tuple[Any, ...]]


class Later:
    """The thread is a daemon: it starts with the first call and never keeps a process alive."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._waiting: dict[Call, float] = {}
        """When each may be made, by the monotonic clock."""
        self._next_due: dict[Call, float] = {}
        """The same of calls that are to be some time apart, for the next time."""
        self._calling = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def call(self, function: Callable[..., object], *args: Any, apart: float = 0.0) -> None:
        """``args`` must be hashable. ``function`` handles its own errors. ``apart``: seconds that pass at
        least between two of the same call."""
        call = function, args
        with self._changed:
            due = self._waiting.pop(call, self._next_due.get(call, 0.0))
            self._waiting[call] = due
            if apart:
                self._next_due[call] = max(due, time.monotonic()) + apart
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def done(self, within: float) -> bool:
        """Wait until every call was made, ``within`` seconds at most."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._waiting or self._calling), within)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._calling = False
                self._changed.notify_all()
                function, args = self._next()
                self._calling = True
            function(*args)

    def _next(self) -> Call:
        """Take the first that may be made, when there is one."""
        while True:
            now = time.monotonic()
            for call, due in self._waiting.items():
                if due <= now:
                    del self._waiting[call]
                    return call
            self._changed.wait(min(self._waiting.values()) - now if self._waiting else None)
