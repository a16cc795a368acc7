"""What a node has, whoever made it: the ground on which networks are built."""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

DEFAULT_MTU = 1500
"""Bytes; where no link holds the node's address yet (Ethernet)."""

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Held:
    """An address that a link has, with its prefix length, and the number that says who put it there."""

    address: str
    protocol: int = 0


@dataclass(frozen=True, slots=True)
class Link:
    """One network interface as the kernel has it; counters since it was made."""

    index: int
    name: str
    kind: str
    """``bridge``, ``veth``, ``loopback``, ... ; empty for hardware."""
    mac: str
    mtu: int
    up: bool
    ours: bool = False
    network: str = ""
    """Of a link of ours: the network it was made for."""
    ends: str = ""
    """Of a tunnel: from where to where (``tunnels.Tunnel.ends``)."""
    remote: str = ""
    """Of a tunnel with one fixed other end: its address."""
    addresses: tuple[Held, ...] = ()
    """In the kernel's order: IPv4 first, and there the first is the primary one."""
    rx_bytes: int = 0
    tx_bytes: int = 0
    rx_packets: int = 0
    tx_packets: int = 0


WAYS = ("iifname", "oifname")
"""Where a rule of nft looks for the name of a device."""


class Barrier(NamedTuple):
    """A base chain of others that drops what none of its rules accepts."""

    family: str
    table: str
    name: str
    accepts: frozenset[tuple[str, str]] = frozenset()
    """Way and device that a rule accepts, without more conditions; a device may end with a star."""
    by_ufw: bool = False
    """ufw made it, and puts it back as it was."""

    def passes(self, device: str) -> bool:
        """Whether packets from and to a device are accepted."""
        return all(any(_matches(name, device) for to, name in self.accepts if to == way) for way in WAYS)

    def __str__(self) -> str:
        return f"chain {self.family} {self.table} {self.name}"


@dataclass(frozen=True, slots=True)
class Forwarding:
    """What others have at hook forward."""

    barriers: tuple[Barrier, ...] = ()
    """But those that lead through docker's chain for rules of others."""
    docker: Mapping[str, int] = field(default_factory=dict)
    """Families in which there is such a chain, and the handle of its final return; 0: none."""


NOTHING = Forwarding()


@dataclass(frozen=True, slots=True)
class Weave:
    """The weave router of a node and what belongs to it, as a look found them."""

    running: bool = False
    version: str = ""
    nickname: str = ""
    range: str = ""
    """The CIDR that it hands addresses out of."""
    targets: tuple[str, ...] = ()
    """Addresses of the peers that it was told to look for, sorted."""
    connections: Mapping[str, str] = field(default_factory=dict)
    """State of the best connection by address of the other end."""
    trouble: str = ""
    """Why it is not known whether one runs; empty: it is known."""
    script: str = ""
    """Path of the program ``weave``; empty: not installed."""
    plugins: str = ""
    """The node's plugin directory."""
    origin: frozenset[str] = frozenset()
    """The plugins of weave that are where ``weave setup`` puts them."""


@dataclass(frozen=True, slots=True)
class Host:
    """One node's links by name, routing tables by name, and other people's CNI files."""

    links: Mapping[str, Link]
    tables: Mapping[str, int] = field(default_factory=lambda: {"main": 254})
    confs: Mapping[str, str] = field(default_factory=dict)
    """Path of a CNI configuration that is not ours, and the network name it gives."""
    ipv6: bool = True
    """Whether the kernel speaks IPv6 at all."""
    rp_filter: int = 0
    """Reverse path filter of all devices (net.ipv4.conf.all.rp_filter)."""
    strict: tuple[str, ...] = ()
    """Devices of the underlay on which it is strict: the larger of all and the device is 1."""
    weave: Weave | None = None
    """None: nobody needed to look."""
    forwarding: Forwarding = NOTHING
    """What other people's firewalls do with packets that are forwarded."""
    bridge_nf: bool = False
    """Whether packets between ports of one bridge go through the IP firewall too."""
    legacy: tuple[str, ...] = ()
    """``iptables``, ``ip6tables``: whose legacy kind has a filter table, which nft does not show."""
    networkd: tuple[str, ...] = ()
    """Switches by which systemd-networkd takes away what is not its own."""
    advertised: tuple[str, ...] = ()
    """Devices with an address from a router advertisement, which accept none when the node forwards."""

    def underlay_mtu(self, addresses: Iterable[str]) -> int:
        """MTU of the link that holds the first of the node's own addresses that any link holds."""
        holders = {
            held.address.partition("/")[0]: link for link in self.links.values() for held in link.addresses
        }
        return next((holders[address].mtu for address in addresses if address in holders), DEFAULT_MTU)

    def table(self, name: str) -> int | None:
        """Number of a routing table that a network names; None: it has none here."""
        return int(name) if name.isdecimal() else self.tables.get(name)

    def subnets(self) -> list[tuple[IPNetwork, str]]:
        """Subnets that links which are up are connected to, the narrowest first; not through our own."""
        found = [
            (subnet(held.address), link.name)
            for link in self.links.values()
            if link.up and not link.ours and link.kind != "loopback"
            for held in link.addresses
        ]
        return sorted(found, key=lambda item: item[0].prefixlen, reverse=True)


@lru_cache(maxsize=1 << 16)
def subnet(cidr: str) -> IPNetwork:
    """The network of an address with prefix length; raises ValueError when it is none."""
    return ipaddress.ip_network(cidr, strict=False)


@lru_cache(maxsize=1 << 16)
def address(text: str) -> IPAddress:
    """An address; raises ValueError when it is none."""
    return ipaddress.ip_address(text)


def first_address(cidr: str) -> str:
    """The bridge's address in a segment or range: the first one, with the prefix length."""
    network = subnet(cidr)
    offset = 1 if network.num_addresses > 1 else 0
    return f"{network[offset]}/{network.prefixlen}"


def _matches(name: str, device: str) -> bool:
    return device.startswith(name[:-1]) if name.endswith("*") else name == device
