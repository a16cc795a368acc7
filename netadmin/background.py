"""One thread that makes calls which nobody waits for.

    later = Later("broker")
    later.call(wake_up, ("n1", "n2"))      # returns at once
    later.done(within=1.0)                 # at the end of the process: True when all were made

Calls are made one after the other, in order. A call that waits already is not made twice: it
moves to the end. So what piles up behind a server that hangs is bounded by the number of
different calls.
"""

import threading
from collections.abc import Callable
from typing import Any

Call = tuple[Callable[..., object], tuple[Any, ...]]


class Later:
    """The thread is a daemon: it starts with the first call and never keeps a process alive."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._waiting: dict[Call, None] = {}
        self._calling = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def call(self, function: Callable[..., object], *args: Any) -> None:
        """``args`` must be hashable. ``function`` handles its own errors."""
        with self._changed:
            self._waiting.pop((function, args), None)
            self._waiting[function, args] = None
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
                self._changed.wait_for(lambda: bool(self._waiting))
                function, args = next(iter(self._waiting))
                del self._waiting[function, args]
                self._calling = True
            function(*args)
