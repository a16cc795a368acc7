"""What the kernel says about a deletion is enough to undo it, and the look that follows agrees."""

from collections.abc import Iterator
from contextlib import suppress
from socket import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.documents import document, peer, routed, routed6
from tests.kernel.node import Node, a_node
from workers import repair
from workers.changes import Change, Verb
from workers.kernel import netlink, routes
from workers.watch import Watch

PEERS = 20
NETWORK = routed(peers=tuple(peer(number) for number in range(1, PEERS + 2)))
WANTED = document(NETWORK, routed6())
DELETIONS = st.lists(
    st.tuples(st.sampled_from(["del", "steal", "again"]), st.integers(min_value=2, max_value=PEERS + 1)),
    max_size=10,
)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with a_node(tmp_path_factory.mktemp("node")) as one:
        one.converge(WANTED)
        yield one


@pytest.fixture
def watch(node: Node) -> Iterator[Watch]:
    with Watch() as one:
        yield one


@pytest.fixture
def repairs(node: Node, watch: Watch) -> list[Change]:
    """What is put back while the watch waits."""
    done: list[Change] = []
    wanted = node.look(WANTED).desired.many

    def heard(messages: list[netlink.Message]) -> None:
        done.extend(repair.repair(messages, watch.flood, wanted, node.settings.protocol, node.kernel))

    watch.heard = heard
    return done


def test_a_deleted_route_is_back_before_anybody_looks(
    node: Node, watch: Watch, repairs: list[Change]
) -> None:
    before = node.routes()
    node.ip("route del 10.11.12.0/22")
    node.ip("-6 route del fd10::100/120")
    assert watch.wait(1) == {"kernel"}
    assert [str(change).split()[2] for change in repairs] == ["10.11.12.0/22", "fd10::100/120"]
    assert node.routes() == before
    assert not node.plan(WANTED)


def test_also_while_events_have_to_wait(node: Node, watch: Watch, repairs: list[Change]) -> None:
    node.ip("route del 10.11.12.0/22")
    assert watch.pause(0.05) == set()
    assert len(repairs) == 1
    assert watch.wait(0) == {"kernel"}, "the look that confirms it"


def test_also_while_peers_get_time_to_open_a_tunnel(node: Node, watch: Watch, repairs: list[Change]) -> None:
    watch.wake("document")
    node.ip("route del 10.11.12.0/22")
    watch.linger(0.05)
    assert len(repairs) == 1
    assert watch.wait(0) == {"kernel", "document"}


def test_a_flush_is_undone_in_batches(node: Node, watch: Watch, repairs: list[Change]) -> None:
    before = node.routes()
    node.ip("route flush proto 157")
    watch.wait(1)
    assert len(repairs) == PEERS
    assert node.routes() == before


def test_who_empties_the_table_is_waited_for(node: Node, watch: Watch) -> None:
    wanted, before = node.look(WANTED).desired.many, node.routes()
    node.ip("route flush proto 157")
    said = watch.flood()
    begin, rest = said[: repair.FEW + 1], said[repair.FEW + 1 :]
    assert len(repair.repair(begin, lambda: rest, wanted, 157, node.kernel)) == PEERS
    assert node.routes() == before


def test_for_a_few_nobody_waits(node: Node, watch: Watch) -> None:
    wanted, before = node.look(WANTED).desired.many, node.routes()
    for number in range(2, 2 + repair.FEW):
        node.ip(f"route del {peer(number).subnets[0]}")
    said = watch.flood()
    done = repair.repair(said, lambda: pytest.fail("it waits"), wanted, 157, node.kernel)
    assert len(done) == repair.FEW
    assert node.routes() == before


def test_what_the_worker_itself_removes_stays_away(node: Node, watch: Watch, repairs: list[Change]) -> None:
    (wanted, *_) = node.look(WANTED).desired.many
    route = next(one for one in wanted.values() if isinstance(one, routes.Route))
    index = node.kernel.netlink.index
    assert node.kernel.netlink.send([routes.encode(Verb.REMOVE, route, index)]) == [None]
    watch.wait(1)
    assert repairs == []
    assert node.converge(WANTED) == [f"add {route}"]


def test_a_route_whose_device_went_is_left_to_the_look(
    node: Node, watch: Watch, repairs: list[Change]
) -> None:
    node.ip("link set eth0 down")
    watch.wait(1)
    assert repairs == []
    node.ip("link set eth0 up")
    node.ip("addr replace fd00:aa::1/64 dev eth0 nodad")
    node.converge(WANTED)


@settings(max_examples=25, deadline=None)
@given(deletions=DELETIONS)
def test_nothing_of_others_is_taken_and_the_plan_agrees(node: Node, deletions: list[tuple[str, int]]) -> None:
    """After the repair of any deletions the plan is the one without it, less what was put back."""
    node.ip("route flush proto 4")
    node.converge(WANTED)
    wanted = node.look(WANTED).desired.many
    with netlink.listen(netlink.NETLINK_ROUTE, (7, 11)) as listener:
        for what, number in deletions:
            node.namespace.run(["sh", "-c", f"{_deletion(what, number)} 2>/dev/null || true"])
        messages = [one for data in _all(listener) for one in netlink.messages(data)]
    before = node.plan(WANTED)
    foreign = node.ip("route show proto 4")
    gone = repair.lost(messages, wanted, 157, node.kernel.netlink.port, node.kernel.present.known)
    done = repair.put_back(gone, node.kernel)
    after = node.plan(WANTED)
    assert set(before.changes) - set(after.changes) == set(done)
    assert after.findings == before.findings
    assert node.ip("route show proto 4") == foreign
    stolen = {peer(number).subnets[0] for what, number in deletions if what == "steal"}
    missing = {change.object.dst for change in after.changes if isinstance(change.object, routes.Route)}
    assert missing <= stolen | {peer(number).subnets[0] for what, number in deletions if what == "again"}


def _all(listener: socket) -> Iterator[bytes]:
    with suppress(BlockingIOError):
        while True:
            yield listener.recv(1 << 16)


def _deletion(what: str, number: int) -> str:
    segment = peer(number).subnets[0]
    return {
        "del": f"ip route del {segment}",
        "steal": f"ip route del {segment}; ip route add {segment} via 10.0.0.9 proto 4",
        "again": f"ip route del {segment}; ip route add {segment} via 10.0.0.8 proto 157",
    }[what]
