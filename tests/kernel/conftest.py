from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.node import Node, a_node


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with a_node(tmp_path) as node:
        yield node
