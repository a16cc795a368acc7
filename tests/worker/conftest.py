"""One node in a network namespace, its worker as a thread or as a process, and who it talks to.

    plane (127.0.0.1)   broker (127.0.0.1)
              \\           /
              worker of n1        eth0 10.0.0.1/24, next hops 10.0.0.2 and on

Everything lives in one unnamed namespace, which vanishes with its processes.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from lab.namespaces import Namespace
from lab.syscalls import detach
from lab.waiting import until
from tests.worker import documents
from tests.worker.broker import Broker
from tests.worker.control_plane import TOKEN, ControlPlane
from workers import agent as agents
from workers import config
from workers.agent import Agent
from workers.config import Settings
from workers.reconcile import reconcile
from workers.watch import Watch

ROOT = Path(__file__).resolve().parents[2]
UNDERLAY = """
link set lo up
link add eth0 type veth peer name wire
addr add 10.0.0.1/24 dev eth0
link set eth0 up
link set wire up
"""


class Node:
    """The machine: its namespace, its directories, its worker's environment."""

    def __init__(self, namespace: Namespace, directory: Path) -> None:
        self.namespace = namespace
        self.config = directory / "net.d"
        self.state = directory / "state"
        self.leases_dir = directory / "leases"
        self.environment = {
            "NETADMIN_NODE": "n1",
            "NETADMIN_URL": "http://127.0.0.1:1",
            "NETADMIN_TOKEN": TOKEN,
            "NETADMIN_STATE_DIR": str(self.state),
            "NETADMIN_CNI_STORE": str(self.leases_dir),
            "NETADMIN_CNI_CONFIG": str(self.config),
            "NETADMIN_NETNS_DIR": str(directory / "netns"),
        }

    @property
    def settings(self) -> Settings:
        return config.load(self.environment)

    def cached(self, body: bytes) -> None:
        """As if the worker had read this document before."""
        self.state.mkdir(exist_ok=True)
        (self.state / "document.json").write_bytes(body)

    def ip(self, arguments: str) -> list[str]:
        return self.namespace.run(["ip", *arguments.split()]).splitlines()

    def routes(self) -> set[str]:
        """Destinations of the routes of ours."""
        return {line.split()[0] for line in self.ip("route show proto 157")}

    def leases(self, network: str = "backend1") -> dict[str, str]:
        """Addresses that are taken in a network, and the container id of each holder."""
        found = {}
        for path in (self.leases_dir / network).glob("*.*.*.*"):
            with suppress(FileNotFoundError):  # given back meanwhile
                found[path.name] = path.read_text().partition("\n")[0]
        return found

    def links(self) -> set[str]:
        return {line.split(":")[1].strip().partition("@")[0] for line in self.ip("-o link show")}


class Process:
    """``python -m workers`` in a node's namespace."""

    def __init__(self, node: Node, *arguments: str, **environment: str) -> None:
        self.log = node.config.parent / f"worker-{len(list(node.config.parent.glob('worker-*')))}"
        with self.log.open("wb") as log:
            self._process = node.namespace.popen(
                [sys.executable, "-m", "workers", *arguments],
                cwd=ROOT,
                env={**os.environ, **node.environment, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def said(self) -> str:
        return self.log.read_text()

    def says(self, text: str, within: float = 10) -> None:
        until(lambda: text in self.said() or not self.alive, what=f"the worker says {text!r}", within=within)
        assert text in self.said()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self, within: float = 10) -> int:
        """SIGTERM; the exit status."""
        self._process.send_signal(signal.SIGTERM)
        return self.ended(within)

    def ended(self, within: float = 10) -> int:
        return self._process.wait(within)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with Namespace("n1") as namespace:
        namespace.run(["ip", "-batch", "-"], stdin=UNDERLAY)
        yield Node(namespace, tmp_path)
    detach(str(tmp_path / "netns"))


@pytest.fixture
def start(node: Node) -> Iterator[type[Process]]:
    """``start("plan", NETADMIN_NODE="n2")`` starts a process; what still runs is killed behind the test."""
    started: list[Process] = []

    def starting(*arguments: str, **environment: str) -> Process:
        started.append(Process(node, *arguments, **environment))
        return started[-1]

    yield starting  # type: ignore[misc]
    for process in started:
        process.kill()
        sys.stdout.write(process.said())  # pytest shows it when the test failed


@pytest.fixture
def plane(node: Node) -> Iterator[ControlPlane]:
    """A control plane with ``backend1`` for n1, in reach of the node."""
    with node.namespace.entered():
        plane = ControlPlane()
    declare(plane, documents.body(documents.backend()))
    node.environment["NETADMIN_URL"] = plane.url
    with plane:
        yield plane


@pytest.fixture
def broker(node: Node, tmp_path: Path) -> Iterator[Broker]:
    node.environment["NETADMIN_BROKER_URL"] = Broker.url
    with Broker(tmp_path / "broker", node.namespace) as broker:
        yield broker


class Runs:
    """In place of ``reconcile``: counts, and on request waits or fails before it goes on."""

    def __init__(self) -> None:
        self.count = 0
        self.fail: Exception | None = None
        self.go = threading.Event()
        self.go.set()

    def __call__(self, *arguments: Any) -> Any:
        self.count += 1
        if self.fail:
            raise self.fail
        self.go.wait()
        return reconcile(*arguments)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    runs = Runs()
    monkeypatch.setattr(agents, "reconcile", runs)
    return runs


@pytest.fixture
def agent(node: Node, plane: ControlPlane, runs: Runs) -> Iterator[Agent]:
    """Started, and done with its first document."""
    with node.namespace.entered():
        watch = Watch()
        with watch:
            agent = Agent(node.settings, watch)
            agent.start()
            until(plane.told, what="the first report", within=60)
            yield agent
            runs.go.set()
            agent.stop()
            agent.join()


def declare(plane: ControlPlane, body: bytes) -> str:
    """The control plane has this document from now on; its version."""
    version = documents.version(body)
    plane.declare(body, version)
    return version
