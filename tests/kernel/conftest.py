from collections.abc import Iterator
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
