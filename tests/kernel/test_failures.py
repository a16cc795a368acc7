"""Something fails at any step, or the worker is killed there: the next run arrives all the same."""

import errno
import os
import signal
from itertools import count
from pathlib import Path

import pytest

from tests.documents import bridge, document, loopback, peer, routed, routed6
from tests.kernel.faults import Strike, dying, refusing, struck
from tests.kernel.node import Node, a_node
from workers.changes import Plan
from workers.kernel.netlink import Netlink

BEFORE = document(loopback(), routed(tables=("main", "77")), bridge("old", "10.20.0.0/24"))
AFTER = document(
    loopback(),
    routed(subnets=("10.11.16.0/22",), tables=("main", "78"), mtu=1400, peers=(peer(1), peer(2), peer(4))),
    routed6(),
    bridge("new", "10.30.0.0/24"),
)
"""From the first to the second every kind is added, changed and removed."""


@pytest.mark.parametrize("code", [errno.ENOBUFS, errno.ENODEV])
def test_it_converges_after_a_failure_at_any_step(tmp_path: Path, code: int) -> None:
    target = _target(tmp_path)
    for nth in count(1):
        with a_node(tmp_path / str(nth)) as node:
            node.converge(BEFORE)
            made = node.plan(AFTER)
            strike = Strike(nth, refusing(code))
            with struck(node.kernel, strike):
                findings = node.carry_out(made)
            if not strike.struck:
                break
            assert [finding.code for finding in findings] == ["refused"]
            assert os.strerror(code) in findings[0].why
            node.converge(AFTER)
            assert _essence(node) == target, f"step {nth}"
    assert nth > 30


def test_it_converges_after_it_was_killed_at_any_step(tmp_path: Path) -> None:
    target = _target(tmp_path)
    for nth in count(1):
        with a_node(tmp_path / str(nth)) as node:
            node.converge(BEFORE)
            if not _dies(node, node.plan(AFTER), nth):
                break
            node.converge(AFTER)
            assert _essence(node) == target, f"step {nth}"
    assert nth > 30


def test_nothing_of_a_killed_worker_outlives_an_empty_document(tmp_path: Path) -> None:
    for nth in count(1):
        with a_node(tmp_path / str(nth)) as node:
            nothing = node.state()
            if not _dies(node, node.plan(AFTER), nth):
                break
            node.converge(document())
            assert node.state() == nothing, f"step {nth}"
    assert nth > 30


def test_a_bridge_that_cannot_be_made_is_one_finding_and_the_other_networks_are_built(node: Node) -> None:
    made = node.plan(document(routed(peers=()), bridge()))
    with struck(node.kernel, Strike(1, refusing(errno.EPERM))):
        findings = node.carry_out(made)
    (finding,) = findings
    assert (finding.code, finding.network) == ("refused", "backend1")
    assert str(finding) == (
        "add bridge obr_backend1 mtu 1500 mac 0a:58:0a:0b:00:01: Operation not permitted. "
        "Give the worker CAP_NET_ADMIN and CAP_SYS_ADMIN"
    )
    assert set(node.files()) == {"local1.conflist"}
    assert node.addresses("obr_local1") == ["10.10.10.1/24"]


def test_a_refused_route_says_which_and_why_in_the_kernels_words(node: Node) -> None:
    """The broadcast address as next hop: the kernel knows better."""
    bad = peer(2, gateways=("10.0.0.255",))
    findings = node.carry_out(node.plan(document(routed(peers=(bad, peer(3))))))
    (finding,) = findings
    assert finding.subject == "add route 10.11.4.0/22 via 10.0.0.255 dev eth0 proto 157"
    assert finding.why == "Nexthop has invalid gateway"
    assert node.routes() == ["10.11.8.0/22 10.0.0.3 eth0"]


def test_a_directory_that_cannot_be_made_is_a_finding(node: Node) -> None:
    node.directory.write_text("a file where the directory should be")
    (finding,) = node.carry_out(node.plan(document(bridge())))
    assert (finding.code, finding.network) == ("refused", "local1")
    assert node.addresses("obr_local1") == ["10.10.10.1/24"]


def test_routes_of_a_device_that_vanished_are_refused_and_the_others_set(node: Node) -> None:
    made = node.plan(document(routed(tables=("main", "77"))))
    without_bridge = Plan(tuple(change for change in made.changes if "route" in str(change).split()[1]))
    findings = node.carry_out(without_bridge)
    assert [finding.subject for finding in findings] == [
        "add route 10.11.0.0/22 dev obr_backend1 table 77 proto 157"
    ]
    assert len(node.routes()) == len(node.routes("77")) == 2


def test_a_socket_without_room_is_a_finding_for_each_route(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = node.plan(document(routed()))
    monkeypatch.setattr(node.kernel, "netlink", _NoRoom())
    findings = node.carry_out(made)
    assert {finding.why for finding in findings} == {"No buffer space available"}


class _NoRoom(Netlink):
    """Its socket refuses every datagram."""

    def __init__(self) -> None:
        super().__init__()
        self._socket.close()
        self._socket = _Refusing()  # type: ignore[assignment]


class _Refusing:
    def send(self, _: bytes) -> int:
        raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))


def _target(directory: Path) -> dict[str, object]:
    """What a run without a fault arrives at."""
    with a_node(directory / "target") as node:
        node.converge(BEFORE)
        node.converge(AFTER)
        return _essence(node)


def _essence(node: Node) -> dict[str, object]:
    """But for the MAC that the kernel draws for the IPv6 bridge, and the directory."""
    state = node.state()
    state["links"] = [(name, mtu, group) for name, _, mtu, group in state["links"]]
    state["files"] = {
        name: text.replace(str(node.directory.parent), "") for name, text in state["files"].items()
    }
    return state


def _dies(node: Node, made: Plan, nth: int) -> bool:
    """Carry the plan out in a process that is killed at its ``nth`` request; False: it came to the end."""
    child = os.fork()
    if child == 0:
        with struck(node.kernel, Strike(nth, dying)):
            node.carry_out(made)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
