"""Waiting for something that nodes do: looked at again and again, and nothing is held between two looks.

Two requests may wait at once; when others do already, one is answered as things stand. The other
threads are for those who bring what is waited for.
"""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

WAITERS = threading.BoundedSemaphore(2)
FIRST_PAUSE, LONGEST_PAUSE = 0.01, 0.2
"""Seconds between two looks."""


def until(look: Callable[[], T], done: Callable[[T], bool], seconds: float) -> T:
    """What is seen once it is done, or after so long."""
    end = time.monotonic() + seconds
    pause = FIRST_PAUSE
    while not done(found := look()) and (left := end - time.monotonic()) > 0:
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, LONGEST_PAUSE)
    return found


def beside_others(look: Callable[[], T], done: Callable[[T], bool], seconds: float) -> T:
    """The same for a request."""
    if not seconds or not WAITERS.acquire(blocking=False):
        return look()
    try:
        return until(look, done, seconds)
    finally:
        WAITERS.release()
