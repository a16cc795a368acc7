"""The objects of all kinds that a document asks of a node.

    Document, Host, Settings -> Bridge, Tunnel, Up, Sysctl, Address, Firewall, Route, Conf,
                                Router, PluginLink; findings

Pure. A network whose bridge cannot be had is left out and named in a finding. Tunnels belong
to the node: one device serves all its networks.
"""

from collections.abc import Iterable, Sequence
from itertools import filterfalse

from workers import surroundings
from workers.changes import Objects, Owned
from workers.cni import confs, templates, weave
from workers.cni.templates import TemplateError
from workers.config import Settings
from workers.document import DesiredNetwork, Document
from workers.host import DEFAULT_MTU, Host, Link, first_address
from workers.kernel import addresses, firewall, forwarding, links, routes, sysctls, tunnels
from workers.kernel.routes import NOWHERE, Reach, Route, Routes
from workers.kernel.tunnels import Way
from workers.report import Finding

BRIDGED = ("bridge", "routed_bridge")


def wanted(document: Document, host: Host, settings: Settings) -> tuple[Objects, list[Finding]]:
    """Every object the node must have, and what is wrong with the rest."""
    objects: list[Owned] = []
    findings: list[Finding] = []
    bridged = [network for network in document.networks if network.type in BRIDGED]
    missing = [
        network for network in bridged if network.adopted and not _is_bridge(host.links.get(network.device))
    ]
    findings += [_no_device(network, host.links.get(network.device)) for network in missing]
    built = [network for network in bridged if network not in missing]
    used: dict[Way, int] = {}
    many: list[Routes] = []
    for network in built:
        reach = _reach(network, document, settings, host)
        mtu = _mtu(network, document, host, reach.ways)
        used |= {way: max(mtu, used.get(way, 0)) for way in reach.ways}
        objects += [*links.wanted(network, mtu, settings.group, host), *sysctls.wanted(network, host)]
        objects += addresses.wanted(network, settings.protocol)
        objects.append(_conf(network, document, settings, mtu))
        findings += _other_addresses(network, host.links.get(network.device), settings.protocol)
        many.append(reach.routes)
        findings += reach.findings
    objects += sysctls.forwarding(built) if built else []
    objects += tunnels.wanted(used, settings.group, host)
    guard = firewall.guard(used, built, host)
    objects += firewall.wanted(settings.nft_table, built, document.ranges, guard)
    objects += forwarding.wanted(built, host.forwarding)
    findings += surroundings.findings(built, used, host)
    plain = [network for network in document.networks if network.type in ("loopback", weave.TYPE)]
    objects += [_conf(network, document, settings, DEFAULT_MTU) for network in plain]
    others = [network for network in document.networks if network.type == "cni"]
    for network in others:
        try:
            objects.append(_listed(network, document, host, settings))
        except TemplateError as error:
            findings.append(_not_filled(network, error))
    routers, unwell = weave.wanted(document, host)
    objects += routers
    return Objects(objects, *many), [*findings, *unwell, *_same_names([*built, *plain, *others], host)]


def news(document: Document, before: Objects, host: Host, settings: Settings) -> list[Route]:
    """Routes that ``document`` asks for and that were not wanted ``before``, on a host that is as it was.

    Only those that need nothing else to be built first: a network that is new waits for its bridge,
    and a route through a tunnel until the tunnel is guarded.
    """
    built = {one.network for one in before.few.values()}
    there = [network for network in document.networks if network.name in built]
    wanted = [_reach(network, document, settings, host).routes for network in there]
    changed = [routes for routes in wanted if not any(routes is known for known in before.many)]
    return [
        route
        for routes in changed
        for key in filterfalse(before.by_key.__contains__, routes)
        if (route := routes[key]).via and not (route.encap or route.onlink)
    ]


def conf_directory(document: Document | None, settings: Settings) -> str:
    """Where CNI files go; empty when neither the settings nor a document say so."""
    declared = (document.cni_config or confs.DIRECTORIES[0]) if document else ""
    return settings.cni_config or declared


def _reach(network: DesiredNetwork, document: Document, settings: Settings, host: Host) -> Reach:
    if network.type != "routed_bridge":
        return NOWHERE
    return routes.wanted(network, document.node, settings.protocol, host)


def _conf(network: DesiredNetwork, document: Document, settings: Settings, mtu: int) -> confs.Conf:
    directory = conf_directory(document, settings)
    return confs.wanted(network, directory, mtu, str(settings.cni_store), document.node)


def _listed(network: DesiredNetwork, document: Document, host: Host, settings: Settings) -> confs.Conf:
    """The file of a template; raises TemplateError."""
    mtu = _mtu(network, document, host, ())
    values = templates.values(network, document, host, mtu, str(settings.cni_store))
    body = templates.filled(network.conf, values)
    return confs.listed(network, conf_directory(document, settings), body, document.node)


def _mtu(network: DesiredNetwork, document: Document, host: Host, ways: Iterable[Way]) -> int:
    """As the document says, else what underlay and tunnels of this node carry; on the operator's
    own bridge no more than that has."""
    there = host.links.get(network.device)
    mtus = [network.mtu] if network.mtu else [tunnels.carried(way, host) for way in ways]
    if there and network.adopted:
        mtus.append(there.mtu)
    return min(mtus, default=0) or host.underlay_mtu(document.addresses)


def _is_bridge(link: Link | None) -> bool:
    return link is not None and link.kind == "bridge"


def _no_device(network: DesiredNetwork, link: Link | None) -> Finding:
    why = f"is a {link.kind or 'hardware'} device and no bridge" if link else "does not exist on this node"
    return Finding(
        code="no-device",
        network=network.name,
        subject=f"bridge {network.device}",
        why=why,
        remedy=f"Make it (ip link add {network.device} type bridge), or declare the network without dev",
    )


def _not_filled(network: DesiredNetwork, error: TemplateError) -> Finding:
    return Finding(
        code="template",
        network=network.name,
        subject=f"configuration list of {network.name}",
        why=str(error),
        remedy="Give the node what is missing, correct the template, or take the node out of the scope",
    )


def _other_addresses(network: DesiredNetwork, link: Link | None, protocol: int) -> list[Finding]:
    """Addresses of others on the bridge that make the bridge plugin refuse to attach a container.

    It takes the first IPv4 address it sees for the bridge's. On a bridge of ours any other
    address is worth a word.
    """
    own = [first_address(cidr) for cidr in network.subnets]
    held = [h.address for h in link.addresses] if link else []
    ours = [h.address for h in link.addresses if h.protocol == protocol] if link else []
    first = next((address for address in held if ":" not in address), "")
    odd = {address for address in held if address not in own and address not in ours}
    odd = {address for address in odd if not address.startswith("fe80:")}
    if network.adopted:
        odd &= {first} if any(":" not in address for address in own) else set()
    return [
        Finding(
            code="other-address",
            network=network.name,
            subject=f"address {address} dev {network.device}",
            why="is not ours"
            + (" and comes first, so the bridge plugin will refuse containers" if address == first else ""),
            remedy=f"Remove it if nobody needs it: ip address del {address} dev {network.device}",
        )
        for address in sorted(odd)
    ]


def _same_names(networks: Sequence[DesiredNetwork], host: Host) -> list[Finding]:
    """Files of others that give a network the name of one of ours: it is chance which one a runtime takes."""
    names = {network.name for network in networks}
    return [
        Finding(
            code="same-name",
            network=name,
            subject=f"file {path}",
            why=f"also describes a CNI network named {name} and is not ours",
            remedy="Remove it, or rename one of the two networks",
        )
        for path, name in sorted(host.confs.items())
        if name in names and not path.endswith(f"/{name}{confs.SUFFIX}")
    ]
