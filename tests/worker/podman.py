"""podman with directories of its own, as its operator would set it up: by its configuration files.

Containers run with runc, in whatever cgroups the machine has; their image is one busybox.
"""

import os
import shutil
from pathlib import Path

import pytest

from lab.namespaces import Namespace

CONTAINERS = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[network]
network_backend = "cni"
cni_plugin_dirs = ["/usr/lib/cni"]
network_config_dir = "{confs}"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "runc"
tmp_dir = "{directory}/tmp"
"""
STORAGE = """
[storage]
driver = "vfs"
graphroot = "{directory}/graph"
runroot = "{directory}/run"
"""
IMAGE = "localhost/busybox:1"


class Podman:
    """On one node. Every process of the test that starts ``podman`` gets this one."""

    def __init__(self, node: Namespace, directory: Path, confs: Path, patch: pytest.MonkeyPatch) -> None:
        self.node = node
        directory.mkdir()
        for name, text in (("CONTAINERS_CONF", CONTAINERS), ("CONTAINERS_STORAGE_CONF", STORAGE)):
            file = directory / f"{name}.toml"
            file.write_text(text.format(directory=directory, confs=confs))
            patch.setenv(name, str(file))
        self._import(directory / "root")

    def _import(self, root: Path) -> None:
        (root / "bin").mkdir(parents=True)
        shutil.copy("/bin/busybox", root / "bin" / "sleep")
        archive = root.parent / "root.tar"
        self.node.run(["tar", "-C", str(root), "-cf", str(archive), "."])
        self("import", str(archive), IMAGE)

    def __call__(self, *arguments: str) -> str:
        return self.node.run(["podman", *arguments], env=dict(os.environ), within=60).strip()

    def start(self, name: str, network: str) -> str:
        """The container's id."""
        return self("run", "-d", "--name", name, "--network", network, IMAGE, "/bin/sleep", "1000")

    def close(self) -> None:
        self("rm", "--all", "--force", "--time", "0")
