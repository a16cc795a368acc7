"""A pure function that remembers one result per key: the last one, for as long as its arguments are equal.

    @latest(lambda network, node: network.name)
    def reach(network, node): ...

Unlike an ``lru_cache`` it hashes nothing and keeps nothing of what a network was before, which
with thousands of peers would be megabytes. For any thread: two at once work it out twice.
"""

from collections.abc import Callable, Hashable
from functools import wraps
from typing import ParamSpec, TypeVar

MOST = 1024
"""Keys; a node has fewer networks, and those that it had are forgotten some time."""

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def latest(
    key: Callable[Arguments, Hashable],
) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Result]]:
    """Decorate a function of positional arguments."""

    def decorate(work: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        kept: dict[Hashable, tuple[tuple[object, ...], Result]] = {}

        @wraps(work)
        def remembered(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            of = key(*args, **kwargs)
            before = kept.get(of)
            if before and before[0] == args:
                return before[1]
            if len(kept) >= MOST:
                kept.clear()
            result = work(*args, **kwargs)
            kept[of] = args, result
            return result

        return remembered

    return decorate
