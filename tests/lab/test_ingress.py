"""A request from outside reaches the containers of a service, by HAProxy or nginx and the cluster DNS.

    client (fabric) -> HAProxy on n3 :80 -> container on n1, container on n2
                          | SRV _http._tcp.web.prod.svc.cluster1
                       PowerDNS on n3, beside it dns serve
                          | A web.prod.svc.cluster1
                       nginx in place of HAProxy

A container is a program in a network namespace; the workers attach it to the network.
"""

import csv
import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from lab.cluster import Cluster
from lab.dns import NameServer
from lab.namespaces import Namespace
from lab.processes import Program
from lab.waiting import until
from tests.lab.conftest import Declare

SERVICE = "prod/svc/web"
PLAIN = {"PATH": os.environ["PATH"]}
FOLLOWS = 1.0
"""Seconds until the gateway knows who came or went."""
KEPT = 1.0
"""Seconds for which nginx keeps an answer of the DNS."""
SAYS_ITS_NAME = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(sys.argv[1].encode())

ThreadingHTTPServer(("", 80), Handler).serve_forever()
"""
GATEWAY = """
global
    stats socket {socket} level admin
defaults
    mode http
    timeout connect 1s
    timeout client 10s
    timeout server 10s
    option http-server-close
frontend web
    bind :80
    default_backend web_prod_http
"""


NGINX = """
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{}}
http {{
access_log off;
client_body_temp_path {directory}/body;
proxy_temp_path {directory}/proxy;
fastcgi_temp_path {directory}/fastcgi;
uwsgi_temp_path {directory}/uwsgi;
scgi_temp_path {directory}/scgi;
{server}
}}
"""


class Containers:
    """Of the service, one on a node."""

    def __init__(self, cluster: Cluster, directory: Path) -> None:
        self._cluster, self._directory = cluster, directory
        self._running: dict[str, ExitStack] = {}
        self._asked: dict[str, Any] = {}
        self.namespaces: dict[str, Namespace] = {}

    def come(self, node: str) -> None:
        """Start one and wait until it is attached."""
        running = self._running[node] = ExitStack()
        namespace = self.namespaces[node] = running.enter_context(Namespace(f"web-{node}"))
        argv = [sys.executable, "-c", SAYS_ITS_NAME, node]
        program = Program(
            f"web-{node}", argv, namespace=namespace, env=PLAIN, log=self._directory / f"web-{node}.log"
        )
        program.start()
        running.callback(program.kill)
        row = self._cluster.api.post(
            "allocations/?wait=20",
            service=SERVICE, resource="ip#0", network="backend1", node=node, netns=str(program.pid),
            expose=["80/tcp"],
        )  # fmt: skip
        assert row["state"] == "attached", row
        self._asked[node] = row

    def go(self, node: str) -> None:
        """Its address is given back, then it ends."""
        self._cluster.api.delete(f"allocations/{self._asked.pop(node)['id']}/?wait=20")
        self.kill(node)

    def kill(self, node: str) -> None:
        """Nobody is told."""
        self._running.pop(node, ExitStack()).close()

    def addresses(self) -> list[str]:
        return sorted(row["addresses"][0] for row in self._asked.values())

    def standing(self, node: str) -> Any:
        """Its state, and why it is not well."""
        row = self._cluster.api.get(f"allocations/{self._asked[node]['id']}/")
        return row["state"], row["healthy"], row["why"]

    def close(self) -> None:
        for node in list(self._asked):
            self.go(node)


@pytest.fixture
def containers(cluster: Cluster, declare: Declare, tmp_path: Path) -> Iterator[Containers]:
    declare("backend1", type="routed_bridge", network="10.11.0.0/16")
    made = Containers(cluster, tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def dns(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NameServer]:
    """On n3, where the gateway is."""
    directory = tmp_path_factory.mktemp("ingress") / "dns"
    with NameServer(directory, cluster.nodes["n3"].namespace, cluster.control.settings) as server:
        yield server


@pytest.fixture
def haproxy(cluster: Cluster, dns: NameServer, tmp_path: Path) -> Iterator[str]:
    """On n3, configured as ``manage.py dns config haproxy`` says; the address it answers at."""
    config = tmp_path / "haproxy.cfg"
    backend = cluster.control.manage("dns", "config", "haproxy", SERVICE, "--port", "80/tcp")
    config.write_text(GATEWAY.format(socket=tmp_path / "haproxy.sock") + backend)
    yield from gateway(cluster, ["haproxy", "-db", "-f", str(config)], tmp_path)


@pytest.fixture
def nginx(cluster: Cluster, dns: NameServer, tmp_path: Path) -> Iterator[str]:
    """The same of ``manage.py dns config nginx``."""
    server = cluster.control.manage("dns", "config", "nginx", SERVICE, "--port", "80/tcp")
    config = tmp_path / "nginx.conf"
    config.write_text(NGINX.format(directory=tmp_path, server=server))
    yield from gateway(cluster, ["nginx", "-p", str(tmp_path), "-c", str(config)], tmp_path)


def gateway(cluster: Cluster, argv: list[str], directory: Path) -> Iterator[str]:
    """A program on n3 that answers there; its address."""
    n3 = cluster.nodes["n3"]
    program = Program(argv[0], argv, namespace=n3.namespace, env=PLAIN, log=directory / f"{argv[0]}.log")
    program.start()
    try:
        until(lambda: answers(program, cluster, n3.member.address), what=f"{argv[0]} answers", within=20)
        yield n3.member.address
    finally:
        program.kill()


def answers(program: Program, cluster: Cluster, address: str) -> bool:
    program.check()
    return asked(cluster, address) is not None


def asked(cluster: Cluster, address: str) -> str | None:
    """What a client outside is answered; None: nobody listens."""
    connection = HTTPConnection(address, timeout=5)
    try:
        with cluster.underlay.fabric.entered():
            connection.connect()
        connection.request("GET", "/")
        return connection.getresponse().read().decode()
    except ConnectionRefusedError:
        return None
    finally:
        connection.close()


def who(cluster: Cluster, address: str, requests: int = 8) -> Counter[str]:
    return Counter(asked(cluster, address) or "" for _ in range(requests))


def backend(directory: Path) -> list[str]:
    """Addresses that HAProxy knows of, whether they answer or not."""
    with socket.socket(socket.AF_UNIX) as peer, peer.makefile() as answer:
        peer.connect(str(directory / "haproxy.sock"))
        peer.sendall(b"show stat\n")
        rows = csv.DictReader(answer)
        servers = [row for row in rows if row["svname"] not in ("FRONTEND", "BACKEND")]
    return sorted(row["addr"].partition(":")[0] for row in servers if not row["status"].startswith("MAINT"))


def settles(cluster: Cluster, address: str, wanted: set[str]) -> float:
    """Seconds until exactly these containers answer, four requests one after the other."""
    start = time.monotonic()
    until(lambda: set(who(cluster, address, 4)) == wanted, what=f"{wanted} answer", within=20)
    return time.monotonic() - start


@contextmanager
def unlockable(store: Path) -> Iterator[None]:
    """Nothing can be given back to a lease store, so no attachment be made anew."""
    lock, aside = store / "lock", store / "lock.aside"
    lock.rename(aside)
    lock.mkdir()
    try:
        yield
    finally:
        lock.rmdir()
        aside.rename(lock)


def test_a_request_from_outside_reaches_each_container_in_turn_and_follows_changes(
    cluster: Cluster, containers: Containers, haproxy: str
) -> None:
    containers.come("n1")
    containers.come("n2")
    settles(cluster, haproxy, {"n1", "n2"})
    assert who(cluster, haproxy) == {"n1": 4, "n2": 4}
    containers.go("n2")
    assert settles(cluster, haproxy, {"n1"}) < FOLLOWS
    assert who(cluster, haproxy) == {"n1": 8}
    containers.come("n2")
    assert settles(cluster, haproxy, {"n1", "n2"}) < FOLLOWS


def test_a_container_that_breaks_or_is_killed_leaves_names_and_gateway_by_itself(
    cluster: Cluster, containers: Containers, dns: NameServer, haproxy: str, tmp_path: Path
) -> None:
    name = "web.prod.svc.cluster1"
    containers.come("n1")
    containers.come("n2")
    kept, lost = containers.addresses()
    until(lambda: backend(tmp_path) == [kept, lost], what="HAProxy has both", within=20)
    with unlockable(cluster.nodes["n2"].store / "backend1"):
        containers.namespaces["n2"].run(["ip", "link", "del", "eth12"])
        until(lambda: backend(tmp_path) == [kept], what="HAProxy has the other only", within=FOLLOWS)
        assert who(cluster, haproxy) == {"n1": 8}
        assert dns.ask(name) == [kept]
        assert dns.status(f"{lost.replace('.', '-')}.{name}") == "NXDOMAIN"
        state, healthy, _ = containers.standing("n2")
        assert (state, healthy) == ("attached", False)
    until(lambda: dns.ask(name) == [kept, lost], what="its names are back", within=20)
    until(lambda: backend(tmp_path) == [kept, lost], what="HAProxy has both again", within=FOLLOWS)
    settles(cluster, haproxy, {"n1", "n2"})
    containers.kill("n2")
    until(lambda: backend(tmp_path) == [kept], what="HAProxy has the other only", within=FOLLOWS)
    assert who(cluster, haproxy) == {"n1": 8}
    assert dns.ask(name) == [kept]


def test_nginx_shares_requests_out_and_follows_what_its_resolver_kept_for_a_second(
    cluster: Cluster, containers: Containers, nginx: str
) -> None:
    containers.come("n1")
    containers.come("n2")
    settles(cluster, nginx, {"n1", "n2"})
    shares = who(cluster, nginx, 60)
    assert set(shares) == {"n1", "n2"}
    assert min(shares.values()) >= 10, shares
    containers.go("n2")
    assert settles(cluster, nginx, {"n1"}) < KEPT + FOLLOWS
    assert who(cluster, nginx) == {"n1": 8}
    containers.come("n2")
    assert settles(cluster, nginx, {"n1", "n2"}) < KEPT + FOLLOWS
