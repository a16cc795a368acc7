"""A route of ours that somebody deleted is back before anybody looks.

    RTM_DELROUTE with our mark, caused by others -> the wanted route with this key -> added again

Who empties a whole table looks again, and would take away what is back already: thousands are put
back when he is done, in one piece.

The event alone says what is missing, so nothing is dumped or planned first. The whole look that
the event also leads to confirms it. What the event does not tell is left to that look: a
route that is replaced by somebody (a conflict), one whose device went (the kernel refuses it),
events that were lost. Routes are added exclusively, so nothing of others can be taken over.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import cache

from workers.changes import Change, Owned, Verb
from workers.kernel import routes
from workers.kernel.door import Kernel
from workers.kernel.messages import Type
from workers.kernel.netlink import Message
from workers.kernel.routes import Route

FEW = 16
"""Routes that go at once without that somebody empties a table."""

Wanted = Sequence[Mapping[Hashable, Owned]]


def repair(
    messages: Sequence[Message],
    flood: Callable[[], list[Message]],
    wanted: Wanted,
    protocol: int,
    kernel: Kernel,
) -> list[Change]:
    """Put back what others deleted, as ``messages`` tell; what was done.

    When it is more than a FEW, what the kernel says until the ``flood`` is over is heard first.
    """
    netlink, known = kernel.netlink, kernel.present.known
    gone = lost(messages, wanted, protocol, netlink.port, known)
    if len(gone) > FEW:
        gone = lost([*messages, *flood()], wanted, protocol, netlink.port, known)
    return put_back(gone, kernel)


def lost(
    messages: Iterable[Message], wanted: Wanted, protocol: int, port: int, known: Mapping[bytes, Route]
) -> list[Route]:
    """The wanted routes that others deleted; ``port`` is ours, and what it deleted is meant to be gone.

    In the order of the events: what came into the place of a route since then is not judged here.
    ``known`` are routes by the bodies of the last dump, which need not be decoded again.
    """
    gone: dict[Hashable, Route] = {}
    for kind, _, _, cause, body in messages:
        if kind not in (Type.NEWROUTE, Type.DELROUTE) or (kind == Type.NEWROUTE and not gone):
            continue
        found = known.get(body) or routes.decode(body, {})
        gone.pop(found.key, None)
        if kind == Type.DELROUTE and found.protocol == protocol and cause != port:
            asked_for = (group.get(found.key) for group in wanted)
            gone.update((one.key, one) for one in asked_for if isinstance(one, Route))
    return list(gone.values())


def put_back(gone: Iterable[Route], kernel: Kernel) -> list[Change]:
    """Add them again, in one batch; what was done. A refusal is for the look to explain."""
    requests = []
    index = cache(kernel.netlink.index)
    for route in gone:
        try:
            request = routes.encode(Verb.ADD, route, index)
        except OSError:  # its device is gone
            continue
        requests.append((route, request))
    refusals = kernel.netlink.send([request for _, request in requests])
    return [Change(Verb.ADD, route) for (route, _), no in zip(requests, refusals, strict=True) if not no]
