"""What the plugins of a list are called with, in order. Pure.

    ADD    first to last: each is handed its predecessor's result
    CHECK  first to last: each is handed the final result; without host ports
    DEL    last to first: each is handed the final result, where the version knows that

``runtimeConfig`` holds only what a plugin's ``capabilities`` allow. A plugin for host ports
(``portmap``) is left out when there is none to map: it would do nothing, in 3 ms.
Source: CNI specification 1.0.0, sections 2 and 4; the conventions for ``args`` and capabilities.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workers.attaching.entry import Entry
from workers.holdings import Port

ADD, CHECK, DEL = "ADD", "CHECK", "DEL"
MAPS, ADDRESSES = "portMappings", "ips"
"""Capabilities."""
CHECKS = (0, 4, 0)
"""The first version with CHECK, and with a result for DEL."""


@dataclass(frozen=True, slots=True)
class Call:
    """One start of one plugin."""

    program: str
    environment: Mapping[str, str]
    body: Mapping[str, Any]
    """Of its standard input, but for what the plugin before answered."""

    def stdin(self, previous: str) -> bytes:
        """With the result of the plugin before, JSON; empty: there is none."""
        handed = {**self.body, "prevResult": json.loads(previous)} if previous else self.body
        return json.dumps(handed).encode()


def calls(command: str, entry: Entry, netns: str) -> list[Call]:
    """``netns``: how the plugins are to open the namespace; empty for a DEL without one."""
    body = json.loads(entry.conf)
    environment = {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": entry.attachment.id,
        "CNI_NETNS": netns,
        "CNI_IFNAME": entry.attachment.interface,
        "CNI_PATH": entry.plugins,
    }
    head = {"name": body["name"], "cniVersion": body["cniVersion"]}
    ports = mappings(entry) if command != CHECK else []
    called = [plugin for plugin in body["plugins"] if ports or not maps(plugin)]
    made = [Call(plugin["type"], environment, _body(plugin, head, ports, entry)) for plugin in called]
    return made[::-1] if command == DEL else made


def final_result(command: str, entry: Entry, netns: str) -> str:
    """The result that each call of CHECK and DEL is handed; ADD begins without one."""
    if command == ADD or version(entry) < CHECKS:
        return ""
    return _sandboxed(entry.result, netns) if command == CHECK else entry.result


def _sandboxed(result: str, netns: str) -> str:
    """With the namespace by the name that it has in this call: ``bridge`` takes another name for another
    namespace, and ours is that of a descriptor."""
    body = json.loads(result)
    inside = [one for one in body.get("interfaces", ()) if one.get("sandbox")]
    for one in inside:
        one["sandbox"] = netns
    return json.dumps(body)


def can_check(entry: Entry) -> bool:
    body = json.loads(entry.conf)
    return version(entry) >= CHECKS and not body.get("disableCheck", False)


def version(entry: Entry) -> tuple[int, ...]:
    return tuple(int(part) for part in json.loads(entry.conf)["cniVersion"].split("."))


def maps(plugin: Mapping[str, Any]) -> bool:
    """Whether a plugin maps host ports."""
    return bool(plugin.get("capabilities", {}).get(MAPS))


def mappings(entry: Entry) -> list[dict[str, Any]]:
    """The host ports that the plugins are to map."""
    return [_mapping(port) for port in entry.attachment.expose if port.host_port and entry.by_plugins]


def _mapping(port: Port) -> dict[str, Any]:
    return {"hostPort": port.host_port, "containerPort": port.port, "protocol": port.protocol}


def _body(
    plugin: Mapping[str, Any], head: Mapping[str, str], ports: list[dict[str, Any]], entry: Entry
) -> dict[str, Any]:
    capabilities = plugin.get("capabilities", {})
    body = {**{key: value for key, value in plugin.items() if key != "capabilities"}, **head}
    given = {MAPS: ports, ADDRESSES: list(entry.asked)}
    allowed = {name: value for name, value in given.items() if value and capabilities.get(name)}
    if allowed:
        body["runtimeConfig"] = allowed
    if args := _arguments(plugin, entry):
        given_already = body.get("args", {})
        body["args"] = {**given_already, "cni": {**given_already.get("cni", {}), **args}}
    return body


def _arguments(plugin: Mapping[str, Any], entry: Entry) -> dict[str, Any]:
    """What a plugin is asked for by the conventional ``args``, which need no capability."""
    asked: dict[str, Any] = {}
    if entry.asked and "ipam" in plugin and not plugin.get("capabilities", {}).get(ADDRESSES):
        asked[ADDRESSES] = list(entry.asked)
    if entry.asked_mac and plugin["type"] == "bridge":
        asked["mac"] = entry.asked_mac
    return asked
