"""Who would be freed, and freeing at once what is asked for: two looks, and one more under the lock."""

import time
from typing import Any

from workers.asked import Ground
from workers.leaked import Leak, Leaked
from workers.leaks.finder import Finder

BETWEEN = 0.5
"""Seconds between the two looks."""


def leases(body: Any, ground: Ground) -> Leaked:
    """The grace time is not waited for: who asks knows what he wants. The proof is the same."""
    ours = set(map(str, body.get("ours", ())))
    finder = Finder(ground.settings, lambda: ground.document, lambda: ours, lambda: None)
    looked, dead = finder.look()
    if dead:
        time.sleep(BETWEEN)
        again = set(finder.look()[1])
        dead = [entry for entry in dead if entry in again]
    freed = set(finder.free(dead)) if body.get("release") else set()
    return Leaked(
        tuple(
            Leak(
                one.network,
                str(one.address),
                one.container,
                one.interface,
                one.written / 1e9,
                one in freed,
            )
            for one in dead
        ),
        looked,
    )
