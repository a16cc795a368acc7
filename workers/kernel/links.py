"""Bridges: the devices of our networks.

    created down, with MAC and group      the group is part of the creating message, so a
      -> alias and MTU                    worker killed at any moment leaves no link that it
      -> (sysctls)                        does not know again; the alias is for people and in
      -> up                               the same datagram

A pinned MAC keeps the bridge's address when ports come and go: unpinned it takes the lowest
of its ports. The MTU goes in a message of its own, since only then the kernel keeps it when a
port has a smaller one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from struct import unpack_from

from workers.changes import Foreign, Verb
from workers.document import DesiredNetwork
from workers.host import Host, Link, address, first_address
from workers.kernel.messages import (
    LINK_HEADER,
    Flag,
    Request,
    Type,
    attribute,
    attributes,
    number,
    text,
    to_number,
    to_text,
)

ADDRESS, IFNAME, MTU, LINKINFO, IFALIAS, STATS64, GROUP = 1, 3, 4, 18, 20, 23, 27
INFO_KIND, INFO_DATA = 1, 2
IFF_UP, IFF_LOOPBACK = 0x1, 0x8
ALIAS = "netadmin "
"""Starts the alias of every link of ours; the name of its network follows."""
DUMP = Request(Type.GETLINK, Flag.DUMP, LINK_HEADER.pack(0, 0, 0, 0, 0))


@dataclass(frozen=True, slots=True)
class Bridge:
    name: str
    mac: str
    """Empty: whatever the kernel gives."""
    mtu: int
    group: int
    """Marks ours."""
    network: str = field(default="", compare=False)

    @property
    def key(self) -> tuple[str, str]:
        return ("link", self.name)

    @property
    def needs(self) -> str:
        return ""

    def __str__(self) -> str:
        return f"bridge {self.name} mtu {self.mtu}" + (f" mac {self.mac}" if self.mac else "")


@dataclass(frozen=True, slots=True)
class Up:
    """A bridge or tunnel of ours that is switched on."""

    device: str
    network: str = field(default="", compare=False)

    @property
    def key(self) -> tuple[str, str]:
        return ("up", self.device)

    @property
    def needs(self) -> str:
        return self.device

    def __str__(self) -> str:
        return f"{self.device} up"


def wanted(network: DesiredNetwork, mtu: int, group: int, host: Host) -> list[Bridge | Up]:
    """The bridge of a network; none when it is the operator's own. One that we once made stays ours."""
    there = host.links.get(network.device)
    if network.adopted and not (there and is_ours(there)):
        return []
    mac = pinned_mac(network.subnets) or (there.mac if there else "")
    return [Bridge(network.device, mac, mtu, group, network.name), Up(network.device, network.name)]


def pinned_mac(subnets: Iterable[str]) -> str:
    """``0a:58`` and the four bytes of the bridge's IPv4 address; empty without one: left alone."""
    for cidr in subnets:
        first = address(first_address(cidr).partition("/")[0])
        if first.version == 4:
            return (b"\x0a\x58" + first.packed).hex(":")
    return ""


def decode(body: bytes, group: int) -> tuple[Link, dict[int, bytes]]:
    """A link as the kernel has it, without its addresses, and those of its kind; ``group`` marks ours."""
    _, _, index, flags, _ = LINK_HEADER.unpack_from(body)
    found = attributes(body, LINK_HEADER.size)
    alias = to_text(found.get(IFALIAS, b""))
    rx_packets, tx_packets, rx_bytes, tx_bytes = unpack_from("=QQQQ", found.get(STATS64, bytes(32)))
    info = attributes(found.get(LINKINFO, b""), 0)
    link = Link(
        index=index,
        name=to_text(found[IFNAME]),
        kind="loopback" if flags & IFF_LOOPBACK else to_text(info.get(INFO_KIND, b"")),
        mac=found.get(ADDRESS, b"").hex(":"),
        mtu=to_number(found[MTU]),
        up=bool(flags & IFF_UP),
        ours=to_number(found.get(GROUP, bytes(4))) == group,
        network=alias.removeprefix(ALIAS) if alias.startswith(ALIAS) else "",
        rx_bytes=rx_bytes,
        tx_bytes=tx_bytes,
        rx_packets=rx_packets,
        tx_packets=tx_packets,
    )
    return link, attributes(info.get(INFO_DATA, b""), 0)


def ours(link: Link, group: int) -> list[Bridge | Up]:
    """The objects that a link of ours stands for; none for a link of others."""
    if not is_ours(link):
        return []
    bridge = Bridge(link.name, link.mac, link.mtu, group, link.network)
    return [bridge, Up(link.name, link.network)] if link.up else [bridge]


def foreign(link: Link) -> Foreign:
    """A link of others, which may be in the way of a bridge."""
    return Foreign(("link", link.name), f"{link.kind or 'hardware'} device {link.name}")


def is_ours(link: Link) -> bool:
    return link.ours and link.kind == "bridge"


def encode(verb: Verb, bridge: Bridge) -> list[Request]:
    """Requests that add, change or remove a bridge."""
    name = text(IFNAME, bridge.name)
    if verb is Verb.REMOVE:
        return [Request(Type.DELLINK, Flag(0), _header() + name)]
    mac = attribute(ADDRESS, bytes.fromhex(bridge.mac.replace(":", ""))) if bridge.mac else b""
    settings = name + number(MTU, bridge.mtu) + text(IFALIAS, ALIAS + bridge.network)
    if verb is Verb.CHANGE:
        return [Request(Type.NEWLINK, Flag(0), _header() + settings + mac)]
    created = name + number(GROUP, bridge.group) + attribute(LINKINFO, text(INFO_KIND, "bridge")) + mac
    return [
        Request(Type.NEWLINK, Flag.CREATE | Flag.EXCL, _header() + created),
        Request(Type.NEWLINK, Flag(0), _header() + settings),
    ]


def encode_up(verb: Verb, up: Up) -> list[Request]:
    """The request that switches a device on, or off."""
    flags = 0 if verb is Verb.REMOVE else IFF_UP
    return [
        Request(Type.NEWLINK, Flag(0), LINK_HEADER.pack(0, 0, 0, flags, IFF_UP) + text(IFNAME, up.device))
    ]


def _header() -> bytes:
    return LINK_HEADER.pack(0, 0, 0, 0, 0)
