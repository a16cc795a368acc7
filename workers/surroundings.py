"""What others have on the node that cuts our networks, or could: named, never changed.

    problem   packets are lost now                a chain that drops, rp_filter, an open tunnel
    warning   they will be, when somebody acts    systemd-networkd, legacy rules, learnt default routes

Pure: what is there is in the Host.
"""

from collections.abc import Iterable, Sequence

from workers import networkd
from workers.document import DesiredNetwork
from workers.host import Barrier, Host
from workers.kernel import forwarding, tunnels
from workers.kernel.tunnels import Way
from workers.report import WARNING, Finding


def findings(networks: Sequence[DesiredNetwork], ways: Iterable[Way], host: Host) -> list[Finding]:
    """For the networks that have a bridge, and the tunnels that are used."""
    if not networks:
        return _open_tunnels(host)
    tunnelled = any(True for _ in ways)
    return [
        *_barriers(networks, host),
        *(_strict(host) if host.rp_filter and tunnelled else []),
        *(_strict_underlay(networks, host) if tunnelled else []),
        *_open_tunnels(host),
        *_networkd(host),
        *_legacy(host),
        *_learnt_routes(networks, host),
    ]


def _barriers(networks: Iterable[DesiredNetwork], host: Host) -> list[Finding]:
    return [
        _barrier(network, barrier, host)
        for network in networks
        for barrier in forwarding.in_the_way(network, host.forwarding)
    ]


def _barrier(network: DesiredNetwork, barrier: Barrier, host: Host) -> Finding:
    among = ", and between its containers (bridge-nf-call-iptables is on)" if host.bridge_nf else ""
    return Finding(
        code="forward-drop",
        network=network.name,
        subject=str(barrier),
        why=f"drops what none of its rules accepts: packets from and to {network.device}{among}; "
        "an accept in another table does not help",
        remedy=f"Let the bridge through: {forwarding.opening(barrier, network.device)}",
    )


def _strict(host: Host) -> list[Finding]:
    return [
        Finding(
            code="rp-filter",
            network="",
            subject=f"sysctl net/ipv4/conf/all/rp_filter={host.rp_filter}",
            why="applies to tunnels too, since the kernel takes the stricter of all and the device; packets "
            "of a peer that is reached by another way than it answers are dropped",
            remedy="Set it to 0 and leave the check to the devices (sysctl net.ipv4.conf.all.rp_filter=0)",
        )
    ]


def _strict_underlay(networks: Iterable[DesiredNetwork], host: Host) -> list[Finding]:
    """IPv6 has no such filter."""
    if not any(":" not in cidr for network in networks for cidr in network.subnets):
        return []
    return [
        Finding(
            code="rp-filter",
            network="",
            subject=f"sysctl net/ipv4/conf/{device}/rp_filter",
            why="is strict (the larger of all and the device counts, and is 1): packets that a peer sends "
            "directly are dropped while this node reaches it through a tunnel, as during a switch",
            remedy=f"sysctl net.ipv4.conf.{device}.rp_filter=2, and the same in /etc/sysctl.d",
            level=WARNING,
        )
        for device in host.strict
    ]


def _open_tunnels(host: Host) -> list[Finding]:
    return [
        Finding(
            code="open-tunnel",
            network="",
            subject=f"device {link.name}",
            why="is up and accepts packets from anybody",
            remedy=f"Switch it off if nobody needs it: ip link set {link.name} down",
        )
        for link in host.links.values()
        if link.up and link.name in tunnels.FALLBACK
    ]


def _networkd(host: Host) -> list[Finding]:
    if not host.networkd:
        return []
    lines = " ".join(networkd.OFFER.split())
    return [
        Finding(
            code="networkd-foreign-routes",
            network="",
            subject=f"systemd-networkd with {', '.join(f'{switch}=yes' for switch in host.networkd)}",
            why="takes away our routes when it restarts; they are put back, but packets are lost meanwhile",
            remedy=f"Write {networkd.DROP_IN} ({lines}), then: systemctl restart systemd-networkd",
            level=WARNING,
        )
    ]


def _legacy(host: Host) -> list[Finding]:
    return [
        Finding(
            code="legacy-filter",
            network="",
            subject=f"{tool}-legacy table filter",
            why="may hold rules that nft does not show, beside those of nft",
            remedy=f"Look at them ({tool}-legacy -S) and move them ({tool}-legacy-save | {tool}-nft-restore)",
            level=WARNING,
        )
        for tool in host.legacy
    ]


def _learnt_routes(networks: Iterable[DesiredNetwork], host: Host) -> list[Finding]:
    """Forwarding of IPv6 ends default routes that routers advertise, unless accept_ra is 2."""
    if not any(":" in cidr for network in networks for cidr in network.subnets):
        return []
    return [
        Finding(
            code="accept-ra",
            network="",
            subject=f"sysctl net/ipv6/conf/{device}/accept_ra=1",
            why="ignores router advertisements as soon as the node forwards IPv6, which our networks need; "
            f"{device} has an address from one, so its default route may be gone",
            remedy=f"sysctl net.ipv6.conf.{device}.accept_ra=2, and the same in /etc/sysctl.d",
            level=WARNING,
        )
        for device in host.advertised
    ]
