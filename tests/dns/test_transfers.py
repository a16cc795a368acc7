"""Whole zones, addresses in turn, and a recursor in front."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from lab.dns import NameServer, Recursor
from lab.waiting import until
from networks import conflist
from networks.dns import changes, loaded
from networks.dns.following import AGAIN
from networks.dns.names import of_holder
from networks.models import Address, Allocation, Learnt, Network, State, Type
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


@pytest.fixture
def of_plugins(server: NameServer, backend1: Network, node: Node) -> list[str]:
    """Apexes of networks whose addresses plugins of others give, with one in use of each family."""
    weave = factories.a_network("weave1", "10.32.0.0/12", Type.WEAVE)
    direct = factories.a_network("direct", "10.13.0.0/24 fd13::/64", Type.CNI, template=conflist.EXAMPLE)
    factories.an_allocation(weave, "10.35.0.7", node, service="root/svc/weaves")
    factories.an_allocation(direct, "10.13.0.7 fd13::7", node, service="root/svc/direct")
    factories.an_allocation(backend1, "10.11.0.7 fd10::7", node, service="root/svc/both")
    changes.changed()
    served()
    zones = [
        *(f"{second}.10.in-addr.arpa" for second in range(32, 48)),
        "0.13.10.in-addr.arpa",
        "0.0.0.0.0.0.0.0.0.0.0.0.3.1.d.f.ip6.arpa",
    ]
    until(lambda: all(server.ask(zone, "SOA") for zone in zones), what="the zones are served", within=5)
    return zones


PLUGINS_POINTERS = {
    "7.0.35.10.in-addr.arpa": "weaves.root.svc.c1.",
    "7.0.13.10.in-addr.arpa": "direct.root.svc.c1.",
    f"7.{'0.' * 15}{'0.' * 12}3.1.d.f.ip6.arpa": "direct.root.svc.c1.",
    f"7.{'0.' * 15}{'0.' * 12}0.1.d.f.ip6.arpa": "both.root.svc.c1.",
}


def test_zones_of_every_type_and_family_are_transferred_as_they_are_dumped(
    server: NameServer, of_plugins: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    zones = [apex.rstrip(".") for apex in loaded.facts().apexes]
    assert {*of_plugins, "c1", "0.0.0.0.0.0.0.0.0.1.d.f.ip6.arpa"} <= set(zones)
    transferred = set[tuple[str, ...]]()
    for zone in zones:
        transferred |= records(server.dig("+noall", "+answer", zone, "AXFR"))
    call_command("dns", "dump")
    assert transferred == records(capsys.readouterr().out)
    pointers = {(one[0].rstrip("."), one[4]) for one in transferred if one[3] == "PTR"}
    assert pointers >= PLUGINS_POINTERS.items()
    for name, address in (("direct", "fd13::7"), ("fd10--7.both", "fd10::7")):
        assert (f"{name}.root.svc.c1.", "60", "IN", "AAAA", address) in transferred


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
    with Recursor(tmp_path / "recursor", server, config_recursor(server)) as running:
        yield running


def config_recursor(server: NameServer, *words: str) -> str:
    """What ``manage.py dns config recursor`` prints."""
    at, out = f"{server.address}:{server.port}", StringIO()
    arguments = ("--authoritative", at, "--listen", server.address, *words)
    call_command("dns", "config", "recursor", *arguments, stdout=out)
    return out.getvalue()


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


def test_addresses_take_turns_however_long_answers_are_kept(
    recursor: Recursor, server: NameServer, backend1: Network, node: Node
) -> None:
    """With the caches as they are configured. PowerDNS gives the next turn; a recursor shuffles, and so does
    not give ten addresses in the same order twice."""
    for number in range(3):
        factories.an_allocation(backend1, f"10.11.0.{number}", node, resource=f"ip#{number}")
    for number in range(10):
        address, resource = f"10.11.1.{number}", f"ip#{number}"
        factories.an_allocation(backend1, address, node, resource=resource, service="root/svc/many")
    changes.changed()
    served()
    told = time.monotonic()
    until(lambda: time.monotonic() - told > AGAIN[-1] + 0.5, what="caches have forgotten again", within=5)
    turns, through = set[tuple[str, ...]](), set[tuple[str, ...]]()
    with closing(server.resolver()) as client, closing(recursor.resolver()) as other:

        def look() -> bool:
            turns.add(tuple(client.ask("web.root.svc.c1")))
            through.add(tuple(other.ask("many.root.svc.c1")))
            return len(turns) == 3 and len(through) > 1

        until(look, what="there were three turns, and another order from the recursor", within=15)
    one, two, three = next(iter(turns))
    assert turns == {(one, two, three), (two, three, one), (three, one, two)}


def test_a_recursor_is_told_to_take_the_zones_that_its_file_lacks(
    recursor: Recursor, server: NameServer, of_plugins: list[str]
) -> None:
    check = ("--check", str(recursor.config))
    with pytest.raises(CommandError, match="does not forward") as refused:
        config_recursor(server, *check)
    assert all(f" {zone}" in str(refused.value) for zone in of_plugins)
    recursor.config.write_text(config_recursor(server))
    assert config_recursor(server, *check) == f"{recursor.config} forwards every zone\n"
    recursor.reload()
    found = {name: recursor.ask(name, "PTR") for name in PLUGINS_POINTERS}
    assert found == {name: [target] for name, target in PLUGINS_POINTERS.items()}
    assert recursor.ask("direct.root.svc.c1", "AAAA") == ["fd13::7"]


def test_every_record_is_answered_as_it_is_dumped(server: NameServer, backend1: Network, node: Node) -> None:
    held = factories.an_allocation(backend1, "10.11.0.7 fd10::7", node)
    held.hostname, held.expose = "h", ["80/tcp", "53/udp"]
    held.save()
    changes.changed()
    served()
    facts = loaded.facts()
    for record in (record for holder in facts.holders for record in of_holder(holder, "c1")):
        assert record.content in server.ask(record.name, record.type), record
