"""Plugins that hang: nobody else waits for them, and what outlives the worker does nothing any more."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.namespaces import Namespace
from lab.waiting import until
from tests.documents import bridge, document
from tests.kernel import attaching
from tests.kernel.attaching import (
    a_keeper,
    addresses,
    attachment,
    becomes,
    dies_while_a_plugin_runs,
    held,
    is_empty,
    leases,
)
from tests.kernel.node import Node, a_node
from workers.attaching.jobs import SIDE_BY_SIDE
from workers.holdings import Holdings

TWO_NETWORKS = document(bridge(), bridge("local2", cidr="10.10.20.0/24"))
HANGS = """#!/bin/sh
given=$(cat)
case "$CNI_COMMAND $given" in
ADD*local2*)
    echo $$ > "$0.pid"
    while [ -e "$0.hangs" ]; do sleep 0.05; done ;;
esac
printf %s "$given" | /usr/lib/cni/bridge
"""


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[tuple[Node, Path]]:
    """A node with networks ``local1`` and ``local2``; in ADD, plugins of the second hang while the file is
    there."""
    shutil.copytree("/usr/lib/cni", plugins := tmp_path / "plugins")
    (plugins / "bridge").unlink()
    (plugins / "bridge").write_text(HANGS)
    (plugins / "bridge").chmod(0o755)
    (hangs := plugins / "bridge.hangs").touch()
    with a_node(tmp_path / "node", cni_plugins=str(plugins)) as node:
        node.converge(attaching.with_directories(node, TWO_NETWORKS))
        yield node, hangs


def test_plugins_that_hang_keep_no_other_network_waiting(
    hanging: tuple[Node, Path], inside: Namespace
) -> None:
    node, hangs = hanging
    hung = [attachment(number=number, network="local2") for number in range(2, 2 + 2 * SIDE_BY_SIDE)]
    held(node, *hung)
    with a_keeper(node, TWO_NETWORKS) as keeper:
        until(lambda: len(_at_work()) == SIDE_BY_SIDE, what="plugins hang", within=5)
        keeper.hold(Holdings("n1", 2, (*hung, one := attachment(inside.path))))
        becomes(keeper, one, "attached")
        keeper.hold(Holdings("n1", 3, tuple(hung)))
        until(lambda: addresses(inside) == [], what="it is detached", within=10)
        assert not leases(node, "local2")
        assert len(_at_work()) <= 2 * SIDE_BY_SIDE
        hangs.unlink()
        for other in hung:
            becomes(keeper, other, "attached")
    assert not _at_work()


def test_the_worker_ends_beside_a_plugin_that_hangs(hanging: tuple[Node, Path]) -> None:
    node, hangs = hanging
    held(node, attachment(number=2, network="local2"))
    with a_keeper(node, TWO_NETWORKS):
        until(_at_work, what="a plugin hangs", within=5)
    assert _at_work()
    hangs.unlink()
    until(lambda: not _at_work(), what="it ends by itself", within=5)


def test_one_that_outlives_the_worker_has_ended_before_the_next_one_undoes_its_work(
    hanging: tuple[Node, Path], inside: Namespace
) -> None:
    node, hangs = hanging
    one = attachment(inside.path, 2, network="local2")
    assert dies_while_a_plugin_runs(
        node, TWO_NETWORKS, lambda attacher: attacher.settle(one, None, False), after=0.2
    )
    orphan = hangs.with_suffix(".pid").read_text().strip()
    assert _runs(orphan)
    held(node, version=2)
    with a_keeper(node, TWO_NETWORKS):
        until(lambda: is_empty(node), what="nothing is left", within=10)
        assert not _runs(orphan)


def _runs(pid: str) -> bool:
    """Whether there is such a process that has not ended (proc_pid_stat(5))."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _at_work() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("attach-")]
