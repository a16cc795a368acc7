"""A network on four nodes, and the first of these as a client."""

import pytest

from networks.models import Network
from nodes.models import Node
from tests import factories
from tests.conftest import Client, of_node


@pytest.fixture
def network(nodes: list[Node]) -> Network:
    return factories.a_network()


@pytest.fixture
def n1(nodes: list[Node]) -> Client:
    return of_node(nodes[0])
