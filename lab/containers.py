"""A container, as far as networks see one: a namespace that CNI plugins put on a network.

The plugins are called as a runtime calls them (CNI specification 1.0.0, "Execution of
Network Configurations"), inside the node's namespace, with the file the worker wrote:

    ADD  bridge (host-local) -> portmap        each gets its predecessor's result
    DEL  portmap -> bridge                     each gets the result of ADD
"""

import json
import os
from collections.abc import Mapping
from ipaddress import IPv4Interface, IPv6Interface, ip_interface
from pathlib import Path
from typing import Any

from lab.namespaces import CommandFailed, Namespace

INTERFACE = "eth0"


class NotAttached(RuntimeError):
    """A plugin refused, or there is no file for the network; the message has its words."""


class Chain:
    """The plugins of one network's file, in the order of ADD."""

    def __init__(self, file: Path, plugins: Path) -> None:
        """Raises NotAttached when the file is not there."""
        try:
            conf: dict[str, Any] = json.loads(file.read_text())
        except FileNotFoundError as error:
            raise NotAttached(f"{file} is not there: no worker has written the network yet") from error
        self.directory = plugins
        common = {"name": conf["name"], "cniVersion": conf["cniVersion"]}
        self.plugins = [{**plugin, **common} for plugin in conf.get("plugins", [conf])]

    def add(self, host: Namespace, variables: Mapping[str, str]) -> dict[str, Any]:
        """Attach; returns the final result. After a failure what was done is undone."""
        result: dict[str, Any] = {}
        try:
            for plugin in self.plugins:
                result = json.loads(self._call(host, plugin, "ADD", result, variables))
        except CommandFailed:
            self.delete(host, result, variables)
            raise
        return result

    def delete(self, host: Namespace, result: dict[str, Any], variables: Mapping[str, str]) -> None:
        """Detach, down to the first plugin; raises the first failure after all were called."""
        failures = []
        for plugin in reversed(self.plugins):
            try:
                self._call(host, plugin, "DEL", result, variables)
            except CommandFailed as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def _call(
        self,
        host: Namespace,
        plugin: dict[str, Any],
        command: str,
        result: dict[str, Any],
        variables: Mapping[str, str],
    ) -> str:
        handed = {key: value for key, value in plugin.items() if key != "capabilities"}
        if result:
            handed["prevResult"] = result
        env = {
            "PATH": os.environ["PATH"],
            "CNI_PATH": str(self.directory),
            "CNI_COMMAND": command,
            **variables,
        }
        return host.run([str(self.directory / plugin["type"])], stdin=json.dumps(handed), env=env)


class Container:
    """A namespace attached to one network on one node.

    Raises NotAttached from the constructor when it cannot be.
    """

    def __init__(self, name: str, host: Namespace, chain: Chain) -> None:
        self.name, self.host, self.chain = name, host, chain
        self.namespace = Namespace(name)
        self._variables = {
            "CNI_CONTAINERID": name,
            "CNI_NETNS": self.namespace.path,
            "CNI_IFNAME": INTERFACE,
        }
        try:
            self.result = chain.add(host, self._variables)
        except CommandFailed as error:
            self.namespace.close()
            raise NotAttached(str(error)) from error

    @property
    def interfaces(self) -> tuple[IPv4Interface | IPv6Interface, ...]:
        """Its addresses with their prefix lengths."""
        return tuple(ip_interface(ip["address"]) for ip in self.result["ips"])

    @property
    def address(self) -> str:
        """Its first address."""
        return str(self.interfaces[0].ip)

    def delete(self) -> None:
        """Detach it and end its namespace."""
        self.chain.delete(self.host, self.result, self._variables)
        self.namespace.close()
