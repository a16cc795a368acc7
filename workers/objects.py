"""The objects of all kinds that a document asks of a node.

    Document, Host, Settings -> Bridge, Up, Sysctl, Address, Firewall, Route, Conf; findings

Pure. A network whose bridge cannot be had is left out and named in a finding.
"""

from collections.abc import Sequence

from workers.changes import Owned
from workers.cni import confs
from workers.config import Settings
from workers.document import DesiredNetwork, Document
from workers.host import DEFAULT_MTU, Host, Link, first_address
from workers.kernel import addresses, firewall, links, routes, sysctls
from workers.report import Finding

BRIDGED = ("bridge", "routed_bridge")


def wanted(document: Document, host: Host, settings: Settings) -> tuple[list[Owned], list[Finding]]:
    """Every object the node must have, and what is wrong with the rest."""
    objects: list[Owned] = []
    findings = [
        _not_built(network) for network in document.networks if network.type not in (*BRIDGED, "loopback")
    ]
    bridged = [network for network in document.networks if network.type in BRIDGED]
    missing = [
        network for network in bridged if network.adopted and not _is_bridge(host.links.get(network.device))
    ]
    findings += [_no_device(network, host.links.get(network.device)) for network in missing]
    built = [network for network in bridged if network not in missing]
    for network in built:
        mtu = _mtu(network, document, host)
        objects += [*links.wanted(network, mtu, settings.group, host), *sysctls.wanted(network, host)]
        objects += addresses.wanted(network, settings.protocol)
        objects.append(_conf(network, document, settings, mtu))
        findings += _other_addresses(network, host.links.get(network.device), settings.protocol)
        if network.type == "routed_bridge":
            reached, unreachable = routes.wanted(network, document.node, settings.protocol, host)
            objects += reached
            findings += unreachable
    objects += sysctls.forwarding(built) if built else []
    objects += firewall.wanted(settings.nft_table, built, document.ranges)
    loopbacks = [network for network in document.networks if network.type == "loopback"]
    objects += [_conf(network, document, settings, DEFAULT_MTU) for network in loopbacks]
    return objects, findings + _same_names(built + loopbacks, host)


def conf_directory(document: Document | None, settings: Settings) -> str:
    """Where CNI files go; empty when neither the settings nor a document say so."""
    declared = (document.cni_config or confs.DIRECTORIES[0]) if document else ""
    return settings.cni_config or declared


def _conf(network: DesiredNetwork, document: Document, settings: Settings, mtu: int) -> confs.Conf:
    directory = conf_directory(document, settings)
    return confs.wanted(network, directory, mtu, str(settings.cni_store), document.node)


def _mtu(network: DesiredNetwork, document: Document, host: Host) -> int:
    """As declared; else that of the operator's bridge, else what the underlay carries."""
    there = host.links.get(network.device)
    if network.mtu:
        return network.mtu
    return there.mtu if there and network.adopted else host.underlay_mtu(document.addresses)


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


def _not_built(network: DesiredNetwork) -> Finding:
    return Finding(
        code="not-built",
        network=network.name,
        subject=f"network {network.name}",
        why=f"this worker builds no networks of type {network.type}",
        remedy="Upgrade the worker, or take the node out of the network's scope",
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
