"""CNI configuration files: ``NAME.conflist``, one per network.

    {"netadmin": {...},           the mark: a file with this key is ours
     "cniVersion": "1.0.0",
     "name": "backend1",
     "plugins": [bridge + host-local, portmap]}

``mtu`` is always there, since the bridge plugin does not look at the bridge and would give
a container 1500. ``portmap`` serves containers that others start; without a mapping it does
nothing. ``dataDir`` may be on tmpfs, so that leases end with the namespaces they belong to.
Sources: CNI specification 1.0.0, the plugins' documentation.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from workers.changes import Foreign
from workers.document import DesiredNetwork
from workers.host import first_address, subnet

MARK = "netadmin"
VERSION = "1.0.0"
WEAVE_VERSION = "0.3.0"
"""The newest that the weave plugin speaks."""
SUFFIX = ".conflist"
SUFFIXES = (SUFFIX, ".conf", ".json")
"""What a CNI runtime looks at."""
DIRECTORIES = ("/etc/cni/net.d", "/opt/cni/net.d", "/var/lib/opensvc/cni/net.d")
"""Where files of ours may be left from before the directory was declared elsewhere."""
DEFAULT_ROUTE = {4: "0.0.0.0/0", 6: "::/0"}


@dataclass(frozen=True, slots=True)
class Conf:
    path: str
    content: str = field(repr=False)
    device: str = field(default="", compare=False)
    network: str = field(default="", compare=False)

    @property
    def key(self) -> tuple[str, str]:
        return ("conf", self.path)

    @property
    def needs(self) -> str:
        return self.device

    def __str__(self) -> str:
        return f"file {self.path}"


def wanted(network: DesiredNetwork, directory: str, mtu: int, store: str, node: str) -> Conf:
    """The file of a network with a bridge, of weave, or of the loopback."""
    plugins: list[dict[str, Any]]
    match network.type:
        case "loopback":
            version, plugins = VERSION, [{"type": "loopback"}]
        case "weave":
            version, plugins = WEAVE_VERSION, [{"type": "weave-net", "ipam": {"subnet": network.ranges[0]}}]
        case _:
            version, plugins = VERSION, [_bridge(network, mtu, store), _portmap()]
    body = {MARK: {"node": node}, "cniVersion": version, "name": network.name, "plugins": plugins}
    path = f"{directory}/{network.name}{SUFFIX}"
    return Conf(path, json.dumps(body, indent=2) + "\n", network.device, network.name)


def listed(network: DesiredNetwork, directory: str, body: dict[str, Any], node: str) -> Conf:
    """The file of a network whose configuration list was declared."""
    head = {MARK: {"node": node}, "cniVersion": VERSION}
    text = json.dumps({**head, **body, "name": network.name}, indent=2)
    return Conf(f"{directory}/{network.name}{SUFFIX}", text + "\n", network=network.name)


def programs(content: str) -> set[str]:
    """The plugins that a file calls, those for addresses included; none if it is no configuration."""
    body = _object(content)
    plugins = body["plugins"] if isinstance(body.get("plugins"), list) else [body]
    objects = [plugin for plugin in plugins if isinstance(plugin, dict)]
    objects += [ipam for plugin in objects if isinstance(ipam := plugin.get("ipam"), dict)]
    return {one["type"] for one in objects if isinstance(one.get("type"), str)}


def describes(conf: Conf) -> str:
    """The network that a file of others describes: the name in it, else that of the file. Empty for one
    that only maps ports, which is the second half of somebody's network and none itself."""
    if programs(conf.content) == {"portmap"}:
        return ""
    return conf.network or conf.path.rpartition("/")[2].rpartition(".")[0]


def decode(path: str, content: str) -> tuple[Conf, bool]:
    """The file, and whether it is ours."""
    body = _object(content)
    name = body.get("name")
    return Conf(path, content, network=name if isinstance(name, str) else ""), MARK in body


def _object(content: str) -> dict[str, Any]:
    """Empty for what is no JSON object."""
    try:
        body = json.loads(content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def foreign(conf: Conf) -> Foreign:
    """A file of others, which has the name of one of ours."""
    return Foreign(conf.key, str(conf))


def _bridge(network: DesiredNetwork, mtu: int, store: str) -> dict[str, Any]:
    return {
        "type": "bridge",
        "bridge": network.device,
        "isGateway": True,
        "ipMasq": False,
        "mtu": mtu,
        "ipam": {"type": "host-local", **_ranges(network), "routes": _routes(network), "dataDir": store},
    }


def _portmap() -> dict[str, Any]:
    return {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}


def _ranges(network: DesiredNetwork) -> dict[str, Any]:
    subnets = [str(subnet(cidr)) for cidr in network.subnets]
    return {"subnet": subnets[0]} if len(subnets) == 1 else {"ranges": [[{"subnet": one}] for one in subnets]}


def _routes(network: DesiredNetwork) -> list[dict[str, str]]:
    gateways = {subnet(cidr).version: first_address(cidr).partition("/")[0] for cidr in network.subnets}
    default = [{"dst": DEFAULT_ROUTE[version]} for version in gateways]
    whole = [
        {"dst": str(net), "gw": gateways[net.version]}
        for net in map(subnet, network.ranges)
        if net.version in gateways
    ]
    return default + whole
