"""What is measured on: a node with thousands of peers, each with a next hop of its own.

eth0 198.18.0.1/15 <-- veth --> wire      peer N: next hop 198.18.0.N, segment 10.128.0.0 + 1024 (N - 1)
"""

import json
import subprocess
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from netaddr import IPAddress

from lab.containers import Chain
from lab.namespaces import Namespace
from workers import document
from workers.config import Settings

UNDERLAY = "198.18.0.0/15"
"""Benchmarking addresses (RFC 2544); the node is the first."""
RANGE = "10.128.0.0/9"
NODE = "n1"
NOWHERE = "http://127.0.0.1:1"


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def ip(*arguments: str, stdin: str = "") -> str:
    done = subprocess.run(["ip", *arguments], input=stdin, capture_output=True, text=True, check=True)
    return done.stdout


def shell(command: str, chain: Chain, node: Namespace, container: Namespace) -> None:
    """The first plugin of a network's file alone, as a script would call it."""
    plugin = chain.plugins[0]
    variables = f"CNI_COMMAND={command} CNI_CONTAINERID=theirs CNI_NETNS={container.path}"
    line = f"{variables} CNI_IFNAME=eth12 CNI_PATH={chain.directory} {chain.directory}/{plugin['type']}"
    node.run(["sh", "-c", line], stdin=json.dumps(plugin))


def address(number: int) -> str:
    return str(IPAddress("198.18.0.0") + number)


def segment(number: int) -> str:
    return f"{IPAddress('10.128.0.0') + 1024 * (number - 1)}/22"


def underlay() -> str:
    """For ``ip -batch``."""
    prefix = UNDERLAY.partition("/")[2]
    return f"""
        link set lo up
        link add eth0 type veth peer name wire
        address add {address(1)}/{prefix} dev eth0
        link set wire up
        link set eth0 up
    """


@cache
def body(count: int, tunnel: str = "never") -> bytes:
    """The document of a node with ``count`` peers, as the control plane serves it."""
    peers = document.canonical([_peer(number) for number in range(1, count + 2)])
    network = {
        "name": "backend1", "type": "routed_bridge", "ranges": [RANGE], "subnets": [segment(1)],
        "device": "obr_backend1", "adopted": False, "public": False, "mtu": 1400, "tables": ["main"],
        "tunnel": tunnel, "tunnel_mode": "vxlan", "peers": document.digest(peers),
    }  # fmt: skip
    head = {
        "cluster": "bench", "node": NODE, "addresses": [address(1)], "look_interval": 30,
        "cni": {"plugins": "/usr/lib/cni", "config": ""}, "ranges": [RANGE], "networks": [network],
    }  # fmt: skip
    return document.assemble(document.canonical(head), {document.digest(peers): peers})


def settings(directory: Path) -> Settings:
    return Settings(
        node=NODE, url=NOWHERE, token="none", broker_url="", state_dir=directory / "state",
        cni_plugins="/usr/lib/cni", cni_config=str(directory / "net.d"), cni_store=directory / "leases",
        protocol=157, group=28257, nft_table="netadmin",
    )  # fmt: skip


def _peer(number: int) -> dict[str, object]:
    ends = [address(number)]
    return {"node": f"n{number}", "addresses": ends, "gateways": ends, "subnets": [segment(number)]}
