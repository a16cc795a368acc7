"""What plugins are really handed for an attachment: by the list on the disk, to programs that note it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from networks import expose
from tests.documents import bridge, cni, document, routed, weave
from tests.kernel import attaching
from tests.kernel.attaching import attachment, exposed, mapped
from tests.kernel.node import Node
from workers.attaching import chain
from workers.attaching.entry import Entry
from workers.attaching.hostports import HostPorts
from workers.attaching.preparing import prepared
from workers.document import DesiredNetwork

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "attach.json").read_text())["cases"]
NETWORKS = {"weave": weave, "routed_bridge": routed, "bridge": bridge}
ANSWER = {"cniVersion": "1.0.0", "ips": [{"address": "10.11.0.5/22"}]}
NOTES = """#!/bin/sh
note={0}/$(ls {0} | wc -l)
(basename $0; env; echo; cat) >$note
echo '{1}'
"""
PORTMAP = {"type": "portmap", "snat": True, "capabilities": {"portMappings": True}}


class Programs:
    """In place of the plugins of a node."""

    def __init__(self, node: Node, directory: Path) -> None:
        self.notes = directory / "notes"
        self.notes.mkdir()
        (plugins := directory / "plugins").mkdir()
        for name in ("bridge", "portmap", "weave-net"):
            (plugins / name).write_text(NOTES.format(self.notes, json.dumps(ANSWER)))
            (plugins / name).chmod(0o755)
        node.settings = replace(node.settings, cni_plugins=str(plugins))

    def noted(self) -> list[tuple[str, dict[str, str], dict[str, Any]]]:
        """Program, environment and standard input of each call since the last time, in order."""
        found = sorted(self.notes.iterdir(), key=lambda path: int(path.name))
        calls = [path.read_text().split("\n\n", 1) for path in found]
        for path in found:
            path.unlink()
        return [
            (lines[0], dict(line.split("=", 1) for line in lines[1:]), json.loads(stdin))
            for lines, stdin in ((head.splitlines(), stdin) for head, stdin in calls)
        ]


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case["id"])
def test_they_are_handed_what_the_reference_says(node: Node, tmp_path: Path, case: dict[str, Any]) -> None:
    """Host ports of a network of ours are in our own table, and its ``portmap`` is not called for them; by
    the same list of an operator it is."""
    programs = Programs(node, tmp_path)
    ours = NETWORKS[case["type"]](name=case["network"])
    entry = _attached_and_detached(node, ours, case)
    _are(programs.noted(), [one for one in case["expect"] if one["plugin"] != "portmap"])
    with HostPorts(node.settings.nft_table) as ports:
        ports.put(replace(entry, result=json.dumps(ANSWER)))
        assert mapped(node) == {
            f"{one['protocol']} . {one['hostPort']} : 10.11.0.5 . {one['containerPort']}"
            for one in _mappings(case)
        }
        ports.free(entry.attachment.id)
    body = json.loads(node.files()[f"{ours.name}.conflist"])
    plugins = [*body["plugins"], PORTMAP] if ours.type == "weave" else body["plugins"]
    template = json.dumps({"cniVersion": body["cniVersion"], "plugins": plugins})
    _attached_and_detached(node, cni(template, name=ours.name), case)
    _are(programs.noted(), case["expect"])
    assert mapped(node) == set()


def _attached_and_detached(node: Node, network: DesiredNetwork, case: dict[str, Any]) -> Entry:
    """By the list that the worker wrote for the network."""
    node.converge(there := attaching.with_directories(node, document(network)))
    ports = [expose.parse(text) for text in case["expose"]]
    one = attachment(
        network=network.name,
        interface=case["ifname"],
        expose=exposed(*((port.port, port.host_port, port.protocol) for port in ports)),
    )
    entry = prepared(one, None, there, node.settings)
    netns = case["container"]["netns"]
    made = replace(entry, result=chain.add(entry, netns))
    assert chain.delete(made, netns) == []
    return entry


def _are(noted: list[tuple[str, dict[str, str], dict[str, Any]]], expected: list[dict[str, Any]]) -> None:
    assert [program for program, _, _ in noted] == [call["plugin"] for call in expected]
    for (program, environment, stdin), call in zip(noted, expected, strict=True):
        wanted = {**call["env"], "CNI_COMMAND": call["command"], "CNI_CONTAINERID": attachment().id}
        assert wanted.items() <= environment.items()
        assert stdin["type"] == program
        assert stdin["name"] == call.get("network", stdin["name"])
        assert stdin.get("runtimeConfig") == call.get("runtimeConfig")
        assert stdin.get("snat") == call.get("snat")
        if call["command"] == "ADD":
            assert stdin.get("prevResult") == (ANSWER if call.get("prevResult") else None)


def _mappings(case: dict[str, Any]) -> list[dict[str, Any]]:
    """Host ports that a case maps."""
    called = [one for one in case["expect"] if one["plugin"] == "portmap" and one["command"] == "ADD"]
    return [mapping for one in called for mapping in one["runtimeConfig"]["portMappings"]]
