"""Requests that would wait for one lock are carried out by one of them, in one transaction.

    call(request) -> the queue -> whoever gets the turn takes all that wait -> one transaction -> answers

Under one lock, ten transactions of one row cost ten times the round trips of one with ten rows. Known of
databases as group commit. Only the threads of one process share; processes wait for the database's lock.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from django.db import transaction

from netadmin.problems import Problem

Q = TypeVar("Q")
A = TypeVar("A")
SIBLINGS = 0.005
"""Seconds that one waits at most for others when there were some last time; PostgreSQL calls it
commit_delay."""


class Waiting(Generic[Q, A]):
    """A request that somebody waits for. Who carries it out answers or refuses it."""

    def __init__(self, request: Q) -> None:
        self.request = request
        self.answer: A | None = None
        self.error: BaseException | None = None
        self.over = False
        """Whether its transaction is: an answer counts for nothing before that is committed."""

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
        self._expected = 1
        """Those of last time, who are likely to be on their way again, and those who came meanwhile."""
        self._taken = False
        """Whether somebody has the turn."""
        lock = threading.Lock()
        self._passed = threading.Condition(lock)
        """The turn: there are answers, and who waits for none has it next."""
        self._complete = threading.Condition(lock)
        """As many wait as were expected."""

    def call(self, request: Q) -> A:
        """The answer, once it is committed. Raises the refusal, or what went wrong for all.

        Not inside of a transaction: others would be answered before it is committed.
        """
        mine: Waiting[Q, A] = Waiting(request)
        with self._passed:
            self._queue.append(mine)
            if len(self._queue) >= self._expected:
                self._complete.notify()
            self._passed.wait_for(lambda: mine.over or not self._taken)
            if mine.over:
                return mine.outcome()
            self._taken = True
        self._lead()
        return mine.outcome()

    def _lead(self) -> None:
        """Have the turn, and pass it on whatever happens."""
        waiting: list[Waiting[Q, A]] = []
        try:
            waiting = self._all()
            self._commit(waiting)
        finally:
            with self._passed:
                for one in waiting:
                    one.over = True
                self._taken = False
                self._expected = len(waiting) + len(self._queue)
                self._passed.notify_all()

    def _all(self) -> list[Waiting[Q, A]]:
        """Who wait now. If several came together last time, a moment later; who came alone does not wait."""
        with self._complete:
            self._complete.wait_for(lambda: len(self._queue) >= self._expected, SIBLINGS)
            waiting, self._queue = self._queue, []
            return waiting

    def _commit(self, waiting: list[Waiting[Q, A]]) -> None:
        try:
            with transaction.atomic(durable=True):
                self._carry_out(waiting)
        except BaseException as error:  # noqa: BLE001 - those who wait raise it, each in its own thread
            for one in waiting:
                one.error = one.error or error
