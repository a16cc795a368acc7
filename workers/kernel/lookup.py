"""What the kernel would do with a packet: one question of its routing tables.

It walks the policy rules and tables as for a real packet: one that comes in by a device is
judged by that device's switches too (forwarding, reverse path filter). The answer is the
route that matched, with its table and who made it (RTM_F_FIB_MATCH), not what follows from it.
Source: the kernel's net/ipv4/route.c and net/ipv6/route.c, rtnetlink(7).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from workers.kernel import routes
from workers.kernel.messages import (
    INET,
    ROUTE_HEADER,
    Flag,
    Request,
    Type,
    attribute,
    family,
    number,
    packed,
)
from workers.kernel.routes import DST, Route

SRC, IIF = 2, 3
LOCAL = 255
LOOKUP_TABLE, FIB_MATCH = 0x1000, 0x2000
"""Without the first an IPv4 answer names table main, whichever it was (RTM_F_LOOKUP_TABLE); IPv6
refuses it."""
KINDS = {1: "unicast", 2: "local", 3: "broadcast", 6: "blackhole", 7: "unreachable", 8: "prohibit"}
"""rtm_type, of those that a look-up can find."""
MAKERS = {0: "nobody", 1: "redirect", 2: "kernel", 3: "boot", 4: "static", 9: "ra", 11: "zebra", 12: "bird",
          16: "dhcp", 18: "keepalived", 186: "bgp", 188: "ospf"}  # fmt: skip
"""Names of routing protocols (rt_protos, ip-route(8))."""


@dataclass(frozen=True, slots=True)
class Match:
    """The route that a packet takes."""

    route: Route
    kind: str
    """``unicast``, ``local`` ..."""


def encode(destination: str, source: str = "", device: int = 0) -> Request:
    """Asks for a packet that comes in by the device of this number; 0: one of the node itself."""
    bits = 8 * len(packed(destination))
    kind = family(destination)
    flags = FIB_MATCH | (LOOKUP_TABLE if kind == INET else 0)
    header = ROUTE_HEADER.pack(kind, bits, bits if source else 0, 0, 0, 0, 0, 0, flags)
    body = header + attribute(DST, packed(destination))
    body += attribute(SRC, packed(source)) if source else b""
    return Request(Type.GETROUTE, Flag(0), body + (number(IIF, device) if device else b""))


def decode(body: bytes, names: Mapping[int, str]) -> Match:
    """A route that the kernel gave, by a look-up or in a dump; ``names`` of devices by number.

    As long as there are no policy rules the kernel keeps local and main as one table, and calls it main.
    """
    number = ROUTE_HEADER.unpack_from(body)[7]
    kind, route = KINDS.get(number, f"type {number}"), routes.decode(body, names)
    return Match(replace(route, table=LOCAL) if kind == "local" else route, kind)
