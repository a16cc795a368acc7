"""How soon a change is seen, whatever is started again meanwhile."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from io import StringIO
from pathlib import Path
from statistics import median

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from lab.dns import NameServer
from lab.waiting import until
from networks import cluster, declare, membership
from networks.dns import changes
from networks.models import Allocation, DnsSerial, Network
from nodes.models import Node
from tests import factories
from tests.api.test_holdings import standing, state
from tests.conftest import of_node
from tests.dns.conftest import served

MEDIAN, WORST = 0.05, 1.0
"""Seconds from the commit to the answer."""
TRIALS = 15


@pytest.fixture
def node(backend1: Network) -> Node:
    return Node.objects.get(name="n1")


def appears(server: NameServer, backend1: Network, node: Node, number: int) -> float:
    """Seconds until the name of a new service is answered with its address."""
    name = f"s{number}.root.svc.c1"
    assert server.status(name) == "NXDOMAIN"  # it is in PowerDNS' caches now
    with transaction.atomic():
        row = factories.an_allocation(backend1, f"10.11.0.{number}", node, service=f"root/svc/s{number}")
        changes.changed([row.pk])
    return answered(server, name, [f"10.11.0.{number}"])


def answered(server: NameServer, name: str, wanted: list[str]) -> float:
    """Seconds until a name is answered so."""
    start = time.monotonic()
    with closing(server.resolver()) as resolver:
        while (found := resolver.ask(name)) != wanted:
            assert time.monotonic() - start < 10, f"{name} is {found}"
            time.sleep(0.001)
    return time.monotonic() - start


def moved(held: Allocation, *addresses: str) -> None:
    """It has other addresses, or none."""
    with transaction.atomic():
        held.addresses.all().delete()
        for address in addresses:
            held.addresses.create(network=held.network, address=address)
        changes.changed([held.pk])


def test_a_new_name_is_seen_at_once(server: NameServer, backend1: Network, node: Node) -> None:
    took = [appears(server, backend1, node, number) for number in range(10, 10 + TRIALS)]
    assert median(took) < MEDIAN, took
    assert max(took) < WORST, took


def test_another_address_and_none_are_seen_at_once(server: NameServer, backend1: Network, node: Node) -> None:
    held = factories.an_allocation(backend1, "10.11.0.7", node)
    changes.changed()
    answered(server, "web.root.svc.c1", ["10.11.0.7"])
    took = []
    for number in range(8, 8 + TRIALS):
        moved(held, f"10.11.0.{number}")
        took.append(answered(server, "web.root.svc.c1", [f"10.11.0.{number}"]))
    moved(held)
    took.append(answered(server, "web.root.svc.c1", []))
    assert median(took) < MEDIAN, took
    assert max(took) < WORST, took
    assert server.status("web.root.svc.c1") == "NXDOMAIN"


def test_a_change_is_seen_within_a_second_without_the_broker(
    server: NameServer, backend1: Network, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "tell", lambda: None)
    assert appears(server, backend1, node, 7) < WORST + 0.3


def test_a_message_that_was_lost_is_made_good_by_the_next(
    server: NameServer, backend1: Network, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(changes, "tell", changes._untold.clear)
        factories.an_allocation(backend1, "10.11.0.7", node)
        changes.changed([])
        until(lambda: not changes._untold, what="the message is lost", within=5)
    assert appears(server, backend1, node, 8) < WORST
    assert answered(server, "web.root.svc.c1", ["10.11.0.7"]) < WORST


def test_every_change_is_acknowledged_and_grows_the_serial(
    server: NameServer, backend1: Network, node: Node
) -> None:
    def serial() -> int:
        return int(server.ask("c1", "SOA")[0].split()[2])

    before = serial()
    factories.an_allocation(backend1, "10.11.0.7", node)
    changes.changed()
    wanted = changes.serial()
    assert wanted > before
    until(lambda: not changes.unserved(wanted), what="it is acknowledged", within=WORST)
    assert serial() == wanted
    assert server.ask("web.root.svc.c1") == ["10.11.0.7"]


def test_rows_that_were_written_without_a_word_are_served_and_grow_the_serial(
    server: NameServer, backend1: Network, node: Node
) -> None:
    before = changes.serial()
    factories.an_allocation(backend1, "10.11.0.7", node)
    until(lambda: server.ask("web.root.svc.c1") == ["10.11.0.7"], what="it is served", within=20)
    until(lambda: changes.serial() > before, what="the serial grows", within=5)


def test_the_serial_grows_when_an_older_database_is_put_back(
    server: NameServer, backend1: Network, node: Node
) -> None:
    held = factories.an_allocation(backend1, "10.11.0.7", node)
    changes.changed()
    answered(server, "web.root.svc.c1", ["10.11.0.7"])
    before = changes.serial()
    with transaction.atomic():
        held.delete()
        DnsSerial.objects.update(serial=before - 3600)
    answered(server, "web.root.svc.c1", [])
    assert changes.serial() > before
    until(lambda: int(server.ask("c1", "SOA")[0].split()[2]) > before, what="it is served", within=2)
    served()
    assert "the serial went back" in server.backend.tail()


def test_the_process_that_was_killed_serves_what_changed_meanwhile(
    server: NameServer, backend1: Network, node: Node
) -> None:
    held = factories.an_allocation(backend1, "10.11.0.7", node)
    changes.changed()
    answered(server, "web.root.svc.c1", ["10.11.0.7"])
    server.backend.kill()
    moved(held, "10.11.0.8")
    server.start_backend()
    assert answered(server, "web.root.svc.c1", ["10.11.0.8"]) < 5


def test_powerdns_that_was_started_again_is_followed(
    server: NameServer, backend1: Network, node: Node
) -> None:
    server.pdns.kill()
    server.start_pdns()
    assert appears(server, backend1, node, 7) < WORST


def test_a_new_network_has_its_reverse_zone(server: NameServer, node: Node) -> None:
    assert server.status("9.0.12.10.in-addr.arpa", "PTR") == "REFUSED"
    backend2 = factories.a_network("backend2", "10.12.0.0/16")
    factories.an_allocation(backend2, "10.12.0.9", node)
    changes.changed()
    until(
        lambda: server.ask("9.0.12.10.in-addr.arpa", "PTR") == ["web.root.svc.c1."],
        what="its reverse zone is served",
        within=3,
    )
    Allocation.objects.all().delete()
    declare.withdraw("backend2", by="oscar")
    until(lambda: server.status("9.0.12.10.in-addr.arpa", "PTR") == "REFUSED", what="it is gone", within=3)


def test_other_servers_of_the_cluster_are_its_name_servers_at_once(server: NameServer) -> None:
    assert server.ask("c1", "NS") == ["ns0.c1."]
    cluster.change(dns=["10.0.0.53", "fd00::53"], by="ada")
    served()
    assert server.ask("c1", "NS") == ["ns0.c1.", "ns1.c1."]
    assert server.ask("ns1.c1", "AAAA") == ["fd00::53"]


def test_who_waits_for_names_is_answered_when_they_are_served(
    server: NameServer, backend1: Network, node: Node, tmp_path: Path
) -> None:
    file = tmp_path / "web.conf"
    file.write_text("[ip#0]\ntype = cni\nnetwork = backend1\nwait_dns = 20\n")

    def apply() -> None:
        with closing(connection):
            call_command("service", "apply", str(file), "--node", "n1", "--wait", "20", stdout=StringIO())

    with ThreadPoolExecutor(1) as pool:
        os.kill(server.backend.pid, signal.SIGSTOP)
        try:
            answer = pool.submit(apply)
            row = until(Allocation.objects.first, what="it is asked for", within=5)
            assert state(of_node(node), standing(row, "10.11.0.7")).status_code == 204
            with pytest.raises(TimeoutError):
                answer.result(timeout=1)  # it is attached, and not served
        finally:
            os.kill(server.backend.pid, signal.SIGCONT)
        answer.result(timeout=20)
        assert server.ask("web.root.svc.c1") == ["10.11.0.7"]


def test_the_share_of_a_node_is_its_weight(server: NameServer, backend1: Network, node: Node) -> None:
    held = factories.an_allocation(backend1, "10.11.0.7", node)
    held.expose = ["80/tcp"]
    held.save()
    membership.change("n1", weight=55, by="ada")
    served()
    assert server.ask("_http._tcp.web.root.svc.c1", "SRV") == ["0 55 80 10-11-0-7.web.root.svc.c1."]
