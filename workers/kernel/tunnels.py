"""Tunnels: one device per kind and local end, shared by all networks and all peers of the node.

    kind     over   carries  device                          each peer is a route
    ipip     IPv4   IPv4     na_ipip0a000001  local 10.0.0.1   via 10.0.0.2 onlink
    sit      IPv4   IPv6     na_sit0a000001   local 10.0.0.1   via ::10.0.0.2 onlink
    gre      IPv4   both     na_gre           external         encap ip dst 10.0.0.2
    ip6tnl   IPv6   both     na_ip6           external         encap ip6 dst fd00:aa::2
    ip6gre   IPv6   both     na_ip6gre        external         encap ip6 dst fd00:aa::2
    vxlan    both   both     na_vxlan         external, gpe    encap ip or ip6

A thousand peers are a thousand routes and one device. A device with a local end has it in its
name, so another address is another device: the new is up before the old goes. The kernel
takes one external device of a kind, so there the local end is part of the route.

The don't-fragment flag is part of the encapsulation over IPv4: without it a packet that is too
large for the underlay is cut in two instead of being refused, and no full-size probe would
tell. VXLAN over IPv6 needs its checksum, else the receiver drops all. IPv6 tunnels go without
the encapsulation limit, which costs eight bytes (RFC 2473, 4.1.1). Nobody's packets are
judged here: who may send into a device is the firewall's matter. Sources: ip-link(8),
include/uapi/linux/{if_tunnel,if_link,lwtunnel}.h.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from struct import pack
from typing import NamedTuple

from workers.changes import Foreign, Verb
from workers.document import OVERHEADS
from workers.host import Host, Link, address
from workers.kernel.links import ALIAS, GROUP, IFALIAS, IFNAME, INFO_DATA, INFO_KIND, LINKINFO, MTU, Up
from workers.kernel.messages import (
    INET,
    INET6,
    LINK_HEADER,
    Flag,
    Request,
    Type,
    attribute,
    attributes,
    family,
    number,
    packed,
    text,
    unpacked,
)
from workers.kernel.sysctls import Sysctl

PORT = 4790
"""UDP port of VXLAN-GPE (IANA)."""
TTL = 64
"""Of the outer packet; inherited it would let a traceroute end in the underlay."""
VNI = 1
"""An external device accepts every one, so one will do."""
CHECKSUM, DONT_FRAGMENT = 0x0001, 0x0100
IGNORE_ENCAP_LIMIT = 0x1
STRICT = 1
"""Value of rp_filter; the larger of all and the device counts. On a device without an IPv4 address, as ours
are, any other than 0 drops what is not answered through it."""
FALLBACK = ("tunl0", "sit0", "gre0", "gretap0", "erspan0", "ip6tnl0", "ip6gre0")
"""The kernel's own devices: down they accept nothing, up they accept from anybody. Never touched."""


class Attributes(NamedTuple):
    """Numbers of a kind's attributes."""

    local: int
    remote: int
    external: int
    flags: int = 0


IPTUN, GRE, VXLAN = Attributes(2, 3, 19, 8), Attributes(6, 7, 18, 13), Attributes(4, 2, 25)
IPTUN_TTL, IPTUN_ENCAP_LIMIT, IPTUN_PROTO = 4, 6, 9
VXLAN_LEARNING, VXLAN_PORT, VXLAN_GPE = 7, 15, 27
KINDS: Mapping[str, Attributes] = {
    "ipip": IPTUN,
    "sit": IPTUN,
    "ip6tnl": IPTUN,
    "gre": GRE,
    "ip6gre": GRE,
    "vxlan": VXLAN,
}
NAMES = {
    "ipip": "na_ipip",
    "sit": "na_sit",
    "gre": "na_gre",
    "ip6tnl": "na_ip6",
    "ip6gre": "na_ip6gre",
    "vxlan": "na_vxlan",
}
MODES = {"sit": "ipip", "ip6tnl": "ip6ip6"}
"""Mode of a kind, where the names differ."""
CHOICE: Mapping[tuple[str, int, int], str] = {
    ("ipip", INET, INET): "ipip",
    ("ipip", INET, INET6): "sit",
    ("ipip", INET6, INET): "ip6tnl",
    ("ipip", INET6, INET6): "ip6tnl",
    ("ip6ip6", INET6, INET): "ip6tnl",
    ("ip6ip6", INET6, INET6): "ip6tnl",
    ("gre", INET, INET): "gre",
    ("gre", INET, INET6): "gre",
    ("gre", INET6, INET): "ip6gre",
    ("gre", INET6, INET6): "ip6gre",
    ("ip6gre", INET6, INET): "ip6gre",
    ("ip6gre", INET6, INET6): "ip6gre",
    ("vxlan", INET, INET): "vxlan",
    ("vxlan", INET, INET6): "vxlan",
    ("vxlan", INET6, INET): "vxlan",
    ("vxlan", INET6, INET6): "vxlan",
}
"""Kind of device by declared mode, family of the ends, and family inside."""


class Encap(NamedTuple):
    """What a route puts around its packets (LWTUNNEL_IP_*)."""

    remote: str
    local: str
    flags: int
    ttl: int = TTL
    id: int = VNI


class Way(NamedTuple):
    """How one peer is reached through a tunnel."""

    kind: str
    local: str
    remote: str

    @property
    def by_device(self) -> bool:
        """The device has the local end, and the next hop is the other one."""
        return self.kind in ("ipip", "sit")

    @property
    def device(self) -> str:
        return NAMES[self.kind] + (packed(self.local).hex() if self.by_device else "")

    @property
    def via(self) -> str:
        """The next hop of a device with a local end, in the family of what it carries."""
        if not self.by_device:
            return ""
        return str(address(f"::{self.remote}")) if self.kind == "sit" else self.remote

    @property
    def encap(self) -> Encap | None:
        if self.by_device:
            return None
        over6 = CHECKSUM if self.kind == "vxlan" else 0
        return Encap(self.remote, self.local, DONT_FRAGMENT if family(self.remote) == INET else over6)


@dataclass(frozen=True, slots=True)
class Tunnel:
    name: str
    kind: str
    ends: str
    """``local ADDRESS``, ``external`` or ``port NUMBER external gpe``."""
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
        return f"tunnel {self.name} {self.kind} {self.ends} mtu {self.mtu}"


def way(mode: str, own: Iterable[str], theirs: Iterable[str], inside: int) -> Way | None:
    """The tunnel to a peer: between ends of the family inside when both have one, else of the other."""
    locals_ = {family(one): one for one in own}
    remotes = {family(one): one for one in theirs}
    for over in sorted((INET, INET6), key=lambda kind: kind != inside):
        kind = CHOICE.get((mode, over, inside))
        if kind and over in locals_ and over in remotes:
            return Way(kind, locals_[over], remotes[over])
    return None


def wanted(ways: Mapping[Way, int], group: int, host: Host) -> list[Tunnel | Up | Sysctl]:
    """The devices for these ways and the MTUs of the networks that use them.

    A device carries what its largest network sends, but never more than its underlay does.
    """
    found: dict[str, list[tuple[Way, int]]] = {}
    for one, mtu in ways.items():
        found.setdefault(one.device, []).append((one, mtu))
    made: list[Tunnel | Up | Sysctl] = []
    for name, users in sorted(found.items()):
        kind = users[0][0].kind
        room = max(carried(one, host) for one, _ in users)
        mtu = min(room, max(mtu for _, mtu in users))
        made += [
            Tunnel(name, kind, _ends(users[0][0]), mtu, group),
            Sysctl(f"net/ipv4/conf/{name}/rp_filter", "0", name),
            Up(name),
        ]
    return made


def carried(one: Way, host: Host) -> int:
    """The largest packet that fits through, in bytes."""
    version = address(one.local).version
    return host.underlay_mtu([one.local]) - OVERHEADS[MODES.get(one.kind, one.kind)][version]


def ends(kind: str, data: Mapping[int, bytes]) -> tuple[str, str]:
    """The ends of a device as the kernel has them, as in ``Tunnel.ends``, and its remote end."""
    known = KINDS[kind]
    remote = _given(data, known.remote)
    if kind == "vxlan":
        words = [f"port {int.from_bytes(data.get(VXLAN_PORT, b''), 'big')}"]
        words += ["external"] if any(data.get(known.external, b"")) else []
        words += ["gpe"] if VXLAN_GPE in data else []
        return " ".join(words), remote
    if known.external in data:
        return "external", remote
    local = _given(data, known.local)
    return f"local {local or 'any'}" + (f" remote {remote}" if remote else ""), remote


def ours(link: Link, group: int) -> list[Tunnel | Up]:
    """The objects that a tunnel of ours stands for; none for a link of others."""
    if not is_ours(link):
        return []
    tunnel = Tunnel(link.name, link.kind, link.ends, link.mtu, group)
    return [tunnel, Up(link.name)] if link.up else [tunnel]


def is_ours(link: Link) -> bool:
    return link.ours and link.kind in KINDS and link.name.startswith("na_")


def foreign(link: Link) -> Foreign | None:
    """A device of others that takes the place of the one we would make, as the kernel sees it."""
    if link.kind not in KINDS or is_ours(link):
        return None
    name = NAMES[link.kind]
    words = link.ends.split()
    if words[0] == "local" and link.kind in ("ipip", "sit") and len(words) == 2 and words[1] != "any":
        name += packed(words[1]).hex()
    elif words[:2] != ["port", str(PORT)] and words != ["external"]:
        return None
    return Foreign(("link", name), f"{link.kind} device {link.name} {link.ends}")


def encode(verb: Verb, tunnel: Tunnel, was: Tunnel | None) -> list[Request]:
    """Requests that add, change or remove a device. What it is cannot be changed: then it is made anew."""
    removal = Request(Type.DELLINK, Flag(0), _header() + text(IFNAME, tunnel.name))
    if verb is Verb.REMOVE:
        return [removal]
    settings = text(IFNAME, tunnel.name) + number(MTU, tunnel.mtu) + text(IFALIAS, ALIAS + "tunnels")
    set_up = Request(Type.NEWLINK, Flag(0), _header() + settings)
    if was and (was.kind, was.ends) == (tunnel.kind, tunnel.ends):
        return [set_up]
    info = text(INFO_KIND, tunnel.kind) + attribute(INFO_DATA, _data(tunnel))
    body = text(IFNAME, tunnel.name) + number(GROUP, tunnel.group) + attribute(LINKINFO, info)
    made = Request(Type.NEWLINK, Flag.CREATE | Flag.EXCL, _header() + body)
    return [removal, made, set_up] if was else [made, set_up]


ENCAP_TYPE, ENCAP = 21, 22
ENCAP_KINDS = {2: INET, 4: INET6}
ID, REMOTE, LOCAL, HOPS, FLAGS = 1, 2, 3, 4, 6


def encode_encap(encap: Encap) -> bytes:
    """The attributes of a route."""
    kind = next(number for number, over in ENCAP_KINDS.items() if over == family(encap.remote))
    inner = (
        attribute(ID, encap.id.to_bytes(8, "big"))
        + attribute(REMOTE, packed(encap.remote))
        + attribute(LOCAL, packed(encap.local))
        + attribute(HOPS, bytes([encap.ttl]))
        + attribute(FLAGS, encap.flags.to_bytes(2, "big"))
    )
    return attribute(ENCAP_TYPE, pack("=H", kind)) + attribute(ENCAP, inner)


def decode_encap(found: Mapping[int, bytes]) -> Encap | None:
    """What a route's attributes say; None without, or when it is of another kind."""
    kind = int.from_bytes(found.get(ENCAP_TYPE, b""), "little")
    if kind not in ENCAP_KINDS:
        return None
    inner = attributes(found[ENCAP], 0)
    return Encap(
        remote=unpacked(inner[REMOTE]),
        local=unpacked(inner[LOCAL]),
        flags=int.from_bytes(inner.get(FLAGS, b""), "big"),
        ttl=inner[HOPS][0],
        id=int.from_bytes(inner[ID], "big"),
    )


def _ends(one: Way) -> str:
    if one.by_device:
        return f"local {one.local}"
    return f"port {PORT} external gpe" if one.kind == "vxlan" else "external"


def _data(tunnel: Tunnel) -> bytes:
    known = KINDS[tunnel.kind]
    local = tunnel.ends.removeprefix("local ")
    match tunnel.kind:
        case "ipip" | "sit":
            return attribute(known.local, packed(local)) + attribute(IPTUN_TTL, bytes([TTL]))
        case "gre":
            return attribute(known.external, b"")
        case "ip6tnl":
            limit = attribute(IPTUN_ENCAP_LIMIT, b"\0") + attribute(IPTUN_PROTO, b"\0")
            return attribute(known.external, b"") + number(known.flags, IGNORE_ENCAP_LIMIT) + limit
        case "ip6gre":
            return attribute(known.external, b"") + number(known.flags, IGNORE_ENCAP_LIMIT)
        case _:
            port = attribute(VXLAN_PORT, PORT.to_bytes(2, "big")) + attribute(VXLAN_LEARNING, b"\0")
            return attribute(known.external, b"\1") + attribute(VXLAN_GPE, b"") + port


def _given(data: Mapping[int, bytes], kind: int) -> str:
    value = data.get(kind, b"")
    return unpacked(value) if any(value) else ""


def _header() -> bytes:
    return LINK_HEADER.pack(0, 0, 0, 0, 0)
