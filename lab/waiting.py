"""Wait for a condition, with a limit; never for a time."""

import time
from collections.abc import Callable, Sized
from typing import TypeVar

Value = TypeVar("Value")
Left = TypeVar("Left", bound=Sized)
_PAUSE = 0.02
"""Seconds between two looks: short beside what is waited for, long beside one look."""


class TooLate(AssertionError):
    """The condition did not come true within its limit; says which, and what was seen last."""


def until(look: Callable[[], Value], *, what: str, within: float) -> Value:
    """Look until the result is true (as ``if`` sees it) and return it.

    Raises TooLate after ``within`` seconds, with the last result in the message.
    """
    return _look(look, bool, what, within)


def until_empty(look: Callable[[], Left], *, what: str, within: float) -> None:
    """Look at what is left until nothing is. Raises TooLate, with what was left."""
    _look(look, lambda left: len(left) == 0, what, within)


def _look(look: Callable[[], Value], done: Callable[[Value], bool], what: str, within: float) -> Value:
    end = time.monotonic() + within
    while not done(value := look()):
        if time.monotonic() > end:
            raise TooLate(f"not within {within:g} s: {what} (last seen: {value!r})")
        time.sleep(_PAUSE)
    return value
