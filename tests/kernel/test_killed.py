"""Attachments when the worker is killed: whatever it was doing, the next one puts all right."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from lab.namespaces import Namespace
from lab.waiting import until
from tests.kernel import attaching
from tests.kernel.attaching import (
    MAPPED,
    NETWORK,
    a_keeper,
    addresses,
    an_attacher,
    attachment,
    becomes,
    dies,
    dies_while_a_plugin_runs,
    exposed,
    held,
    is_empty,
    leases,
    mapped,
    remains,
    symlink,
    veths,
)
from tests.kernel.node import Node, a_node
from workers.holdings import Attachment, Standing


def test_a_worker_that_was_killed_at_any_step_of_attaching_leaves_nothing_and_no_second_lease(
    tmp_path: Path,
) -> None:
    for nth, node in _each_step(tmp_path):
        with Namespace("c1") as inside:
            one = attachment(inside.path, expose=MAPPED)
            held(node, one)
            if not dies(node, NETWORK, lambda attacher, one=one: attacher.settle(one, None, False), nth):
                break
            _converges(node, one, inside)
    assert nth > 6


@pytest.mark.parametrize("milliseconds", [0, 2, 4, 6, 9])
def test_a_plugin_that_outlives_the_worker_makes_nothing_behind_its_back(
    built: Node, inside: Namespace, milliseconds: int
) -> None:
    one = attachment(inside.path)
    held(built, one)
    assert dies_while_a_plugin_runs(
        built, NETWORK, lambda attacher: attacher.settle(one, None, False), milliseconds / 1000
    )
    _converges(built, one, inside)


@pytest.mark.parametrize("milliseconds", [0, 2, 4, 6, 9])
def test_a_plugin_that_outlives_the_worker_while_it_detaches_leaves_nothing(
    built: Node, inside: Namespace, milliseconds: int
) -> None:
    one = attachment(inside.path, expose=MAPPED)
    with an_attacher(built, NETWORK) as attacher:
        entry = attacher.settle(one, None, False).entry
    held(built, version=2)
    assert dies_while_a_plugin_runs(
        built, NETWORK, lambda attacher: attacher.release(one.id, entry, False), milliseconds / 1000
    )
    with a_keeper(built, NETWORK):
        until(lambda: is_empty(built), what="all is gone", within=10)
    assert addresses(inside) == []


def test_a_worker_that_was_killed_at_any_step_of_detaching_leaves_nothing(tmp_path: Path) -> None:
    for nth, node in _each_step(tmp_path):
        with Namespace("c1") as inside:
            one = attachment(inside.path, expose=MAPPED)
            with an_attacher(node, NETWORK) as attacher:
                entry = attacher.settle(one, None, False).entry
            held(node, version=2)
            if not dies(node, NETWORK, lambda a, one=one, entry=entry: a.release(one.id, entry, False), nth):
                break
            with a_keeper(node, NETWORK):
                until(lambda node=node: is_empty(node), what=f"all is gone, step {nth}", within=10)
            assert addresses(inside) == []
    assert nth > 4


def test_the_own_namespace_of_a_service_survives_no_kill_either(tmp_path: Path) -> None:
    for nth, node in _each_step(tmp_path):
        one = attachment()
        held(node, one)
        if not dies(node, NETWORK, lambda attacher, one=one: attacher.settle(one, None, False), nth):
            break
        with a_keeper(node, NETWORK) as keeper:
            becomes(keeper, one, "attached")
        assert [path.name for path in node.settings.netns_dir.iterdir()] == ["root..svc..web1"]
        held(node, version=2)
        with a_keeper(node, NETWORK):
            until(lambda node=node: is_empty(node), what=f"all is gone, step {nth}", within=10)
    assert nth > 4


def test_the_own_namespace_of_a_service_that_is_gone_meanwhile_goes_too(tmp_path: Path) -> None:
    for nth, node in _each_step(tmp_path):
        one = attachment()
        held(node, version=2)
        if not dies(node, NETWORK, lambda attacher, one=one: attacher.settle(one, None, False), nth):
            break
        with a_keeper(node, NETWORK):
            until(lambda node=node: is_empty(node), what=f"all is gone, step {nth}", within=10)
    assert nth > 6


@pytest.mark.parametrize("restarted", [False, True], ids=["where it is", "in another namespace"])
def test_a_worker_that_was_killed_at_any_step_of_attaching_again_leaves_one_with_the_address_of_before(
    tmp_path: Path, restarted: bool
) -> None:
    for nth, node in _each_step(tmp_path):
        with Namespace("c1") as first, Namespace("c1") as second:
            symlink(path := tmp_path / "container", first)
            one = attachment(str(path), expose=MAPPED)
            with an_attacher(node, NETWORK) as attacher:
                entry = attacher.settle(one, None, False).entry
            assert entry
            symlink(path, second if restarted else first)
            held(node, again := replace(one, interface="eth13"))
            if not dies(node, NETWORK, lambda a, again=again, entry=entry: a.renew(again, entry), nth):
                break
            attached = _attaches_once(node, again, second if restarted else first)
            assert attached.addresses == ("10.10.10.2",)
            assert addresses(first) == []
    assert nth > 12


def test_a_worker_that_was_killed_at_any_step_of_a_change_of_host_ports_makes_it_where_it_is(
    tmp_path: Path,
) -> None:
    for nth, node in _each_step(tmp_path):
        with Namespace("c1") as inside:
            one = attachment(inside.path, expose=MAPPED)
            with an_attacher(node, NETWORK) as attacher:
                entry = attacher.settle(one, None, False).entry
            assert entry
            held(node, other := replace(one, expose=exposed((80, 8002, "tcp"))))
            if not dies(
                node, NETWORK, lambda a, other=other, entry=entry: a.settle(other, entry, False), nth
            ):
                break
            assert _attaches_once(node, other, inside).mac == entry.mac
    assert nth > 6


def _each_step(tmp_path: Path) -> Iterator[tuple[int, Node]]:
    """A node with a network of its own for each step at which the worker may die, until there is none."""
    for nth in count(1):
        with a_node(tmp_path / str(nth)) as node:
            node.converge(attaching.with_directories(node, NETWORK))
            yield nth, node


def _converges(node: Node, one: Attachment, inside: Namespace) -> None:
    """The next worker attaches it, once; the one after that has nothing to hold and leaves nothing."""
    _attaches_once(node, one, inside)
    held(node, version=2)
    with a_keeper(node, NETWORK):
        until(lambda: is_empty(node), what="all is gone", within=10)
    assert addresses(inside) == []


def _attaches_once(node: Node, one: Attachment, inside: Namespace) -> Standing:
    """The next worker does: one lease, one interface, its host ports and no others."""
    with a_keeper(node, NETWORK) as keeper:
        standing = becomes(keeper, one, "attached")
    (address,) = standing.addresses
    assert addresses(inside, one.interface) == [f"{address}/24"]
    assert leases(node) == {address: one.id}
    assert len(veths(node)) == 1
    assert mapped(node) == {f"{p.protocol} . {p.host_port} : {address} . {p.port}" for p in one.expose}
    assert remains(node)["journal"] == [f"{one.id}.json"]
    return standing
