"""The weave router by its published interface: a stand-in takes the commands, reports, and attaches."""

import dataclasses
import json
import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.namespaces import Namespace
from lab.pings import ping
from tests.documents import bridge, document, peer, routed, weave
from tests.kernel.attaching import MAPPED, addresses, an_attacher, attachment, is_empty
from tests.kernel.node import Node
from tests.kernel.test_ports import a_server, ask
from workers.cni import plugins, router
from workers.cni import weave as wanted_weave
from workers.reconcile import reconcile

STAND_IN = Path(__file__).with_name("weave_stand_in.py")
LAUNCH = "launch --nickname n1@netadmin --ipalloc-range 10.32.0.0/12"


class StandIn:
    """What the script was asked, and what the router says."""

    def __init__(self, home: Path) -> None:
        self.home = home
        (home / "bin").mkdir(parents=True)

    def calls(self) -> list[str]:
        """Since the last time."""
        file = self.home / "calls"
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return lines

    def state(self) -> dict[str, Any]:
        return dict(json.loads((self.home / "state.json").read_text()))

    def change(self, **values: Any) -> None:
        (self.home / "state.json").write_text(json.dumps({**self.state(), **values}))

    def leases(self) -> dict[str, str]:
        """Addresses that are taken, and the container id of each holder."""
        found = (self.home / "leases" / "weave1").glob("10.*")
        return {path.name: path.read_text().splitlines()[0] for path in found}

    def end(self) -> None:
        if (self.home / "state.json").exists():
            os.kill(self.state()["pid"], signal.SIGKILL)


@pytest.fixture
def script(tmp_path: Path, node: Node, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """The stand-in in PATH; the node has plugins of a package."""
    program = tmp_path / "path" / "weave"
    program.parent.mkdir()
    program.write_text(STAND_IN.read_text())
    program.chmod(0o755)
    stand_in = StandIn(tmp_path / "weave")
    packaged = tmp_path / "packaged"
    packaged.mkdir()
    (packaged / "bridge").write_text("#!/bin/sh\n")
    (packaged / "bridge").chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("WEAVE_STAND_IN", str(stand_in.home))
    monkeypatch.setattr(wanted_weave, "ORIGIN", str(stand_in.home / "bin"))
    node.settings = dataclasses.replace(node.settings, cni_plugins=str(packaged))
    yield stand_in
    stand_in.end()


def test_it_sets_up_launches_and_links_then_does_nothing_more(node: Node, script: StandIn) -> None:
    node_has = document(weave())
    outcome = reconcile(node_has, node.settings, node.kernel)
    assert [str(change) for change in outcome.changes] == [
        f"add file {node.directory}/weave1.conflist",
        "add weave router of 10.32.0.0/12 with peers 10.0.0.2 10.0.0.3",
        f"add link {node.settings.cni_plugins}/weave-ipam to {script.home}/bin/weave-ipam",
        f"add link {node.settings.cni_plugins}/weave-net to {script.home}/bin/weave-net",
    ]
    assert not outcome.findings
    assert script.calls() == ["setup", f"{LAUNCH} 10.0.0.2 10.0.0.3"]
    assert set(plugins.names(Path(node.settings.cni_plugins))) == {"bridge", "weave-ipam", "weave-net"}
    assert not reconcile(node_has, node.settings, node.kernel).changes
    assert script.calls() == []


def test_its_file_is_that_of_the_reference(node: Node, script: StandIn) -> None:
    reconcile(document(weave()), node.settings, node.kernel)
    body = json.loads(node.files()["weave1.conflist"])
    assert (body["cniVersion"], body["name"]) == ("0.3.0", "weave1")
    assert body["plugins"] == [{"type": "weave-net", "ipam": {"subnet": "10.32.0.0/12"}}]


def test_it_follows_members_that_come_and_go(node: Node, script: StandIn) -> None:
    reconcile(document(weave()), node.settings, node.kernel)
    script.calls()
    (change,) = reconcile(document(weave(peer(1), peer(3), peer(4))), node.settings, node.kernel).changes
    assert "with peers 10.0.0.3 10.0.0.4 (was weave router" in str(change)
    assert script.calls() == ["connect 10.0.0.4", "forget 10.0.0.2"]
    assert sorted(script.state()["targets"]) == ["10.0.0.3", "10.0.0.4"]


def test_another_range_is_another_router(node: Node, script: StandIn) -> None:
    reconcile(document(weave()), node.settings, node.kernel)
    script.calls()
    reconcile(document(weave(cidr="10.48.0.0/16")), node.settings, node.kernel)
    assert script.calls()[0] == "reset"
    assert script.state()["range"] == "10.48.0.0/16"


def test_with_the_last_weave_network_the_router_goes_that_was_launched_for_it(
    node: Node, script: StandIn
) -> None:
    reconcile(document(weave(), bridge()), node.settings, node.kernel)
    script.calls()
    changes = [str(one) for one in reconcile(document(bridge()), node.settings, node.kernel).changes]
    assert changes[-2:] == [
        "remove weave router of 10.32.0.0/12 with peers 10.0.0.2 10.0.0.3",
        f"remove file {node.directory}/weave1.conflist",
    ]
    assert script.calls() == ["reset"]
    assert "weave" not in [link["ifname"] for link in node.ip_json("link show")]


def test_a_router_that_an_operator_launched_is_left_and_said_what_it_lacks(
    node: Node, script: StandIn
) -> None:
    node.namespace.run(["weave", "launch", "10.0.0.2"], env=dict(os.environ))
    node.namespace.run(["weave", "setup"], env=dict(os.environ))
    script.calls()
    outcome = reconcile(document(weave(cidr="10.48.0.0/16")), node.settings, node.kernel)
    assert [str(finding) for finding in outcome.findings] == [
        "weave router host1: was not launched by the worker and hands out 10.32.0.0/12, not 10.48.0.0/16. "
        "Run weave reset on this node, and the worker launches one",
        "weave router host1: was not launched by the worker and does not look for 10.0.0.3. "
        "Run weave connect 10.0.0.3",
    ]
    assert not reconcile(document(), node.settings, node.kernel).findings
    assert script.calls() == []
    assert script.state()["targets"] == ["10.0.0.2"]


def test_a_node_without_a_weave_network_asks_nobody(
    node: Node, script: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(place: Path) -> None:
        raise AssertionError("the router was asked")

    monkeypatch.setattr(router, "look", look)
    reconcile(document(routed(), bridge()), node.settings, node.kernel)
    assert script.calls() == []


def test_it_says_that_the_script_is_missing_and_builds_the_rest(node: Node) -> None:
    outcome = reconcile(document(weave(), bridge()), node.settings, node.kernel)
    (finding,) = [finding for finding in outcome.findings if finding.code == "weave"]
    assert str(finding) == (
        "program weave: is not installed on this node. "
        "Put the script weave into /usr/local/bin, executable, and see that docker starts at boot"
    )
    assert {"local1.conflist", "weave1.conflist"} == node.files().keys()
    assert not outcome.left


def test_peers_that_it_cannot_connect_to_are_named(node: Node, script: StandIn) -> None:
    reconcile(document(weave()), node.settings, node.kernel)
    script.change(states={"10.0.0.2": "failed", "10.0.0.3": "pending"})
    outcome = reconcile(document(weave()), node.settings, node.kernel)
    assert [(one.network, one.subject, one.why) for one in outcome.findings] == [
        ("weave1", "weave connection to n2 (10.0.0.2)", "is failed")
    ]
    assert outcome.observed.host.weave
    assert wanted_weave.summary(outcome.observed.host.weave) == "2.8.1, 10.32.0.0/12, 0 of 2 peers connected"


def test_what_the_script_says_when_it_fails_is_a_finding(node: Node, script: StandIn) -> None:
    (script.home / "fail").write_text("Cannot connect to the Docker daemon")
    outcome = reconcile(document(weave(), bridge()), node.settings, node.kernel)
    (finding,) = outcome.findings
    assert finding.why == "weave setup: exit status 1: Cannot connect to the Docker daemon"
    assert {"local1.conflist", "weave1.conflist"} == node.files().keys()
    (script.home / "fail").unlink()
    assert not reconcile(document(weave(), bridge()), node.settings, node.kernel).left


def test_a_script_that_hangs_is_ended(node: Node, script: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router, "SLOW", 0.5)
    (script.home / "slow").touch()
    (finding,) = reconcile(document(weave()), node.settings, node.kernel).findings
    assert finding.why == "weave setup: was not done after 0.5 s and was ended"


def test_a_router_that_does_not_answer_is_reported_and_left(
    node: Node, script: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconcile(document(weave()), node.settings, node.kernel)
    script.calls()
    monkeypatch.setattr(router, "LOOK", 0.2)
    (script.home / "silent").touch()
    outcome = reconcile(document(weave()), node.settings, node.kernel)
    (finding,) = outcome.findings
    assert finding.why == "does not report at 127.0.0.1:6784 (timed out)"
    assert (script.calls(), outcome.changes) == ([], ())


def test_a_plugin_in_the_place_of_a_link_does_its_service_and_anything_else_is_a_conflict(
    node: Node, script: StandIn
) -> None:
    place = Path(node.settings.cni_plugins)
    (place / "weave-net").write_text("#!/bin/sh\n")
    (place / "weave-net").chmod(0o755)
    (place / "weave-ipam").symlink_to("/nowhere")
    outcome = reconcile(document(weave()), node.settings, node.kernel)
    assert not (place / "weave-net").is_symlink()
    (finding,) = [one for one in outcome.findings if one.code == "conflict"]
    assert finding.subject == f"link {place}/weave-ipam to {script.home}/bin/weave-ipam"
    assert os.readlink(place / "weave-ipam") == "/nowhere"
    assert stat.S_ISLNK((place / "weave-ipam").lstat().st_mode)


def test_a_service_is_attached_by_it_reached_looked_after_and_leaves_nothing(
    node: Node, script: StandIn
) -> None:
    """Its result names no interface, its list has no CHECK, and the addresses are in no store of ours."""
    reconcile(document(weave()), node.settings, node.kernel)
    with a_server("c1") as inside, an_attacher(node, document(weave())) as attacher:
        one = attachment(inside.path, network="weave1", expose=MAPPED)
        other = attachment(number=2, network="weave1")
        made, beside = attacher.settle(one, None, False), attacher.settle(other, None, False)
        assert made.entry
        assert made.standing
        assert (made.standing.state, made.standing.addresses) == ("attached", ("10.32.0.2",))
        assert addresses(inside) == ["10.32.0.2/12"]
        assert script.leases() == {"10.32.0.2": one.id, "10.32.0.3": other.id}
        _answers(node, inside)
        assert attacher.settle(one, made.entry, True).standing == made.standing
        inside.run(["ip", "addr", "flush", "dev", "eth12"])
        broken = attacher.settle(one, made.entry, True).standing
        assert broken
        assert (broken.state, broken.why) == ("broken", "interface eth12 has lost 10.32.0.2")
        again = attacher.renew(one, made.entry).entry
        _answers(node, inside)
        for each, entry in ((one, again), (other, beside.entry)):
            assert attacher.release(each.id, entry, False).entry is None
    assert is_empty(node)
    assert script.leases() == {}


def _answers(node: Node, inside: Namespace) -> None:
    """At its address, and at its port of the node, for the node and for itself."""
    (address,) = (one.partition("/")[0] for one in addresses(inside))
    assert ping(node.namespace, address).received == 1
    assert ask(node.namespace, "10.0.0.1").startswith("c1 ")
    assert ask(node.namespace, "127.0.0.1") == "c1 10.32.0.1"
    assert ask(inside, "10.0.0.1") == "c1 10.32.0.1"
