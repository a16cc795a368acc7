"""A request from outside reaches the containers of a service, by HAProxy or nginx and the cluster DNS.

    client (fabric) -> HAProxy on n3 :80 -> container on n1, container on n2
                          | SRV _http._tcp.web.prod.svc.cluster1
                       PowerDNS on n3, beside it dns serve
                          | A web.prod.svc.cluster1
                       nginx in place of HAProxy

A container is a program in a network namespace; the workers attach it to the network.
"""

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path

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
        self._ends = ExitStack()
        self._asked: dict[str, int] = {}

    def come(self, node: str) -> None:
        """Start one and wait until it is attached."""
        namespace = self._ends.enter_context(Namespace(f"web-{node}"))
        argv = [sys.executable, "-c", SAYS_ITS_NAME, node]
        program = Program(
            f"web-{node}", argv, namespace=namespace, env=PLAIN, log=self._directory / f"web-{node}.log"
        )
        program.start()
        self._ends.callback(program.kill)
        row = self._cluster.api.post(
            "allocations/?wait=20",
            service=SERVICE, resource="ip#0", network="backend1", node=node, netns=str(program.pid),
            expose=["80/tcp"],
        )  # fmt: skip
        assert row["state"] == "attached", row
        self._asked[node] = row["id"]

    def go(self, node: str) -> None:
        self._cluster.api.delete(f"allocations/{self._asked.pop(node)}/?wait=20")

    def close(self) -> None:
        for node in list(self._asked):
            self.go(node)
        self._ends.close()


@pytest.fixture
def containers(cluster: Cluster, declare: Declare, tmp_path: Path) -> Iterator[Containers]:
    declare("backend1", type="routed_bridge", network="10.11.0.0/16")
    made = Containers(cluster, tmp_path)
    yield made
    made.close()


@pytest.fixture
def dns(cluster: Cluster, containers: Containers, tmp_path: Path) -> Iterator[NameServer]:
    """On n3, where the gateway is."""
    with NameServer(tmp_path / "dns", cluster.nodes["n3"].namespace, cluster.control.settings) as server:
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


def settles(cluster: Cluster, address: str, wanted: set[str]) -> float:
    """Seconds until exactly these containers answer, four requests one after the other."""
    start = time.monotonic()
    until(lambda: set(who(cluster, address, 4)) == wanted, what=f"{wanted} answer", within=20)
    return time.monotonic() - start


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
