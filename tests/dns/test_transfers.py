"""Whole zones, addresses in turn, and a recursor in front."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import transaction

from lab.dns import NameServer, Recursor
from lab.waiting import until
from networks.dns import changes, loaded
from networks.dns.names import of_holder
from networks.models import Address, Allocation, Learnt, Network, State
from nodes.models import Node
from tests import factories
from tests.dns.conftest import served

SERVICES = 1000


@pytest.fixture
def node(backend1: Network) -> Node:
    return Node.objects.get(name="n1")


def many(network: Network, node: Node, count: int) -> None:
    """Services of 9 records each."""
    with transaction.atomic():
        rows = Allocation.objects.bulk_create(
            Allocation(
                network=network, node=node, service=f"root/svc/s{number}", resource="ip#0", hostname="h",
                expose=["80/tcp"], state=State.ATTACHED, learnt=Learnt.REQUEST,
            )
            for number in range(count)
        )  # fmt: skip
        Address.objects.bulk_create(
            Address(network=network, allocation=row, address=f"10.11.{8 + number // 250}.{number % 250 + 1}")
            for number, row in enumerate(rows)
        )
        changes.changed()
    served()


def records(text: str) -> set[tuple[str, ...]]:
    """Of a master file, or of dig's answer; the data with single blanks."""
    lines = (line.split(maxsplit=4) for line in text.splitlines() if line and not line.startswith(";"))
    return {tuple(line) for line in lines}


def test_a_transfer_has_the_whole_zone_and_is_what_the_dump_prints(
    server: NameServer, backend1: Network, node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    many(backend1, node, SERVICES)
    transferred = server.dig("+noall", "+answer", "+time=30", "c1", "AXFR")
    call_command("dns", "dump", "--zone", "c1")
    dumped = capsys.readouterr().out
    assert len(records(dumped)) > 6 * SERVICES
    assert records(transferred) == records(dumped)
    assert transferred.splitlines()[0].split() == transferred.splitlines()[-1].split()  # the SOA ends it


def test_addresses_of_a_service_come_in_turn(server: NameServer, backend1: Network, node: Node) -> None:
    for number in (1, 2, 3):
        factories.an_allocation(backend1, f"10.11.0.{number}", node, resource=f"ip#{number}")
    changes.changed()
    served()
    first: Counter[str] = Counter()
    with closing(server.resolver()) as resolver:
        for turn in range(60):
            found = resolver.ask("web.root.svc.c1" if turn % 2 else "WEB.root.svc.c1")
            assert sorted(found) == ["10.11.0.1", "10.11.0.2", "10.11.0.3"]
            first[found[0]] += 1
            server.control_command("PURGE")
    assert set(first) == {"10.11.0.1", "10.11.0.2", "10.11.0.3"}
    assert min(first.values()) > 5


@pytest.fixture
def recursor(server: NameServer, backend1: Network, tmp_path: Path) -> Iterator[Recursor]:
    with Recursor(tmp_path / "recursor", server) as running:
        yield running


def test_a_recursor_in_front_sees_a_change_at_once(
    recursor: Recursor, server: NameServer, backend1: Network, node: Node
) -> None:
    held = factories.an_allocation(backend1, "10.11.0.7", node)
    changes.changed()
    served()
    assert recursor.ask("web.root.svc.c1") == ["10.11.0.7"]
    assert recursor.ask("7.0.11.10.in-addr.arpa", "PTR") == ["web.root.svc.c1."]
    assert recursor.ask("nobody.root.svc.c1") == []
    with transaction.atomic():
        held.addresses.all().delete()
        held.addresses.create(network=backend1, address="10.11.0.8")
        factories.an_allocation(backend1, "10.11.0.9", node, service="root/svc/nobody")
        changes.changed()
    for name, address in (("web", "10.11.0.8"), ("nobody", "10.11.0.9")):
        until(
            lambda n=name, a=address: recursor.ask(f"{n}.root.svc.c1") == [a],
            what=f"{name} is {address}",
            within=1,
        )


def test_every_record_is_answered_as_it_is_dumped(server: NameServer, backend1: Network, node: Node) -> None:
    held = factories.an_allocation(backend1, "10.11.0.7 fd10::7", node)
    held.hostname, held.expose = "h", ["80/tcp", "53/udp"]
    held.save()
    changes.changed()
    served()
    facts = loaded.facts()
    for record in (record for holder in facts.holders for record in of_holder(holder, "c1")):
        assert record.content in server.ask(record.name, record.type), record
