"""What is there: the host, the objects that are ours, and those of others that are in the way.

    links, addresses, routes of ours, switches, firewall, CNI files -> Observed

Routes are dumped by their protocol number, so that thousands of routes of others cost
next to nothing; those of others are only looked for where a wanted one is missing.
"""

import errno
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import filterfalse

from workers import networkd
from workers.changes import Foreign, Objects, Owned
from workers.cni import confs, directory, plugins, router, weave
from workers.cni.weave import PluginLink
from workers.config import Settings
from workers.document import Document
from workers.host import Forwarding, Held, Host, Link
from workers.kernel import addresses, links, routes, tables, tunnels
from workers.kernel.addresses import Address
from workers.kernel.door import Kernel
from workers.kernel.firewall import Firewall
from workers.kernel.messages import INET, INET6, family
from workers.kernel.netlink import NetlinkError
from workers.kernel.routes import Route, Routes
from workers.kernel.sysctls import Sysctl
from workers.objects import conf_directory, wanted
from workers.report import Finding, Interface

NOTHING = Objects(())
FROM_ROUTER = 2
"""IFAPROT_KERNEL_RA: who put an address there (linux/if_addr.h)."""


@dataclass(frozen=True, slots=True)
class Observed:
    ours: Objects
    foreign: list[Owned]
    """Only what has the key of a wanted object that is not there as ours."""
    host: Host
    confs: Mapping[str, str]
    """CNI configuration files of others: path to the network that each describes."""
    desired: Objects = NOTHING
    """What must be there, on this host."""
    problems: tuple[Finding, ...] = ()
    """What is wrong with the rest of the document."""

    @property
    def routes(self) -> int:
        """How many routes of ours the kernel has."""
        return sum(map(len, self.ours.many))

    @property
    def files(self) -> dict[str, str]:
        """CNI configuration files of ours: name to content."""
        held = (one for one in self.ours.few.values() if isinstance(one, confs.Conf))
        return {one.path.rpartition("/")[2]: one.content for one in held}

    @property
    def interfaces(self) -> tuple[Interface, ...]:
        """Every interface, for the report."""
        return tuple(_interface(link) for link in self.host.links.values())


def observe(document: Document | None, settings: Settings, kernel: Kernel) -> Observed:
    """Look once; raises OSError when the kernel does not answer.

    Without a document everything of ours is found and nothing of others is in the way.
    """
    files = [
        confs.decode(path, text) for path, text in directory.read(_directories(document, settings)).items()
    ]
    place = f"{conf_directory(document, settings)}/"
    beside = [conf for conf, is_ours in files if not is_ours and conf.path.startswith(place)]
    forwarding, accepts = kernel.filters.look(settings.nft_table)
    host = _host(settings, kernel, {conf.path: conf.network for conf in beside}, forwarding)
    if weave.is_looked_for(document, host):
        host = replace(host, weave=router.look(plugins.directory(settings, document)))
    desired, problems = wanted(document, host, settings) if document else (NOTHING, [])
    names = {link.index: link.name for link in host.links.values()}
    present = kernel.present.routes(settings.protocol, names, desired.many)
    held = _addresses(host)
    few: list[Owned] = [
        *(one for link in host.links.values() for one in links.ours(link, settings.group)),
        *(one for link in host.links.values() for one in tunnels.ours(link, settings.group)),
        *_switches(desired, kernel),
        *(one for one in held if one.protocol == settings.protocol),
        *_firewall(desired, settings, kernel),
        *accepts,
        *(conf for conf, is_ours in files if is_ours),
        *weave.ours(host.weave),
    ]
    plugin_links = [one for one in desired.few.values() if isinstance(one, PluginLink)]
    few += [one for one in plugin_links if router.reaches(one.path)]
    foreign: list[Owned] = [
        *(links.foreign(link) for link in host.links.values() if not _is_ours(link)),
        *(one for link in host.links.values() if (one := tunnels.foreign(link))),
        *(one for one in held if one.protocol != settings.protocol),
        *_routes_in_the_way(desired, present, settings, kernel, names),
        *(confs.foreign(conf) for conf, is_ours in files if not is_ours),
        *(Foreign(one.key, f"file {one.path}") for one in plugin_links if router.reaches(one.path) is False),
    ]
    others = {conf.path: name for conf in beside if (name := confs.describes(conf))}
    in_the_way = [one for one in foreign if one.key in desired.by_key]
    return Observed(Objects(few, present), in_the_way, host, others, desired, tuple(problems))


def _directories(document: Document | None, settings: Settings) -> list[str]:
    """The declared one; unless the node fixes it, also those where an earlier document may have put files."""
    declared = conf_directory(document, settings)
    if settings.cni_config:
        return [declared]
    return list(dict.fromkeys(path for path in (declared, *confs.DIRECTORIES) if path))


def _host(settings: Settings, kernel: Kernel, others: Mapping[str, str], forwarding: Forwarding) -> Host:
    held: dict[int, list[Held]] = {}
    for body in kernel.netlink.dump(addresses.DUMP):
        index, one = addresses.decode(body)
        held.setdefault(index, []).append(one)
    found = [_link(body, settings.group) for body in kernel.netlink.dump(links.DUMP)]
    by_name = {link.name: replace(link, addresses=tuple(held.get(link.index, ()))) for link in found}
    rp_filter = _rp_filter("all", kernel)
    underlay = [link.name for link in by_name.values() if _is_underlay(link)]
    return Host(
        links=by_name,
        tables=kernel.procfs.tables(),
        confs=others,
        ipv6=kernel.procfs.speaks_ipv6(),
        rp_filter=rp_filter,
        strict=tuple(name for name in underlay if max(rp_filter, _rp_filter(name, kernel)) == tunnels.STRICT),
        forwarding=forwarding,
        bridge_nf=kernel.procfs.read("net/bridge/bridge-nf-call-iptables") == "1",
        legacy=kernel.procfs.legacy_filters(),
        networkd=networkd.takes_away(),
        advertised=tuple(link.name for link in by_name.values() if _is_deaf(link, kernel)),
    )


def _rp_filter(device: str, kernel: Kernel) -> int:
    return int(kernel.procfs.read(f"net/ipv4/conf/{device}/rp_filter") or 0)


def _is_underlay(link: Link) -> bool:
    """Peers may be reached through it directly."""
    others = link.up and not link.ours and link.kind != "loopback"
    return others and any(":" not in held.address for held in link.addresses)


def _is_deaf(link: Link, kernel: Kernel) -> bool:
    """Has an address from a router advertisement, and accepts none once the node forwards."""
    if all(held.protocol != FROM_ROUTER for held in link.addresses):
        return False
    return kernel.procfs.read(f"net/ipv6/conf/{link.name}/accept_ra") == "1"


def _link(body: bytes, group: int) -> Link:
    link, data = links.decode(body, group)
    ends, remote = tunnels.ends(link.kind, data) if link.kind in tunnels.KINDS else ("", "")
    return replace(link, ends=ends, remote=remote) if ends else link


def _is_ours(link: Link) -> bool:
    return links.is_ours(link) or tunnels.is_ours(link)


def _addresses(host: Host) -> list[Address]:
    return [
        Address(link.name, held.address, held.protocol, link.network)
        for link in host.links.values()
        for held in link.addresses
    ]


def _switches(desired: Objects, kernel: Kernel) -> list[Sysctl]:
    """Those that are wanted, with the value they have: they are set, never set back."""
    switches = [
        (one, kernel.procfs.read(one.name)) for one in desired.few.values() if isinstance(one, Sysctl)
    ]
    return [replace(one, value=value) for one, value in switches if value is not None]


def _firewall(desired: Objects, settings: Settings, kernel: Kernel) -> list[Firewall]:
    """Our table; as the text that is wanted when nft lists both alike."""
    listing = kernel.nft.listing(settings.nft_table)
    for one in desired.few.values():
        if isinstance(one, Firewall) and tables.alike(listing, kernel.nft.canonical(one.table, one.text)):
            return [one]
    return [Firewall(settings.nft_table, listing)] if listing else []


def _routes_in_the_way(
    desired: Objects, present: Routes, settings: Settings, kernel: Kernel, names: Mapping[int, str]
) -> list[Route]:
    """Routes of others with the key of a wanted one that is missing."""
    missing = [
        one
        for part in desired.many
        for key in filterfalse(present.__contains__, part)
        if isinstance(one := part[key], Route)
    ]
    four = [route for route in missing if family(route.dst) == INET]
    refusals = kernel.netlink.send([routes.is_taken(route) for route in four])
    taken = [route for route, no in zip(four, refusals, strict=True) if no and no.errno == errno.EEXIST]
    suspects = taken + [route for route in missing if family(route.dst) == INET6]
    keys = {route.key for route in suspects}
    return [
        route
        for kind, number in sorted({(family(route.dst), route.table) for route in suspects})
        for body in table(kind, number, kernel)
        for route in [routes.decode(body, names)]
        if route.key in keys and route.protocol != settings.protocol
    ]


def table(kind: int, number: int, kernel: Kernel) -> list[bytes]:
    """All routes of a table; a table is there as soon as it has one."""
    try:
        return kernel.netlink.dump(routes.dump(kind, table=number))
    except NetlinkError as error:
        if error.errno != errno.ENOENT:
            raise
        return []


def _interface(link: Link) -> Interface:
    return Interface(
        name=link.name,
        kind=link.kind,
        mac=link.mac,
        mtu=link.mtu,
        up=link.up,
        ours=link.ours,
        addresses=tuple(held.address for held in link.addresses),
        rx_bytes=link.rx_bytes,
        tx_bytes=link.tx_bytes,
        rx_packets=link.rx_packets,
        tx_packets=link.tx_packets,
    )
