"""The door to what the kernel would do with a packet: one question of the routing tables."""

import socket

from workers.kernel import routes
from workers.kernel.netlink import Netlink, NetlinkError
from workers.probing.targets import Target
from workers.probing.verdict import Path


def path(target: Target) -> Path:
    """Where the kernel sends packets to the target now; of a namespace, the calling thread's."""
    with Netlink() as netlink:
        try:
            body = netlink.ask(routes.lookup(target.address, target.source))
        except NetlinkError:
            return Path()
    route = routes.decode(body, dict(socket.if_nameindex()))
    return Path(route.device, route.via)
