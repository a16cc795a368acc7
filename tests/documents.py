"""Documents and settings as a node gets them, made by functions: every argument has a default.

n1 10.0.0.1   n2 10.0.0.2   n3 10.0.0.3      one underlay, 10.0.0.0/24 and fd00:aa::/64
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from workers.config import Settings
from workers.document import DesiredNetwork, Document, Peer

MAC = "0a:58:0a:0b:00:01"


def settings(directory: Path = Path("/nowhere"), **values: Any) -> Settings:
    """Settings of a worker whose directories are all below ``directory``."""
    defaults: dict[str, Any] = {
        "node": "n1",
        "url": "http://127.0.0.1:1",
        "token": "secret",
        "broker_url": "",
        "state_dir": directory / "state",
        "cni_plugins": "",
        "cni_config": str(directory / "net.d"),
        "cni_store": directory / "leases",
        "protocol": 157,
        "group": 28257,
        "nft_table": "netadmin",
        "netns_dir": directory / "netns",
    }
    return Settings(**{**defaults, **values})


def peer(number: int, **values: Any) -> Peer:
    """Node ``nNUMBER`` of the underlay with segment ``10.11.X.0/22``."""
    address = f"10.0.0.{number}"
    subnet = f"10.11.{(number - 1) * 4}.0/22"
    return Peer(
        **{
            "node": f"n{number}",
            "addresses": (address,),
            "gateways": (address,),
            "subnets": (subnet,),
            **values,
        }
    )


def peer6(number: int) -> Peer:
    """Node ``nNUMBER`` with segment ``fd10::X00/120``."""
    address = f"fd00:aa::{number}"
    return peer(number, addresses=(address,), gateways=(address,), subnets=(f"fd10::{number - 1:x}00/120",))


def routed(name: str = "backend1", **values: Any) -> DesiredNetwork:
    """A routed_bridge as n1 has it; three nodes."""
    return _network(
        name, {"ranges": ("10.11.0.0/16",), "subnets": ("10.11.0.0/22",), "peers": peers(), **values}
    )


def routed6(name: str = "six", **values: Any) -> DesiredNetwork:
    own, others = ("fd10::/120",), (peer6(1), peer6(2), peer6(3))
    return _network(name, {"ranges": ("fd10::/112",), "subnets": own, "peers": others, **values})


def bridge(name: str = "local1", cidr: str = "10.10.10.0/24", **values: Any) -> DesiredNetwork:
    return _network(name, {"type": "bridge", "ranges": (cidr,), "subnets": (cidr,), "tables": (), **values})


def weave(*peers: Peer, name: str = "weave1", cidr: str = "10.32.0.0/12", **values: Any) -> DesiredNetwork:
    return _network(
        name,
        {
            "type": "weave",
            "ranges": (cidr,),
            "subnets": (cidr,),
            "device": "",
            "tables": (),
            "peers": peers or (peer(1), peer(2), peer(3)),
            **values,
        },
    )


def cni(template: str, name: str = "direct", **values: Any) -> DesiredNetwork:
    """A network of the operator's own plugins."""
    return _network(
        name,
        {
            "type": "cni",
            "ranges": (),
            "subnets": (),
            "device": "",
            "tables": (),
            "conf": template,
            **values,
        },
    )


def loopback() -> DesiredNetwork:
    own = ("127.0.0.1/32",)
    return _network("lo", {"type": "loopback", "ranges": own, "subnets": own, "device": "", "tables": ()})


def peers(*numbers: int) -> tuple[Peer, ...]:
    return tuple(peer(number) for number in numbers or (1, 2, 3))


def document(*networks: DesiredNetwork, **values: Any) -> Document:
    defaults: dict[str, Any] = {
        "version": "v1",
        "cluster": "c1",
        "node": "n1",
        "addresses": ("10.0.0.1", "fd00:aa::1"),
        "look_interval": 60.0,
        "cni_plugins": "/usr/lib/cni",
        "cni_config": "/nowhere",
        "ranges": tuple(_ranges(networks)),
        "networks": networks,
    }
    return Document(**{**defaults, **values})


def _ranges(networks: Iterable[DesiredNetwork]) -> list[str]:
    return [cidr for network in networks for cidr in network.ranges]


def _network(name: str, values: dict[str, Any]) -> DesiredNetwork:
    defaults: dict[str, Any] = {
        "type": "routed_bridge",
        "device": f"obr_{name}",
        "adopted": False,
        "public": False,
        "mtu": 0,
        "tables": ("main",),
        "tunnel": "auto",
        "tunnel_mode": "ipip",
    }
    return DesiredNetwork(name=name, **{**defaults, **values})
