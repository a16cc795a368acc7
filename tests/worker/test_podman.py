"""Containers of podman that we attach."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worker.attachments import attachment
from tests.worker.conftest import Node
from tests.worker.control_plane import ControlPlane
from tests.worker.podman import Podman
from tests.worker.test_attaching import Service
from workers.agent import Agent


@pytest.fixture
def podman(node: Node, agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Podman]:
    made = Podman(node.namespace, tmp_path / "podman", node.config, monkeypatch)
    yield made
    made.close()


@pytest.mark.parametrize("netns", ["container#w1", "podman:w1"])
def test_a_container_of_podman_is_waited_for_attached_and_attached_again_when_it_was_restarted(
    podman: Podman, node: Node, plane: ControlPlane, agent: Agent, netns: str
) -> None:
    service = Service(node, plane, agent)
    one = attachment(netns=netns)
    service.want(one)
    assert "no container w1" in service.becomes(one, "waiting").why
    key = podman.start("w1", "none")
    standing = service.becomes(one, "attached")
    assert standing.netns.startswith("podman container w1, process ")
    podman("stop", "-t", "0", "w1")
    service.becomes(one, "waiting")
    assert node.leases() == {}
    podman("start", key)
    assert service.becomes(one, "attached").addresses == standing.addresses
    service.want()
    service.gone(one)
    assert node.leases() == {}


@pytest.mark.parametrize("length", [64, 12])
def test_a_container_of_podman_is_found_by_its_id(
    podman: Podman, node: Node, plane: ControlPlane, agent: Agent, length: int
) -> None:
    service = Service(node, plane, agent)
    key = podman.start("w1", "none")[:length]
    service.want(one := attachment(netns=f"podman:{key}"))
    assert service.becomes(one, "attached").netns.startswith(f"podman container {key}, process ")
