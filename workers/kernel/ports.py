"""Host ports: one nftables table of our own, whose maps say which container a port of the node is.

    table inet NAME_ports
        map dnat4, dnat6      protocol . port of the node : address . port of the container
        set near4, near6      subnet of a container . the container: it would answer its neighbours directly
        set guarded           behind which the containers are: bridges, and ends of interfaces without one
        chain prerouting, output    to any address of the node -> the map
        chain postrouting           from loopback and from neighbours: answered by way of the node
        chain guard                 what comes out of a container to 127.0.0.0/8 goes no further

A map holds a key once, so a port has one holder. The rules never change; one mapping is two
elements. IPv4 loopback needs route_localnet on the device, which would let containers reach what
listens on the node's loopback alone: hence the guard, and no device has the switch on without it.
IPv6 knows no such switch: ::1 is out of reach.

Listings are split into rules and elements, and each is compared for itself. The table and its repair are
text for libnftables; the elements of one container come and go as bytes (``elements``), and are the same in
a listing.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface

from workers.kernel.elements import Element, joined
from workers.kernel.firewall import DEVICE
from workers.kernel.tables import Names

SUFFIX = "_ports"
"""Of the table's name, behind that of the main one."""
MAPS = {4: "dnat4", 6: "dnat6"}
NEAR = {4: "near4", 6: "near6"}
GUARDED = "guarded"
GUARD = re.compile(rf'"({DEVICE.pattern})"')
NUMBERS = {"tcp": 6, "udp": 17}
"""Of protocols (IPPROTO_TCP, IPPROTO_UDP)."""
IFNAMSIZ = 16
"""Bytes of a device's name as a key (linux/if.h)."""

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
	set guarded {{
		type ifname
	}}
	chain guard {{
		type filter hook prerouting priority raw; policy accept;
		iifname @guarded ip daddr 127.0.0.0/8 drop
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
		ct status dnat oifname @guarded ip saddr 127.0.0.0/8 masquerade
		ct status dnat ip saddr . ip daddr @near4 masquerade
		ct status dnat ip6 saddr . ip6 daddr @near6 masquerade
	}}
}}
"""


@dataclass(frozen=True, slots=True)
class Mapped:
    """One port of the node that stands for one of a container."""

    protocol: str
    host_port: int
    port: int
    container: IPv4Interface | IPv6Interface
    device: str = ""
    """Behind which the container is; empty: it is not known."""


def name(main: str) -> str:
    """Of the table, beside the main one."""
    return main + SUFFIX


def elements(mapped: Iterable[Mapped]) -> frozenset[Element]:
    """What the maps and sets must hold; raises ValueError for a device whose name is none."""
    return frozenset(element for one in mapped for element in _elements(one))


def names(which: Iterable[Element]) -> Names:
    return frozenset((one.holder, one.text) for one in which)


def guarded(which: Names) -> set[str]:
    """Those that are named among elements."""
    found = (GUARD.match(text) for holder, text in which if holder == GUARDED)
    return {device[1] for device in found if device}


def rules(table: str) -> str:
    """The definition of the table, without elements."""
    return RULES.format(table=table)


def _elements(mapped: Mapped) -> Iterator[Element]:
    version, address, network = mapped.container.version, mapped.container.ip, mapped.container.network
    key = joined(bytes([NUMBERS[mapped.protocol]]), _port(mapped.host_port))
    leads = f"{mapped.protocol} . {mapped.host_port} : {address} . {mapped.port}"
    yield Element(MAPS[version], leads, key, data=joined(address.packed, _port(mapped.port)))
    first, last = (joined(end.packed, address.packed) for end in (network[0], network[-1]))
    subnet = network if network.num_addresses > 1 else address
    yield Element(NEAR[version], f"{subnet} . {address}", first, end=last)
    if mapped.device:
        device = _device(mapped.device)
        yield Element(GUARDED, f'"{device}"', device.encode().ljust(IFNAMSIZ, b"\0"))


def _port(number: int) -> bytes:
    return number.to_bytes(2, "big")


def _device(device: str) -> str:
    if not DEVICE.fullmatch(device):
        raise ValueError(f"{device!r}: is no name of a device")
    return device
