"""The firewall: one table of our own, declared as a whole and changed by what differs (``tables``).

    table inet netadmin
        set ranges4, ranges6    every network of the cluster, and multicast
        set peers4, peers6      the other ends of tunnels
        chain tunnels           before anything else: only peers may send into our tunnels, and only
                                from inside the networks, or as themselves: a connection that a node
                                opened while it reached the other directly keeps its source
        chain postrouting       masquerades, from the node's own subnets to anything that is not in the sets
        chain forward           from and to each bridge

Rules that accept cannot overrule another table's drop; they say what this node forwards.
Only addresses that were parsed and device names that were checked get into the text, since
libnftables would look up in the DNS what it takes for a host name.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import collapse_addresses

from workers.document import DesiredNetwork
from workers.host import Host, IPNetwork, address, subnet
from workers.kernel import tunnels
from workers.kernel.tunnels import Way

MULTICAST = {4: "224.0.0.0/4", 6: "ff00::/8"}
DEVICE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@:-]{0,14}")
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


ACCEPTS = {
    "ipip": ("ip daddr {local} ip protocol 4", 4),
    "sit": ("ip daddr {local} ip protocol 41", 4),
    "gre": ("ip protocol 47", 4),
    "ip6tnl": ("meta l4proto { 4, 41 }", 6),
    "ip6gre": ("meta l4proto 47", 6),
}
"""What a device takes packets from, and the version of the ends. An external one listens on every
address of the node."""


@dataclass(frozen=True, slots=True)
class Guard:
    """Who may send what into the tunnels of the node; without rules there are none."""

    rules: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()


NO_GUARD = Guard()


@dataclass(frozen=True, slots=True)
class Firewall:
    """The whole table: its text as it is to be, or as the kernel lists it when that differs."""

    table: str
    text: str
    network: str = ""
    needs: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return ("firewall", self.table)

    def __str__(self) -> str:
        return f"firewall table inet {self.table}"


def guard(ways: Iterable[Way], networks: Iterable[DesiredNetwork], host: Host) -> Guard:
    """Only peers may send into the tunnels that these ways need, and into those that are still there.

    A peer is one whether or not this node answers it through a tunnel: it may have switched
    first. Where a device listens on every address, other people's tunnels to known ends go on.
    """
    there = [
        Way(link.kind, link.ends.removeprefix("local "), "")
        for link in host.links.values()
        if tunnels.is_ours(link)
    ]
    rules = sorted({rule for way in (*ways, *there) for rule in _guards(way)})
    if not rules:
        return Guard()
    peers = {end for network in networks for peer in network.peers for end in peer.addresses}
    others = {link.remote for link in host.links.values() if link.remote and not link.ours}
    return Guard(tuple(rules), tuple(sorted(peers | others)))


def _guards(way: Way) -> list[str]:
    if way.kind == "vxlan":
        return [
            f"udp dport {tunnels.PORT} {ip} saddr != @peers{version} drop"
            for ip, version in (("ip", 4), ("ip6", 6))
        ]
    match, version = ACCEPTS[way.kind]
    ip = "ip" if version == 4 else "ip6"
    where = match.format(local=address(way.local)) if way.by_device else match
    return [f"{where} {ip} saddr != @peers{version} drop"]


def wanted(
    table: str, networks: Sequence[DesiredNetwork], ranges: Iterable[str], guard: Guard = NO_GUARD
) -> list[Firewall]:
    """The table for all networks that have a bridge; none when there is none."""
    if not networks:
        return []
    known = list(ranges)
    sources = [(name, subnet(cidr)) for name, cidr in _sources(networks)]
    versions = {4, 6} if guard.rules else {source.version for _, source in sources}
    blocks = [_set(version, known) for version in sorted(versions)]
    if guard.rules:
        inside = [
            f'iifname "na_*" {ip} saddr != @ranges{version} {ip} saddr != @peers{version} drop'
            for ip, version in (("ip", 4), ("ip6", 6))
        ]
        blocks += [_peers(version, guard.peers) for version in (4, 6)]
        head = "type filter hook prerouting priority raw; policy accept;"
        blocks.append(_chain("tunnels", head, [*guard.rules, *inside]))
    if sources:
        rules = [_masquerade(name, source) for name, source in sources]
        blocks.append(
            _chain("postrouting", "type nat hook postrouting priority srcnat; policy accept;", rules)
        )
    accepted = [f"{way} {device} accept" for device in _devices(networks) for way in ("iifname", "oifname")]
    blocks.append(_chain("forward", "type filter hook forward priority filter; policy accept;", accepted))
    return [Firewall(table, f"table inet {table} {{\n" + "\n".join(blocks) + "\n}\n")]


def _sources(networks: Sequence[DesiredNetwork]) -> list[tuple[str, str]]:
    return [(_checked(NAME, n.name), cidr) for n in networks if not n.public for cidr in n.subnets]


def _devices(networks: Sequence[DesiredNetwork]) -> list[str]:
    return [f'"{_checked(DEVICE, n.device)}"' for n in networks]


def _set(version: int, ranges: Iterable[str]) -> str:
    """Collapsed, as nft refuses elements that overlap."""
    parsed = [subnet(cidr) for cidr in (*ranges, MULTICAST[version])]
    elements = collapse_addresses(net for net in parsed if net.version == version)  # type: ignore[type-var]
    listed = ", ".join(str(net) for net in elements)
    head = f"\tset ranges{version} {{\n\t\ttype ipv{version}_addr\n\t\tflags interval\n"
    return f"{head}\t\telements = {{ {listed} }}\n\t}}"


def _peers(version: int, peers: Iterable[str]) -> str:
    listed = ", ".join(str(address(peer)) for peer in peers if address(peer).version == version)
    elements = f"\t\telements = {{ {listed} }}\n" if listed else ""
    return f"\tset peers{version} {{\n\t\ttype ipv{version}_addr\n{elements}\t}}"


def _masquerade(network: str, source: IPNetwork) -> str:
    ip = "ip" if source.version == 4 else "ip6"
    return f'{ip} saddr {source} {ip} daddr != @ranges{source.version} masquerade comment "{network}"'


def _chain(name: str, head: str, rules: Iterable[str]) -> str:
    return "\n".join([f"\tchain {name} {{", f"\t\t{head}", *(f"\t\t{rule}" for rule in rules), "\t}"])


def _checked(pattern: re.Pattern[str], name: str) -> str:
    if not pattern.fullmatch(name):
        raise ValueError(f"{name!r}: is no name of a device or network; declare another")
    return name
