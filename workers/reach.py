"""Whether the machine of the control plane is reached, even if nothing on it answers HTTP.

A connection that it takes or refuses is a packet that went there and one that came back, so
a control plane that is being restarted is no reason to take a change back. It proves
nothing if the way leads over what we built: then it may be our own bridge that took the
control plane's address, or a container behind it, that answers.
"""

import socket
from urllib.parse import urlsplit

from workers.config import Settings
from workers.kernel import addresses, links, lookup
from workers.kernel.netlink import Netlink

SECONDS = 1.0
"""That one connection may take."""
PORTS = {"http": 80, "https": 443}


def reached(settings: Settings) -> bool:
    """By any of the addresses of its name. Raises OSError when the kernel does not answer."""
    parts = urlsplit(settings.url)
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or PORTS[parts.scheme], type=socket.SOCK_STREAM)
    except OSError:
        return False
    return any(
        _speaks(kind, place) and not over_ours(str(place[0]), settings) for kind, _, _, _, place in found
    )


def over_ours(address: str, settings: Settings) -> bool:
    """Whether the kernel's way to an address is a route, a device or an address of ours."""
    with Netlink() as netlink:
        found = [links.decode(body, settings.group)[0] for body in netlink.dump(links.DUMP)]
        held = [addresses.decode(body)[1] for body in netlink.dump(addresses.DUMP)]
        names = {link.index: link.name for link in found}
        route = lookup.decode(netlink.ask(lookup.encode(address)), names).route
    return (
        route.protocol == settings.protocol
        or route.device in {link.name for link in found if link.ours}
        or route.src in {one.address.partition("/")[0] for one in held if one.protocol == settings.protocol}
    )


def _speaks(kind: int, place: tuple[object, ...]) -> bool:
    with socket.socket(kind, socket.SOCK_STREAM) as connection:
        connection.settimeout(SECONDS)
        try:
            connection.connect(place)
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
        return True
