import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab.namespaces import Namespace
from tests.kernel import attaching
from tests.kernel.node import Node, a_node


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with a_node(tmp_path) as node:
        yield node


@pytest.fixture
def built(node: Node) -> Node:
    """A node with network ``local1``."""
    node.converge(attaching.with_directories(node, attaching.NETWORK))
    return node


@pytest.fixture
def inside() -> Iterator[Namespace]:
    """A container."""
    with Namespace("c1") as namespace:
        yield namespace


@pytest.fixture
def rude(node: Node, tmp_path: Path) -> attaching.Rude:
    def made(script: str) -> Node:
        plugins = tmp_path / "plugins"
        shutil.copytree("/usr/lib/cni", plugins)
        attaching.a_program(plugins / "rude", script)
        node.settings = replace(node.settings, cni_plugins=str(plugins))
        node.converge(attaching.with_directories(node, attaching.NETWORK))
        path = node.directory / "local1.conflist"
        path.write_text(path.read_text().replace('"portmap"', '"rude"').replace("capabilities", "x"))
        return node

    return made
