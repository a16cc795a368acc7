"""The configuration list of a network of type ``cni``: is it one, and which plugins does it need?

    template -> placeholders known? -> filled with examples -> JSON? -> as the CNI specification wants it?

Pure. The node fills in its own values (``workers.cni.templates``); the names are those of the wire.
Source: CNI specification 1.0.0, section 1, "Network configuration format".
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from netadmin.problems import Fault
from workers.document import PLACEHOLDER, PLACEHOLDERS

EXAMPLE = """\
{"cniVersion": "1.0.0",
 "plugins": [{"type": "ptp", "ipMasq": false, "mtu": {{mtu}},
              "ipam": {"type": "host-local", "subnet": "{{cidr}}", "dataDir": "{{store}}",
                       "routes": [{"dst": "0.0.0.0/0"}]}}]}"""
SHORT = '{"cniVersion": "1.0.0", "plugins": [{"type": "ptp", ...}]}'
VERSIONS = ("0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
"""Those that know lists."""
PROGRAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
LONGEST = 16384
"""Characters: it is part of every node's document."""
OURS = "netadmin"
"""The key by which a worker knows its own files."""
RANGES = {"cidr": (4, 6), "gateway": (4, 6), "cidr6": (6,), "gateway6": (6,)}
"""Placeholders that need a range of one of these families."""
SAMPLE = "1"
"""Stands for every value while the text is judged: it is a number, and a text inside quotes."""


def faults(template: str, name: str, families: Iterable[int]) -> list[Fault]:
    """What is wrong with the template of network ``name`` that has ranges of these families."""
    if not template:
        return [Fault("template", "", "is missing", f"Give a CNI configuration list like {SHORT}")]
    if len(template) > LONGEST:
        return [_fault(template, f"is longer than {LONGEST} characters", "Shorten it")]
    if unknown := list(_placeholder_faults(template, set(families))):
        return unknown
    try:
        body = filled(template)
    except ValueError as error:
        remedy = "Correct it; a placeholder for a text stands in quotes, like " + '"{{cidr}}"'
        return [_fault(template, f"is no JSON with values filled in ({error})", remedy)]
    if not isinstance(body, dict):
        return [_fault(template, "is no JSON object", f"Give one like {SHORT}")]
    return [*_head_faults(body, name), *_plugin_faults(body)]


def filled(template: str) -> Any:
    """The template as JSON with examples for values; raises ValueError."""
    return json.loads(PLACEHOLDER.sub(SAMPLE, template))


def programs(template: str) -> set[str]:
    """The plugins that a template without faults calls, those for addresses included."""
    plugins = filled(template)["plugins"]
    addresses = [ipam for plugin in plugins if isinstance(ipam := plugin.get("ipam"), dict)]
    return {one["type"] for one in (*plugins, *addresses) if isinstance(one.get("type"), str)}


def _fault(value: str, why: str, remedy: str) -> Fault:
    first = value.strip().partition("\n")[0]
    return Fault("template", first if len(first) <= 60 else f"{first[:57]}...", why, remedy)


def _placeholder_faults(template: str, families: set[int]) -> Iterator[Fault]:
    for name in dict.fromkeys(PLACEHOLDER.findall(template)):
        written = f"{{{{{name}}}}}"
        if name not in PLACEHOLDERS:
            yield _fault(written, "is no placeholder", f"Use one of {', '.join(PLACEHOLDERS)}")
        elif name in RANGES and not families.intersection(RANGES[name]):
            of = "no IPv6 range" if RANGES[name] == (6,) else "no range"
            yield _fault(written, f"has no value, as the network has {of}", "Declare network as well")


def _head_faults(body: dict[str, Any], name: str) -> Iterator[Fault]:
    version = body.get("cniVersion")
    if version not in VERSIONS:
        why = "is missing" if version is None else "is no version of CNI that knows lists"
        yield _fault(f"cniVersion {version or ''}".strip(), why, f"Use one of {', '.join(VERSIONS)}")
    if body.get("name", name) not in (name, SAMPLE):
        remedy = f"Leave it out: it is {name} in the file"
        yield _fault(f"name {body['name']}", "is not the name of the network", remedy)
    if OURS in body:
        yield _fault(OURS, "is the mark of files of ours and is written by itself", "Leave it out")


def _plugin_faults(body: dict[str, Any]) -> Iterator[Fault]:
    plugins = body.get("plugins")
    if not isinstance(plugins, list) or not plugins:
        alone = "Put the plugin into a list" if "type" in body else "Give one or more"
        yield _fault("plugins", "is no list of plugins", f'{alone}: "plugins": [{{"type": "ptp", ...}}]')
        return
    for place, plugin in enumerate(plugins):
        yield from _type_faults(f"plugins[{place}]", plugin)
        if isinstance(plugin, dict) and "ipam" in plugin and plugin["ipam"] != {}:
            yield from _type_faults(f"plugins[{place}].ipam", plugin["ipam"])


def _type_faults(place: str, plugin: Any) -> Iterator[Fault]:
    kind = plugin.get("type") if isinstance(plugin, dict) else None
    if not isinstance(kind, str) or not PROGRAM.fullmatch(kind):
        said = f"{place}.type {kind}" if kind is not None else place
        yield _fault(said, "names no plugin", 'Give the name of its program as type, like "type": "ptp"')
