"""Leases whose container is gone, beside real containers in namespaces and the real plugins."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab.namespaces import Namespace
from lab.waiting import until
from tests import hostlocal
from tests.documents import document, routed
from tests.kernel.node import Node, a_node
from workers.asked import Ground
from workers.cni import store
from workers.cni.reserving import Reserving
from workers.cni.store import Store
from workers.document import Document
from workers.holdings import Reservation
from workers.kernel import whereabouts
from workers.kernel.whereabouts import Hidden
from workers.leaks import answer, proof, sight
from workers.leaks.finder import Finder

NAME = "backend1"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with a_node(tmp_path) as made:
        yield made


@pytest.fixture(autouse=True)
def _nobody_is_young(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "YOUNG", 0.0)


class Runtime:
    """Starts containers with the node's configuration, as a script would; forgets to give back at will."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.store = node.settings.cni_store
        self.wanted: Document = document(routed())
        node.converge(self.wanted)
        [path] = [one for one in node.directory.iterdir() if one.name == f"{NAME}.conflist"]
        self.name = NAME
        self.plugin = json.loads(path.read_text())["plugins"][0]

    def call(self, command: str, container: str, netns: str) -> dict[str, Any]:
        body = {**self.plugin, "name": self.name, "cniVersion": "1.0.0"}
        environment = {
            **os.environ, "CNI_COMMAND": command, "CNI_CONTAINERID": container, "CNI_NETNS": netns,
            "CNI_IFNAME": "eth0", "CNI_PATH": "/usr/lib/cni",
        }  # fmt: skip
        program = f"/usr/lib/cni/{self.plugin['type']}"
        done = self.node.namespace.run([program], stdin=json.dumps(body), env=environment)
        return json.loads(done) if done.strip() else {}

    @contextmanager
    def container(self, name: str) -> Iterator[Namespace]:
        """One that runs, and whose end nobody notices."""
        before = self.ports()
        with Namespace(name) as inside:
            process = inside.popen(["sleep", "1000"])
            try:
                self.call("ADD", name, f"/proc/{process.pid}/ns/net")
                yield inside
            finally:
                process.kill()
                process.wait()
        until(lambda: self.ports() <= before, what="the kernel has taken the namespace away", within=10)

    def ports(self) -> set[str]:
        """Of bridges."""
        return {one["ifname"] for one in self.node.ip_json("link show") if "master" in one}


@pytest.fixture
def runtime(node: Node) -> Runtime:
    return Runtime(node)


class Found(Finder):
    """With a document, a grace time and a count of news of the test's own."""

    def __init__(self, runtime: Runtime, ours: set[str] | None = None, grace: float = 0.0) -> None:
        self.news = 0
        wanted = document(routed(), lease_grace=grace)
        super().__init__(runtime.node.settings, lambda: wanted, lambda: ours or set(), self._told)

    def _told(self) -> None:
        self.news += 1

    def lost(self) -> list[str]:
        return [one.container for one in self.marked(self._store.leases()) if one.lost]


def held(runtime: Runtime) -> list[str]:
    return [lease.container for lease in Store(runtime.store).leases()]


def test_one_that_runs_is_never_suspected(runtime: Runtime) -> None:
    finder = Found(runtime)
    with runtime.container("alive"):
        for _ in range(3):
            finder.turn()
        assert (held(runtime), finder.lost(), finder.news) == (["alive"], [], 0)


def test_one_that_is_gone_is_lost_at_the_second_look_and_freed_after_the_grace_time(runtime: Runtime) -> None:
    with runtime.container("dead"):
        pass
    finder = Found(runtime, grace=0.5)
    finder.turn()
    assert finder.lost() == []
    finder.turn()
    assert (finder.lost(), finder.news, held(runtime)) == (["dead"], 1, ["dead"])
    time.sleep(0.6)
    finder.turn()
    assert (held(runtime), finder.lost(), finder.news) == ([], [], 2)
    assert hostlocal.add(runtime.store, "next", "10.11.0.0/22")


def test_the_dead_are_freed_beside_the_living(runtime: Runtime) -> None:
    finder = Found(runtime)
    with runtime.container("alive"):
        with runtime.container("dead"):
            pass
        finder.turn()
        finder.turn()
        assert held(runtime) == ["alive"]


def test_a_namespace_that_is_only_mounted_is_found(runtime: Runtime, tmp_path: Path) -> None:
    """As of a container without a process: a pod that was made, or a named namespace."""
    place = tmp_path / "mounted ns"
    place.touch()
    with Namespace("mounted") as inside:
        process = inside.popen(["sleep", "1000"])
        runtime.call("ADD", "mounted", f"/proc/{process.pid}/ns/net")
        subprocess.run(["mount", "--bind", f"/proc/{process.pid}/ns/net", place], check=True)
        process.kill()
        process.wait()
    try:
        finder = Found(runtime)
        finder.turn()
        finder.turn()
        assert held(runtime) == ["mounted"]
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_namespace_that_cannot_be_found_keeps_every_lease_of_its_bridge(runtime: Runtime) -> None:
    """Only an open file keeps it: no process and no mount leads there, but the bridge's port does."""
    with runtime.container("dead"):
        pass
    with Namespace("hidden") as inside:
        process = inside.popen(["sleep", "1000"])
        runtime.call("ADD", "hidden", f"/proc/{process.pid}/ns/net")
        process.kill()
        process.wait()
        finder = Found(runtime)
        finder.turn()
        finder.turn()
        assert held(runtime) == ["dead", "hidden"]
        assert finder.lost() == []


def test_an_interface_that_lost_its_address_keeps_its_lease(runtime: Runtime) -> None:
    finder = Found(runtime)
    with runtime.container("flushed") as inside:
        inside.run(["ip", "addr", "flush", "dev", "eth0"])
        finder.turn()
        finder.turn()
        assert held(runtime) == ["flushed"]


@pytest.mark.parametrize("plugin", [{"type": "ptp"}, {"type": "bridge", "bridge": "theirs0"}])
def test_in_a_network_without_a_bridge_of_ours_it_keeps_its_lease_too(
    runtime: Runtime, plugin: dict[str, str]
) -> None:
    runtime.name = "theirs"
    ipam = {"type": "host-local", "subnet": "10.14.0.0/24", "dataDir": str(runtime.store)}
    runtime.plugin = {**plugin, "ipam": ipam}
    finder = Found(runtime)
    with runtime.container("flushed") as inside:
        inside.run(["ip", "addr", "flush", "dev", "eth0"])
        finder.turn()
        finder.turn()
        assert held(runtime) == ["flushed"]
    until(lambda: finder.turn() or held(runtime) == [], what="freed behind its end", within=10)


def test_one_whose_id_is_in_a_control_group_lives(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    with runtime.container("named"):
        pass
    words = Path("/proc/self/cgroup").read_text()
    monkeypatch.setattr(sight, "_cgroup", lambda pid: words + "0::/machine/libpod-named.scope\n")
    finder = Found(runtime)
    finder.turn()
    finder.turn()
    assert held(runtime) == ["named"]


def test_a_record_of_libcni_counts_while_its_namespace_is_there(
    runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sight, "RESULTS", tmp_path)
    with runtime.container("recorded"):
        pass
    sandbox = tmp_path / "netns"
    sandbox.touch()
    record = {"result": {"interfaces": [{"name": "eth0", "sandbox": str(sandbox)}]}}
    (tmp_path / f"{NAME}-recorded-eth0").write_text(json.dumps(record))
    finder = Found(runtime)
    finder.turn()
    finder.turn()
    assert held(runtime) == ["recorded"]
    sandbox.unlink()
    finder.turn()
    finder.turn()
    assert held(runtime) == []


def test_what_is_ours_reserved_or_young_is_left_alone(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    Reserving(runtime.store).hold([Reservation("a" * 32, NAME, "10.11.3.200")])
    hostlocal.add(runtime.store, "f" * 32, "10.11.0.0/22", NAME)
    finder = Found(runtime, ours={"f" * 32})
    finder.turn()
    finder.turn()
    monkeypatch.setattr(proof, "YOUNG", 60.0)
    hostlocal.add(runtime.store, "starting", "10.11.0.0/22", NAME)
    finder.turn()
    finder.turn()
    assert held(runtime) == ["f" * 32, "starting"]
    assert len(Store(runtime.store).entries()) == 3


def test_a_lease_without_an_owner_is_freed_too(runtime: Runtime) -> None:
    """As a power cut leaves it."""
    (runtime.store / NAME).mkdir(parents=True, exist_ok=True)
    (runtime.store / NAME / "10.11.0.77").write_bytes(b"")
    finder = Found(runtime)
    finder.turn()
    finder.turn()
    assert Store(runtime.store).entries() == []


def test_an_address_that_somebody_took_meanwhile_stays(runtime: Runtime) -> None:
    hostlocal.add(runtime.store, "dead", "10.11.0.0/22", NAME)
    [entry] = Store(runtime.store).entries()
    hostlocal.delete(runtime.store, "dead", "10.11.0.0/22", NAME)
    Path(entry.path).write_text("next\r\neth0")
    assert Found(runtime).free([entry]) == []
    assert held(runtime) == ["next"]


def test_nothing_is_freed_while_somebody_holds_the_lock_of_the_store(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "PATIENCE", 0.05)
    hostlocal.add(runtime.store, "dead", "10.11.0.0/22", NAME)
    [entry] = Store(runtime.store).entries()
    with store.locked(Path(entry.path).parent):
        assert Found(runtime).free([entry]) == []
    assert held(runtime) == ["dead"]
    assert Found(runtime).free([entry]) == [entry]
    assert held(runtime) == []


def test_one_that_came_back_to_life_before_the_lock_stays(runtime: Runtime) -> None:
    with Namespace("slow") as inside:
        process = inside.popen(["sleep", "1000"])
        try:
            address = hostlocal.add(runtime.store, "slow", "10.11.0.0/22", NAME)
            [entry] = Store(runtime.store).entries()
            inside.run(["ip", "addr", "add", f"{address}/22", "dev", "lo"])
            assert Found(runtime).free([entry]) == []
            assert held(runtime) == ["slow"]
        finally:
            process.kill()
            process.wait()


def test_what_cannot_be_looked_at_proves_nothing(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what was suspected before has to be seen twice again."""
    hostlocal.add(runtime.store, "dead", "10.11.0.0/22", NAME)
    finder = Found(runtime)
    finder.turn()

    def refuse(path: str) -> int:
        raise Hidden(f"{path}: Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(whereabouts, "_inode", refuse)
        finder.turn()
        finder.turn()
    finder.turn()
    assert held(runtime) == ["dead"]
    finder.turn()
    assert held(runtime) == []


def test_without_leases_nothing_is_looked_at(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> sight.Sight:
        raise AssertionError("looked")

    monkeypatch.setattr(sight, "look", refuse)
    Found(runtime).turn()


def test_a_full_range_of_dead_leases_has_room_again(runtime: Runtime) -> None:
    """As after a reboot with the store on a disk: every lease of the last boot."""
    for number in range(29):
        hostlocal.add(runtime.store, f"old{number}", "10.11.0.0/27", NAME)
    with pytest.raises(hostlocal.Refused):
        hostlocal.add(runtime.store, "new", "10.11.0.0/27", NAME)
    finder = Found(runtime)
    finder.turn()
    finder.turn()
    assert hostlocal.add(runtime.store, "new", "10.11.0.0/27", NAME)
    assert held(runtime) == ["new"]


def test_who_asks_frees_at_once_what_would_be_freed(runtime: Runtime) -> None:
    """Without the grace time, and on the same proof; attachments of services are not spoken of."""
    hostlocal.add(runtime.store, "f" * 32, "10.11.0.0/22", NAME)
    with runtime.container("alive"):
        with runtime.container("dead"):
            pass
        ground = Ground(runtime.node.settings, runtime.node.kernel, runtime.wanted, {})
        would = answer.leases({"release": False, "ours": ["f" * 32]}, ground)
        assert [(one.container, one.network, one.freed) for one in would.leases] == [("dead", NAME, False)]
        assert (would.looked, held(runtime)) == (2, ["f" * 32, "alive", "dead"])
        did = answer.leases({"release": True, "ours": ["f" * 32]}, ground)
        assert [(one.container, one.freed) for one in did.leases] == [("dead", True)]
        assert held(runtime) == ["f" * 32, "alive"]
