"""Wait for a condition, with a limit; never for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")
_PAUSE = 0.02
"""Seconds between two looks: short beside what is waited for, long beside one look."""


class TooLate(AssertionError):
    """The condition did not come true within its limit; says which, and what was seen last."""


def until(look: Callable[[], Value], *, what: str, within: float) -> Value:
    """Look until the result is true (as ``if`` sees it) and return it.

    Raises TooLate after ``within`` seconds, with the last result in the message.
    """
    end = time.monotonic() + within
    while not (value := look()):
        if time.monotonic() > end:
            raise TooLate(f"not within {within:g} s: {what} (last seen: {value!r})")
        time.sleep(_PAUSE)
    return value
