"""Host ports: one nftables table of our own, whose maps say which container a port of the node is.

    table inet NAME_ports
        map dnat4, dnat6      protocol . port of the node : address . port of the container
        set near4, near6      subnet of a container . the container: it would answer its neighbours directly
        set bridges           where the containers are
        chain prerouting, output    to any address of the node -> the map
        chain postrouting           from loopback and from neighbours: answered by way of the node
        chain guard                 what comes out of a container to 127.0.0.0/8 goes no further

A map holds a key once, so a port has one holder. The rules never change; one mapping is two
elements. IPv4 loopback needs route_localnet on the bridge, which would let containers reach what
listens on the node's loopback alone: hence the guard. IPv6 knows no such switch: ::1 is out of reach.

Listings are split into rules and elements, and each is compared for itself.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv6Interface

from workers.kernel.firewall import DEVICE

SUFFIX = "_ports"
"""Of the table's name, behind that of the main one."""
MAPS = {4: "dnat4", 6: "dnat6"}
NEAR = {4: "near4", 6: "near6"}
BRIDGES = "bridges"
ELEMENTS = re.compile(r"\n\t\telements = \{(.*?)\}", re.DOTALL)
HOLDER = re.compile(r"\t(?:map|set) (\w+) \{")

RULES = """table inet {table} {{
	map dnat4 {{
		type inet_proto . inet_service : ipv4_addr . inet_service
	}}
	map dnat6 {{
		type inet_proto . inet_service : ipv6_addr . inet_service
	}}
	set near4 {{
		type ipv4_addr . ipv4_addr
		flags interval
	}}
	set near6 {{
		type ipv6_addr . ipv6_addr
		flags interval
	}}
	set bridges {{
		type ifname
	}}
	chain guard {{
		type filter hook prerouting priority raw; policy accept;
		iifname @bridges ip daddr 127.0.0.0/8 drop
	}}
	chain prerouting {{
		type nat hook prerouting priority dstnat - 5; policy accept;
		fib daddr type local jump mapped
	}}
	chain output {{
		type nat hook output priority -105; policy accept;
		fib daddr type local jump mapped
	}}
	chain mapped {{
		meta nfproto ipv4 dnat ip to meta l4proto . th dport map @dnat4
		meta nfproto ipv6 dnat ip6 to meta l4proto . th dport map @dnat6
	}}
	chain postrouting {{
		type nat hook postrouting priority srcnat - 5; policy accept;
		ct status dnat oifname @bridges ip saddr 127.0.0.0/8 masquerade
		ct status dnat ip saddr . ip daddr @near4 masquerade
		ct status dnat ip6 saddr . ip6 daddr @near6 masquerade
	}}
}}
"""

Elements = Mapping[str, frozenset[str]]
"""By the name of their map or set, as nft writes them."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """One port of the node that stands for one of a container."""

    protocol: str
    host_port: int
    port: int
    container: IPv4Interface | IPv6Interface
    bridge: str = ""


@dataclass(frozen=True, slots=True)
class Ruleset:
    """The table: its rules as a text without elements, and those."""

    rules: str
    elements: Elements = field(default_factory=dict)


def name(main: str) -> str:
    """Of the table, beside the main one."""
    return main + SUFFIX


def elements(mapped: Iterable[Mapped]) -> Elements:
    """What the maps and sets must hold; raises ValueError for a bridge whose name is none."""
    found: dict[str, set[str]] = {}
    for one in mapped:
        version, address = one.container.version, one.container.ip
        target = f"{one.protocol} . {one.host_port} : {address} . {one.port}"
        found.setdefault(MAPS[version], set()).add(target)
        found.setdefault(NEAR[version], set()).add(f"{one.container.network} . {address}")
        if one.bridge:
            found.setdefault(BRIDGES, set()).add(f'"{_device(one.bridge)}"')
    return {holder: frozenset(held) for holder, held in found.items()}


def parse(listing: str) -> Ruleset:
    """The table from nft's own listing."""
    held = {}
    for block in listing.split("\n\t}"):
        if (holder := HOLDER.search(block)) and (listed := ELEMENTS.search(block)):
            held[holder[1]] = frozenset(" ".join(one.split()) for one in listed[1].split(","))
    return Ruleset(ELEMENTS.sub("", listing), held)


def whole(table: str, wanted: Elements) -> str:
    """Commands that define the table with these elements."""
    return RULES.format(table=table) + changes(table, {}, wanted)


def changes(table: str, present: Elements, wanted: Elements) -> str:
    """Commands from one to the other, for one transaction; empty: nothing to do."""
    lines = []
    for holder in sorted({*present, *wanted}):
        has, needs = present.get(holder, frozenset()), wanted.get(holder, frozenset())
        lines += _command("delete", table, holder, has - needs)
        lines += _command("add", table, holder, needs - has)
    return "".join(lines)


def _command(verb: str, table: str, holder: str, which: frozenset[str]) -> list[str]:
    return [f"{verb} element inet {table} {holder} {{ {', '.join(sorted(which))} }}\n"] if which else []


def _device(device: str) -> str:
    if not DEVICE.fullmatch(device):
        raise ValueError(f"{device!r}: is no name of a device")
    return device
