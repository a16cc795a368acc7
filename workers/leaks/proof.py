"""Whose lease can be dead: pure.

A lease is a suspect when its address is on no interface of any namespace, no control group of a
process has its container's id, libcni has no record of it with a namespace that is there, and every port
of its network's bridge leads to an interface that was looked at and has an address of its own. Of a network
without a bridge of ours (``ptp``, lists of others) it is not known where its interfaces are: then every end
of a veth on the node has to, but for those of our own bridges.
"""

from collections.abc import Callable, Iterable, Mapping

from workers.cni.store import Entry
from workers.leaks.sight import Sight

YOUNG = 10.0
"""Seconds in which a container may still be starting: runtimes take its address first."""


def suspects(
    entries: Iterable[Entry],
    seen: Sight,
    bridges: Mapping[str, str],
    is_recorded: Callable[[str, str, str], bool],
) -> list[Entry]:
    """``bridges``: the bridge of each network that has one."""
    anywhere = seen.blind - set(bridges.values())
    return [
        entry
        for entry in entries
        if entry.address not in seen.addresses
        and not (entry.container and entry.container in seen.words)
        and not (bridges[entry.network] in seen.blind if entry.network in bridges else anywhere)
        and not is_recorded(entry.network, entry.container, entry.interface)
    ]
