"""A look takes nothing apart that it knows already, and still sees whatever changed."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.documents import document, peer, routed
from tests.kernel.node import Node, a_node
from workers.kernel import routes
from workers.kernel.door import Kernel
from workers.kernel.messages import INET

PEERS = 40
WANTED = document(routed(peers=tuple(peer(number) for number in range(1, PEERS + 2))))
DUMP = routes.dump(INET, 157)

TAMPERINGS = st.lists(
    st.tuples(
        st.sampled_from(["del", "replace", "steal", "add"]),
        st.integers(min_value=2, max_value=PEERS + 1),
    ),
    max_size=12,
)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with a_node(tmp_path_factory.mktemp("node")) as one:
        one.converge(WANTED)
        yield one


def test_the_same_answer_is_the_same_object(node: Node) -> None:
    first = node.kernel.netlink.redump(DUMP)
    assert len(first) == PEERS
    assert node.kernel.netlink.redump(DUMP) is first
    assert list(first) == node.kernel.netlink.dump(DUMP)


def test_a_route_that_goes_or_comes_changes_the_answer(node: Node) -> None:
    first = node.kernel.netlink.redump(DUMP)
    node.ip("route del 10.11.40.0/22")
    second = node.kernel.netlink.redump(DUMP)
    assert (len(first) - len(second), set(second) - set(first)) == (1, set())
    node.converge(WANTED)
    assert set(node.kernel.netlink.redump(DUMP)) == set(first)


def test_a_look_without_a_change_plans_by_identity(node: Node) -> None:
    one, other = (node.look(WANTED) for _ in range(2))
    assert one.ours.many[0] is other.ours.many[0]
    assert not node.plan(WANTED)


@settings(max_examples=25, deadline=None)
@given(tamperings=TAMPERINGS)
def test_doors_that_know_and_doors_that_are_new_see_the_same(
    node: Node, tamperings: list[tuple[str, int]]
) -> None:
    """Whatever happened to the routes: the plan is that of a worker that has just started."""
    for what, number in tamperings:
        node.namespace.run(["sh", "-c", f"ip route {_tampering(what, number)} 2>&1 || true"])
    with Kernel() as fresh:
        new = Node(node.namespace, node.settings, fresh)
        assert node.plan(WANTED) == new.plan(WANTED)
    node.namespace.run(["sh", "-c", "ip route flush proto 4"])
    node.converge(WANTED)
    assert len(node.routes()) == PEERS


def _tampering(what: str, number: int) -> str:
    own, other = peer(number), peer(number % PEERS + 2)
    segment, away = own.subnets[0], other.gateways[0]
    return {
        "del": f"del {segment}",
        "replace": f"replace {segment} via {away} proto 157",
        "steal": f"replace {segment} via {away} proto 4",
        "add": f"add {segment} via {away} metric 7 proto 157",
    }[what]
