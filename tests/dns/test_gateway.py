"""HAProxy asks a real PowerDNS for the servers of a backend. Nobody is at their addresses: what counts is
which of them it knows."""

import csv
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from lab.dns import NameServer
from lab.namespaces import Namespace
from lab.processes import Program
from lab.waiting import until
from networks.dns import changes, configs
from networks.models import Allocation, Network
from nodes.models import Node
from tests import factories
from tests.dns.conftest import served

SERVICE = "prod/svc/frontend-web"
SRV = "_http._tcp.frontend-web.prod.svc.c1"
FOLLOWS = 1.0
"""Seconds until HAProxy knows who came or went."""
ALONE = 4.0
"""Seconds without ``dns serve``: HAProxy asks eight times."""
GATEWAYS = 100
FRONTEND = """
global
    stats socket {socket}
defaults
    mode http
    timeout client 10s
    timeout server 10s
frontend web
    bind 127.0.0.1:8080
    default_backend frontend-web_prod_http
"""


class Gateway:
    """HAProxy beside PowerDNS, configured as ``manage.py dns config haproxy`` says."""

    def __init__(self, server: NameServer, host: Namespace, directory: Path) -> None:
        self._socket, config = directory / "haproxy.sock", directory / "haproxy.cfg"
        text = FRONTEND.format(socket=self._socket) + server.configured("haproxy", SERVICE)
        config.write_text(text)
        argv, environment = ["haproxy", "-db", "-f", str(config)], {"PATH": os.environ["PATH"]}
        self.program = Program(
            "haproxy", argv, namespace=host, env=environment, log=directory / "haproxy.log"
        )

    def knows(self) -> list[str]:
        """Addresses of its servers, whether they answer or not."""
        self.program.check()
        with socket.socket(socket.AF_UNIX) as peer, peer.makefile() as answer:
            peer.connect(str(self._socket))
            peer.sendall(b"show stat\n")
            servers = [row for row in csv.DictReader(answer) if row["svname"] not in ("FRONTEND", "BACKEND")]
        known = [row["addr"] for row in servers if not row["status"].startswith("MAINT")]
        return sorted(address.partition(":")[0] for address in known)

    def follows(self, wanted: list[str], within: float = FOLLOWS) -> None:
        until(lambda: self.knows() == sorted(wanted), what=f"HAProxy knows {wanted}", within=within)


@pytest.fixture
def gateway(server: NameServer, host: Namespace, tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(server, host, tmp_path)
    made.program.start()
    try:
        until((tmp_path / "haproxy.sock").exists, what="HAProxy runs", within=20)
        yield made
    finally:
        made.program.kill()


@contextmanager
def alone(server: NameServer) -> Iterator[None]:
    """PowerDNS without ``dns serve``."""
    server.backend.kill()
    try:
        yield
    finally:
        server.start_backend()


def comes(network: Network, number: int) -> Allocation:
    held = factories.an_allocation(
        network,
        f"10.11.0.{number}",
        Node.objects.get(name="n1"),
        service=SERVICE,
        resource=f"ip#{number}",
    )
    held.expose = ["80/tcp"]
    held.save()
    changes.changed([held.pk])
    return held


def goes(held: Allocation) -> None:
    gone = held.pk
    held.delete()
    changes.changed([gone])


def addresses(count: int) -> list[str]:
    return [f"10.11.0.{number}" for number in range(1, count + 1)]


def test_servers_stay_while_dns_serve_is_away_and_when_it_is_back(
    server: NameServer, backend1: Network, gateway: Gateway
) -> None:
    for number in (1, 2, 3):
        comes(backend1, number)
    gateway.follows(addresses(3), within=20)
    with alone(server):
        until(lambda: server.status(SRV) == "SERVFAIL", what="PowerDNS has forgotten", within=20)
        end = time.monotonic() + ALONE
        while time.monotonic() < end:
            assert gateway.knows() == addresses(3)
    served()
    assert gateway.knows() == addresses(3)
    last = comes(backend1, 4)
    gateway.follows(addresses(4), within=20)
    goes(last)
    gateway.follows(addresses(3))


def test_a_service_may_have_as_many_containers_as_a_backend_has_servers(
    backend1: Network, gateway: Gateway
) -> None:
    for number in range(1, configs.SLOTS):
        comes(backend1, number)
    gateway.follows(addresses(configs.SLOTS - 1), within=20)
    last = comes(backend1, configs.SLOTS)
    gateway.follows(addresses(configs.SLOTS))
    goes(last)
    gateway.follows(addresses(configs.SLOTS - 1))


def test_each_of_many_gateways_keeps_a_connection_and_others_are_still_answered(server: NameServer) -> None:
    with ExitStack() as kept:
        tcp = socket.SOCK_STREAM
        gateways = [kept.enter_context(closing(server.resolver(tcp))) for _ in range(GATEWAYS)]
        for gateway in (*gateways, *gateways):
            assert gateway.ask("ns0.c1") == ["10.0.0.53"]
