"""The firewall: one table of our own, replaced as a whole in one transaction.

    table inet netadmin
        set ranges4, ranges6    every network of the cluster, and multicast
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
from workers.host import IPNetwork, subnet

MULTICAST = {4: "224.0.0.0/4", 6: "ff00::/8"}
DEVICE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@:-]{0,14}")
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


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


def wanted(table: str, networks: Sequence[DesiredNetwork], ranges: Iterable[str]) -> list[Firewall]:
    """The table for all networks that have a bridge; none when there is none."""
    if not networks:
        return []
    known = list(ranges)
    sources = [(name, subnet(cidr)) for name, cidr in _sources(networks)]
    blocks = [_set(version, known) for version in sorted({source.version for _, source in sources})]
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


def _masquerade(network: str, source: IPNetwork) -> str:
    ip = "ip" if source.version == 4 else "ip6"
    return f'{ip} saddr {source} {ip} daddr != @ranges{source.version} masquerade comment "{network}"'


def _chain(name: str, head: str, rules: Iterable[str]) -> str:
    return "\n".join([f"\tchain {name} {{", f"\t\t{head}", *(f"\t\t{rule}" for rule in rules), "\t}"])


def _checked(pattern: re.Pattern[str], name: str) -> str:
    if not pattern.fullmatch(name):
        raise ValueError(f"{name!r}: is no name of a device or network; declare another")
    return name
