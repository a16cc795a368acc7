"""Addresses of bridges: the first of each subnet, marked by IFA_PROTO.

IPv6 addresses skip duplicate address detection: the segment belongs to one node, and on a
bridge with a pinned MAC and no port yet the detection never ends, so that the address
would stay tentative and unreachable (RFC 4862, 5.4). For the same reason a bridge of ours has a
link-local address from the start: the kernel gives it one with the first port and looks for
duplicates for a second or two, in which it asks for no neighbour, and packets to the first
container are lost.

IPv4 tells addresses of a device apart by address and prefix length, IPv6 by the address
alone; there a new prefix length means taking the address away first.
"""

from dataclasses import dataclass, field

from workers.changes import Verb
from workers.document import DesiredNetwork
from workers.host import Held, first_address
from workers.kernel.messages import (
    ADDRESS_HEADER,
    INET6,
    Flag,
    IndexOf,
    Request,
    Type,
    attribute,
    attributes,
    family,
    packed,
    unpacked,
)

ADDRESS, LOCAL, PROTO = 1, 2, 11
NODAD = 0x02
LINK_LOCAL = "fe80::1/64"
"""The same on every bridge: it means something on that link only, and no container is given it."""
DUMP = Request(Type.GETADDR, Flag.DUMP, ADDRESS_HEADER.pack(0, 0, 0, 0, 0))


@dataclass(frozen=True, slots=True)
class Address:
    device: str
    address: str
    """With prefix length."""
    protocol: int = field(compare=False)
    """Marks ours. One of others that equals a wanted one does its service."""
    network: str = field(default="", compare=False)

    @property
    def key(self) -> tuple[str, str, str]:
        kept = self.address.partition("/")[0] if ":" in self.address else self.address
        return ("address", self.device, kept)

    @property
    def needs(self) -> str:
        return self.device

    def __str__(self) -> str:
        return f"address {self.address} dev {self.device}"


def wanted(network: DesiredNetwork, protocol: int) -> list[Address]:
    """The bridge's address in each of the node's subnets; in IPv6 one of the link too, on our own bridge."""
    wanted = [first_address(cidr) for cidr in network.subnets]
    if not network.adopted and any(family(one) == INET6 for one in wanted):
        wanted.append(LINK_LOCAL)
    return [Address(network.device, one, protocol, network.name) for one in wanted]


def decode(body: bytes) -> tuple[int, Held]:
    """Number of the device, and the address that it has."""
    _, length, _, _, index = ADDRESS_HEADER.unpack_from(body)
    found = attributes(body, ADDRESS_HEADER.size)
    address = unpacked(found.get(LOCAL) or found[ADDRESS])
    return index, Held(f"{address}/{length}", found.get(PROTO, b"\0")[0])


def encode(verb: Verb, address: Address, was: Address | None, index: IndexOf) -> list[Request]:
    """Requests that add, change or remove an address."""
    device = index(address.device)
    if verb is Verb.REMOVE:
        return [Request(Type.DELADDR, Flag(0), _body(address, device, b""))]
    mark = attribute(PROTO, bytes([address.protocol]))
    added = Request(Type.NEWADDR, Flag.CREATE | Flag.EXCL, _body(address, device, mark))
    return [Request(Type.DELADDR, Flag(0), _body(was, device, b"")), added] if was else [added]


def _body(address: Address, device: int, mark: bytes) -> bytes:
    text, _, length = address.address.partition("/")
    kind, value = family(text), packed(text)
    header = ADDRESS_HEADER.pack(kind, int(length), NODAD if kind == INET6 else 0, 0, device)
    return header + attribute(LOCAL, value) + attribute(ADDRESS, value) + mark
