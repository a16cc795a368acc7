"""What goes wrong, on purpose.

faults.delete_route(cluster.nodes["n2"], "10.11.0.0/22")
with faults.kill_during_apply(cluster.nodes["n1"], event=3) as killed:   # at the third change
    cluster.declare(...)
    killed.wait(10)
"""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from pyroute2 import IPRoute

from lab.control import Control
from lab.node import Node

Fault = Callable[[Control], AbstractContextManager[None]]
"""Lasts as long as the block."""

_GROUPS = {"link": 1, "ipv4 address": 5, "ipv4 route": 7}
"""Multicast groups of rtnetlink(7) that tell of what a worker changes, and of little else."""


ANY_SCOPE = 255
"""RT_SCOPE_NOWHERE, as ``ip route del`` sends it: with any other, only a route of that scope is meant."""


def delete_route(node: Node, destination: str) -> None:
    """As another daemon on the node would: through a netlink library that is not ours."""
    with node.namespace.entered(), IPRoute() as netlink:
        netlink.route("del", dst=destination, scope=ANY_SCOPE)


def delete_link(node: Node, name: str) -> None:
    with node.namespace.entered(), IPRoute() as netlink:
        netlink.link("del", index=netlink.link_lookup(ifname=name)[0])


def flush_firewall(node: Node) -> None:
    """What Debian's ``/etc/nftables.conf`` begins with: everybody's tables are gone."""
    node.namespace.run(["nft", "flush", "ruleset"])


@contextmanager
def no_control_plane(control: Control) -> Iterator[None]:
    """Killed, with its broker; started again behind the block."""
    control.nodes.kill()
    try:
        yield
    finally:
        control.nodes.start()
        control.answering()


@contextmanager
def no_broker(control: Control) -> Iterator[None]:
    """The control plane goes on, and connections to its broker are refused."""
    usual = control.nodes.argv
    _serve(control, ["--no-broker" if argument == "--broker" else argument for argument in usual])
    try:
        yield
    finally:
        _serve(control, usual)


@contextmanager
def stalled_broker(control: Control) -> Iterator[None]:
    """The broker takes connections and answers nothing."""
    broker = control.broker_pid()
    os.kill(broker, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(broker, signal.SIGCONT)


def _serve(control: Control, argv: Sequence[str]) -> None:
    control.nodes.stop()
    control.nodes.argv = argv
    control.nodes.start()
    control.answering()


@contextmanager
def kill_during_apply(node: Node, event: int) -> Iterator[threading.Event]:
    """SIGKILL for the node's worker when its kernel tells of the ``event``-th change inside the block.

    Yields what is set once it was killed. The kernel carries out a batch of messages within
    microseconds, so the worker may be a few changes further than the event.
    """
    pid = node.worker.pid
    killed, over = threading.Event(), threading.Event()

    def watch(monitor: socket.socket) -> None:
        seen = 0
        while seen < event and not over.is_set():
            try:
                monitor.recv(65536)
                seen += 1
            except TimeoutError:
                continue
        if seen == event:
            os.kill(pid, signal.SIGKILL)
            node.worker.kill()
            killed.set()

    with _monitor(node) as monitor:
        thread = threading.Thread(target=watch, args=(monitor,))
        thread.start()
        try:
            yield killed
        finally:
            over.set()
            thread.join()


def _monitor(node: Node) -> socket.socket:
    with node.namespace.entered():
        monitor = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    monitor.bind((0, sum(1 << group - 1 for group in _GROUPS.values())))
    monitor.settimeout(0.05)
    return monitor
