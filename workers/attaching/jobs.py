"""Jobs side by side, in threads that wait for the next one.

SIDE_BY_SIDE of them have a place, in all and of each network. One that lasts gives its place in all to
another, as a plugin that hangs is no reason to keep other networks waiting; its place in its network it
keeps, so that there are never more threads than SIDE_BY_SIDE for each network. Where the system gives no more
threads, jobs wait for those that there are.
"""

import logging
import math
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

SIDE_BY_SIDE = 4
"""Plugins of one network wait for each other's lock on the store; detachments overlap."""
LASTING = 1.0
"""Seconds from which a job is one that lasts: an ADD takes some 20 ms."""
ENDING = 5.0
"""Seconds that jobs have to come to their end when the worker ends."""
log = logging.getLogger("netadmin.attaching")


class Jobs:
    """For one thread, which is told by the jobs themselves when they are done."""

    def __init__(self) -> None:
        self._running: dict[str, tuple[str, float]] = {}
        """Network, and when it was started, by the monotonic clock."""
        self._given: queue.SimpleQueue[tuple[Callable[..., object], tuple[Any, ...]] | None] = (
            queue.SimpleQueue()
        )
        self._threads: list[threading.Thread] = []

    def __contains__(self, key: str) -> bool:
        """Whether one with this key was started and has not ended."""
        return key in self._running

    def has_room(self, network: str, now: float) -> bool:
        """Whether one of this network can be started."""
        young = sum(_is_young(started, now) for _, started in self._running.values())
        of_network = sum(other == network for other, _ in self._running.values())
        return max(young, of_network) < SIDE_BY_SIDE

    def next_room(self, now: float) -> float:
        """When there may be room without the end of a job, as time.monotonic() counts."""
        young = [started for _, started in self._running.values() if _is_young(started, now)]
        return min(young, default=math.inf) + LASTING

    def start(self, key: str, network: str, job: Callable[..., object], *args: Any) -> None:
        """Raises RuntimeError when there is no thread at all: then nothing was started."""
        if len(self._running) >= len(self._threads):
            self._add_thread()
        self._running[key] = network, time.monotonic()
        self._given.put((job, args))

    def _add_thread(self) -> None:
        """Raises RuntimeError when there is none, and none can be had."""
        thread = threading.Thread(target=self._run, name=f"attach-{len(self._threads)}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            if not self._threads:
                raise
            log.warning("%s; %d are there", error, len(self._threads))
        else:
            self._threads.append(thread)

    def ended(self, key: str) -> None:
        del self._running[key]

    def stop(self) -> None:
        """Those that do not come to their end in time are left alone, and end with the process."""
        for _ in self._threads:
            self._given.put(None)
        end = time.monotonic() + ENDING
        for thread in self._threads:
            thread.join(max(end - time.monotonic(), 0.0))

    def _run(self) -> None:
        while given := self._given.get():
            job, args = given
            job(*args)


def _is_young(started: float, now: float) -> bool:
    return started + LASTING > now
