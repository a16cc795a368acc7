"""The door to what the kernel would do with a packet: one question of the routing tables."""

import errno
import socket

from workers.kernel import lookup
from workers.kernel.netlink import Netlink, NetlinkError
from workers.probing.targets import Target
from workers.probing.verdict import Path


def path(target: Target) -> Path:
    """Where the kernel sends packets to the target now; of a namespace, the calling thread's."""
    own = _is_own(target)
    with Netlink() as netlink:
        try:
            body = netlink.ask(lookup.encode(target.address, target.source))
        except NetlinkError:
            return Path(own=own)
    route = lookup.decode(body, dict(socket.if_nameindex())).route
    return Path(route.device, route.via, own)


def _is_own(target: Target) -> bool:
    """Whether a socket can be bound to its source: an address that is tentative cannot be used either."""
    with socket.socket(socket.AF_INET if target.family == 4 else socket.AF_INET6, socket.SOCK_DGRAM) as tried:
        try:
            tried.bind((target.source, 0))
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise
            return False
    return True
