"""Routes of ours as the kernel has them: dumped at every look, decoded where they differ from the last dump.

    dump, by protocol -> the same object as last time?  yes: what was decoded then
                                                        no:  only bodies that are new are decoded

One that equals a wanted route is represented by it, so that the planner sees by identity what
is as it must be. Nothing is taken for granted: the kernel is asked each time.
"""

from collections.abc import Hashable, Mapping, Sequence
from operator import is_

from workers.changes import Owned
from workers.kernel import routes
from workers.kernel.messages import INET, INET6
from workers.kernel.netlink import Netlink
from workers.kernel.routes import Route, Routes

Objects = Mapping[Hashable, Owned]


NEVER: tuple[bytes, ...] = (b"",)
"""What no dump answers."""


class Present:
    """Of one network namespace and one thread."""

    def __init__(self, netlink: Netlink) -> None:
        self._netlink = netlink
        self._bodies: tuple[tuple[bytes, ...], ...] = (NEVER, NEVER)
        self._names: Mapping[int, str] = {}
        self.known: dict[bytes, Route] = {}
        """By their bodies in the last dump."""
        self._found: dict[Hashable, Route] = {}

    def routes(self, protocol: int, names: Mapping[int, str], wanted: Sequence[Objects]) -> Routes:
        """Those of ``protocol``, by key; ``names`` of devices by number."""
        bodies = tuple(self._netlink.redump(routes.dump(kind, protocol)) for kind in (INET, INET6))
        if names != self._names:
            self._names, self.known = names, {}
        elif all(map(is_, bodies, self._bodies)):
            return self._found
        known = self.known
        self.known = {
            body: known.get(body) or self._decode(body, wanted) for bodies_ in bodies for body in bodies_
        }
        # A kernel before 4.20 answers with the routes of everybody.
        self._found = {route.key: route for route in self.known.values() if route.protocol == protocol}
        self._bodies = bodies
        return self._found

    def _decode(self, body: bytes, wanted: Sequence[Objects]) -> Route:
        found = routes.decode(body, self._names)
        there = (group.get(found.key) for group in wanted)
        return next((one for one in there if isinstance(one, Route) and one == found), found)
