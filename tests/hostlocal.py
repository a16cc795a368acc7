"""The real host-local plugin, called as a runtime calls it."""

import json
import subprocess
from pathlib import Path

PLUGIN = Path("/usr/lib/cni/host-local")


class Refused(Exception):
    """What the plugin said."""


def add(store: Path, container: str, subnet: str = "10.11.1.0/24", network: str = "backend1") -> str:
    """The address that it hands out; raises Refused."""
    found: str = json.loads(_call("ADD", store, container, subnet, network))["ips"][0]["address"]
    return found.partition("/")[0]


def delete(store: Path, container: str, subnet: str = "10.11.1.0/24", network: str = "backend1") -> None:
    _call("DEL", store, container, subnet, network)


def _call(command: str, store: Path, container: str, subnet: str, network: str) -> str:
    ipam = {"type": "host-local", "subnet": subnet, "dataDir": str(store)}
    environment = {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": container,
        "CNI_NETNS": "/proc/self/ns/net",
        "CNI_IFNAME": "eth0",
        "CNI_PATH": str(PLUGIN.parent),
    }
    done = subprocess.run(
        [PLUGIN],
        input=json.dumps({"cniVersion": "1.0.0", "name": network, "ipam": ipam}),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Refused(json.loads(done.stdout)["msg"])
    return done.stdout
