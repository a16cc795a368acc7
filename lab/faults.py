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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from http import HTTPStatus
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

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
def no_statements(node: Node) -> Iterator[threading.Event]:
    """A proxy before the control plane answers 503 to what the node says of its services, and lets all else
    pass; as long as the event is set it lets that pass too. The worker is started anew at both ends."""
    passing, usual = threading.Event(), node.worker.env
    with node.namespace.entered():
        proxy = ThreadingHTTPServer(("127.0.0.1", 0), _passing_on(node, passing))
    thread = threading.Thread(target=proxy.serve_forever, args=(0.05,))
    thread.start()
    try:
        _start(node, {**usual, "NETADMIN_URL": f"http://127.0.0.1:{proxy.server_port}"})
        yield passing
    finally:
        _start(node, usual)
        proxy.shutdown()
        proxy.server_close()
        thread.join()


def _start(node: Node, environment: Mapping[str, str]) -> None:
    node.worker.kill()
    node.worker.env = environment
    node.worker.start()


def _passing_on(node: Node, passing: threading.Event) -> type[BaseHTTPRequestHandler]:
    host = urlsplit(node.worker.env["NETADMIN_URL"]).netloc

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._pass_on()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path.endswith("/holdings/") and not passing.is_set():
                self.send_response(HTTPStatus.SERVICE_UNAVAILABLE)
                self.end_headers()
            else:
                self._pass_on(body)

        def _pass_on(self, body: bytes | None = None) -> None:
            connection = HTTPConnection(host, timeout=30)
            with node.namespace.entered():
                connection.connect()
            connection.request(self.command, self.path, body, {**self.headers, "Host": host})
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in ("connection", "transfer-encoding"):
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Nothing: the worker's log says what it was answered."""

    return Handler


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
