"""Kernel switches that our networks need. They are set and never set back: others may need them too.

Before a bridge is up it must not listen to router advertisements, which a container could
send, and must keep its IPv6 addresses over a down and up. Secondary addresses stay when
the primary one goes, so that taking ours away takes none of somebody else's along.
Source: Documentation/networking/ip-sysctl.rst of the kernel.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from workers.document import DesiredNetwork
from workers.host import Host


@dataclass(frozen=True, slots=True)
class Sysctl:
    name: str
    """Path below /proc/sys, as a device name may hold a dot."""
    value: str
    device: str = ""
    """Of a switch of one device: that device."""
    network: str = field(default="", compare=False)

    @property
    def key(self) -> tuple[str, str]:
        return ("sysctl", self.name)

    @property
    def needs(self) -> str:
        return self.device

    def __str__(self) -> str:
        return f"sysctl {self.name}={self.value}"


def forwarding(networks: Iterable[DesiredNetwork]) -> list[Sysctl]:
    """What makes the node a router for the families of its networks."""
    six = any(":" in cidr for network in networks for cidr in network.subnets)
    four = [Sysctl("net/ipv4/ip_forward", "1")]
    return [*four, Sysctl("net/ipv6/conf/all/forwarding", "1")] if six else four


def wanted(network: DesiredNetwork, host: Host) -> list[Sysctl]:
    """The switches of a network's bridge; on the operator's own only the one that protects his addresses."""
    device = network.device
    switches = {f"net/ipv4/conf/{device}/promote_secondaries": "1"}
    if not network.adopted and host.ipv6:
        switches[f"net/ipv6/conf/{device}/accept_ra"] = "0"
        switches[f"net/ipv6/conf/{device}/keep_addr_on_down"] = "1"
    return [Sysctl(name, value, device, network.name) for name, value in switches.items()]
