"""Before a network is offered to container runtimes, what is reserved in it is held.

    courier   named(version)             the control plane has holdings of that version for this node
    keeper    held(version, troubles)    those that are reserved are in the lease store, but for troubles
    agent     let_pass(network)          its CNI file is about to be written: waits a little, then refuses

Who has read the file may take any address that is free a moment later. A node that joins hears of its
networks and of what is reserved in them in two answers, and one that starts may find the store empty.
While the control plane is away what was fetched last counts; of a node without even that, nothing is
known to be reserved.
"""

import threading
import time
from collections.abc import Callable, Mapping

PATIENCE = 2.0
"""Seconds from the moment that reservations are named: an answer and a few files take milliseconds."""


class Unreserved(Exception):
    """What is reserved in a network is not held yet; says why. ``remedy``: what helps."""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(why)
        self.remedy = remedy


class Gate:
    """For any thread."""

    def __init__(self, opened: Callable[[], None]) -> None:
        """``opened``: called when more is held, after somebody was refused."""
        self._opened = opened
        self._changed = threading.Condition()
        self._named = 0
        self._held = -1
        """-1: not even looked at what an earlier process had fetched."""
        self._troubles: Mapping[str, str] = {}
        self._until = time.monotonic() + PATIENCE
        self._refused = False

    def named(self, version: int) -> None:
        """The control plane has holdings of ``version`` for this node."""
        with self._changed:
            if version > self._named:
                self._named, self._until = version, time.monotonic() + PATIENCE

    def held(self, version: int, troubles: Mapping[str, str]) -> None:
        """All reservations of ``version`` are held, but in the networks of ``troubles`` (why, by network)."""
        with self._changed:
            self._held, self._troubles = version, troubles
            self._changed.notify_all()
            refused, self._refused = self._refused, False
        if refused:
            self._opened()

    def settle(self) -> None:
        """Wait until what is known to be reserved is held, but not for long."""
        with self._changed:
            self._changed.wait_for(lambda: self._held >= 0, PATIENCE)

    def let_pass(self, network: str) -> None:
        """Wait until all that is reserved in ``network`` is held; raises Unreserved."""
        with self._changed:
            rest = max(self._until - time.monotonic(), 0)
            if not self._changed.wait_for(lambda: self._is_open(network), rest):
                self._refused = True
                raise self._why(network)

    def _is_open(self, network: str) -> bool:
        return self._held >= self._named and network not in self._troubles

    def _why(self, network: str) -> Unreserved:
        unwritten = "the file is not written, or a runtime could take an address that is reserved"
        if trouble := self._troubles.get(network):
            return Unreserved(f"reservations cannot be held ({trouble}); {unwritten}", "It is tried again")
        remedy = "See in the worker's log why holdings/ cannot be fetched; written at once when they are"
        return Unreserved(f"what is reserved could not be fetched yet; {unwritten}", remedy)
