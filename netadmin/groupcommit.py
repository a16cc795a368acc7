"""Requests that would wait for one lock are carried out by one of them, in one transaction.

    call(request) -> the queue -> whoever gets the turn takes all that wait -> one transaction -> answers

Under one lock, ten transactions of one row cost ten times the round trips of one with ten rows. Known of
databases as group commit. Only the threads of one process share; processes wait for the database's lock.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from django.db import transaction

from netadmin.problems import Problem

Q = TypeVar("Q")
A = TypeVar("A")
SIBLINGS = 0.005
"""Seconds that one waits for others when there were some last time; PostgreSQL calls it commit_delay."""


class Waiting(Generic[Q, A]):
    """A request that somebody waits for. Who carries it out answers or refuses it."""

    def __init__(self, request: Q) -> None:
        self.request = request
        self.answer: A | None = None
        self.error: BaseException | None = None

    @property
    def over(self) -> bool:
        return self.answer is not None or self.error is not None

    def outcome(self) -> A:
        if self.error is not None:
            raise self.error
        assert self.answer is not None, "carried out, and neither answered nor refused"
        return self.answer

    def refuse(self, problem: Problem) -> None:
        """This one cannot be; the others of its transaction can."""
        self.error = problem


class GroupCommit(Generic[Q, A]):
    """``carry_out`` answers or refuses each of the requests that it is given. What it raises, all of them
    get, and nothing is written."""

    def __init__(self, carry_out: Callable[[Sequence[Waiting[Q, A]]], None]) -> None:
        self._carry_out = carry_out
        self._queue: list[Waiting[Q, A]] = []
        self._queued = threading.Lock()
        self._turn = threading.Lock()
        self._shared = False
        """Whether several came together last time, so that more are likely to be on their way."""

    def call(self, request: Q) -> A:
        """The answer, once it is committed. Raises the refusal, or what went wrong for all.

        Not inside of a transaction: others would be answered before it is committed.
        """
        mine: Waiting[Q, A] = Waiting(request)
        with self._queued:
            self._queue.append(mine)
        with self._turn:
            if not mine.over:
                self._commit(self._all())
        return mine.outcome()

    def _all(self) -> list[Waiting[Q, A]]:
        """Who came alone last time does not wait for others."""
        if self._shared:
            time.sleep(SIBLINGS)
        with self._queued:
            waiting, self._queue = self._queue, []
        self._shared = len(waiting) > 1
        return waiting

    def _commit(self, waiting: list[Waiting[Q, A]]) -> None:
        try:
            with transaction.atomic(durable=True):
                self._carry_out(waiting)
        except BaseException as error:  # noqa: BLE001 - those who wait raise it, each in its own thread
            for one in waiting:
                one.error = one.error or error
