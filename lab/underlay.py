"""The wire between the nodes: one bridge in the fabric, a veth pair to each node.

fabric                              node n1
underlay 192.0.2.254/24 -- n1 ===== eth0 192.0.2.1/24
                         \\ n2 ===== ...
"""

from collections.abc import Iterable

from lab.namespaces import Namespace
from lab.topology import Member, Topology

BRIDGE = "underlay"
UPLINK = "eth0"
"""A node's interface on the underlay."""


def build(fabric: Namespace, topology: Topology) -> None:
    """Lay the underlay into the fabric, with the control plane's address on it."""
    _batch(
        fabric,
        [
            "link set lo up",
            f"link add {BRIDGE} type bridge",
            f"address add {topology.control} dev {BRIDGE}",
            f"link set {BRIDGE} up",
        ],
    )


def connect(fabric: Namespace, member: Member, namespace: Namespace) -> None:
    """Plug one node in."""
    _batch(
        fabric,
        [
            f"link add {member.name} type veth peer name {UPLINK} netns {namespace.path}",
            f"link set {member.name} master {BRIDGE} up",
        ],
    )
    _batch(
        namespace,
        [
            "link set lo up",
            f"address add {member.interface} dev {UPLINK}",
            f"link set {UPLINK} up",
        ],
    )


def unplug(fabric: Namespace, member: Member) -> None:
    """Take the node's cable away; both ends are gone."""
    _batch(fabric, [f"link delete {member.name}"])


def _batch(namespace: Namespace, commands: Iterable[str]) -> None:
    namespace.run(["ip", "-batch", "-"], stdin="\n".join(commands) + "\n")
