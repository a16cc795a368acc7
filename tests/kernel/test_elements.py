"""Elements of host ports as bytes: the kernel makes of them what libnftables makes of the text."""

import errno
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_interface
from typing import Any

import pytest

from lab.namespaces import Namespace
from tests.kernel.node import Node
from workers.attaching.entry import Entry
from workers.attaching.hostports import HostPorts
from workers.holdings import Attachment, Port
from workers.kernel import ports, tables
from workers.kernel.elements import Element, changes
from workers.kernel.netlink import NetlinkError
from workers.kernel.nft import Nft
from workers.kernel.ports import Mapped
from workers.kernel.rulesets import Rulesets

TABLE = "netadmin_ports"
NONE: frozenset[Element] = frozenset()
ONE = Mapped("tcp", 258, 513, ip_interface("10.11.1.2/22"), "obr_backend1")
"""Its numbers read otherwise from behind."""
CASES = {
    "ipv4": [ONE],
    "ipv6": [replace(ONE, container=ip_interface("fd10::102:0:304/120"))],
    "udp": [replace(ONE, protocol="udp", host_port=65535, port=1)],
    "a container alone in its subnet": [
        replace(ONE, container=ip_interface("10.11.1.2/32")),
        replace(ONE, container=ip_interface("fd10::1/128")),
    ],
    "a name of fifteen characters": [replace(ONE, device="obr_23456789012")],
    "no device": [replace(ONE, device="")],
    "many": [replace(ONE, host_port=number, protocol=p) for number in range(1, 700) for p in ("tcp", "udp")],
}


@contextmanager
def a_table(name: str, held: frozenset[Element]) -> Iterator[tuple[Namespace, Nft, Rulesets]]:
    """In a namespace of its own, with elements that libnftables wrote."""
    with Namespace(name) as namespace, namespace.entered(), Nft() as nft:
        rulesets = Rulesets()
        try:
            added = tables.elements(TABLE, frozenset(), ports.names(held))
            nft.replace(TABLE, ports.rules(TABLE) + added)
            yield namespace, nft, rulesets
        finally:
            rulesets.close()


def listed(namespace: Namespace) -> list[Any]:
    """The table as ``nft`` shows it, but for handles and the order of elements."""
    shown = json.loads(namespace.run(["nft", "-j", "list", "table", "inet", TABLE]))["nftables"]
    return [_plain(one) for one in shown if "metainfo" not in one]


def _plain(one: dict[str, Any]) -> dict[str, Any]:
    ((kind, body),) = one.items()
    body.pop("handle")
    body["elem"] = sorted(map(str, body.get("elem", ())))
    return {kind: body}


@pytest.mark.parametrize("mapped", CASES.values(), ids=CASES)
def test_added_as_bytes_they_are_listed_as_if_libnftables_had_added_them(mapped: list[Mapped]) -> None:
    wanted = ports.elements(mapped)
    with a_table("written", wanted) as (namespace, nft, _):
        as_text, written = nft.listing(TABLE), listed(namespace)
    with a_table("sent", NONE) as (namespace, nft, rulesets):
        assert rulesets.commit(rulesets.generation(), changes(TABLE, NONE, wanted))
        assert listed(namespace) == written
        assert sorted(nft.listing(TABLE).split()) == sorted(as_text.split())
        assert tables.parse(nft.listing(TABLE)).elements == ports.names(wanted)


@pytest.mark.parametrize("mapped", CASES.values(), ids=CASES)
def test_what_libnftables_added_goes_as_bytes(mapped: list[Mapped]) -> None:
    wanted = ports.elements(mapped)
    with a_table("sent", wanted) as (_, nft, rulesets):
        assert rulesets.commit(rulesets.generation(), changes(TABLE, wanted, NONE))
        assert nft.listing(TABLE) == nft.canonical(TABLE, ports.rules(TABLE))


def test_a_port_is_led_elsewhere_in_one_batch() -> None:
    before, after = (ports.elements([replace(ONE, port=port)]) for port in (80, 81))
    with a_table("sent", before) as (_, nft, rulesets):
        number = rulesets.generation()
        assert rulesets.commit(number, changes(TABLE, before, after))
        assert tables.parse(nft.listing(TABLE)).elements == ports.names(after)
        assert rulesets.generation() == number + 1


def test_of_a_batch_that_is_refused_nothing_is_done() -> None:
    held, other = ports.elements([ONE]), ports.elements([replace(ONE, host_port=8001, device="other")])
    with a_table("sent", held) as (_, nft, rulesets):
        number = rulesets.generation()
        adding, taking = changes(TABLE, NONE, other), changes(TABLE, other, NONE)
        with pytest.raises(NetlinkError) as refused:
            rulesets.commit(number, [*adding, *taking, *taking])
        assert refused.value.errno == errno.ENOENT
        assert rulesets.generation() == number
        assert tables.parse(nft.listing(TABLE)).elements == ports.names(held)


def test_a_batch_for_a_ruleset_that_somebody_changed_is_not_taken() -> None:
    wanted = ports.elements([ONE])
    with a_table("sent", NONE) as (namespace, nft, rulesets):
        number = rulesets.generation()
        namespace.run(["nft", "add table inet other"])
        assert not rulesets.commit(number, changes(TABLE, NONE, wanted))
        assert tables.parse(nft.listing(TABLE)).elements == frozenset()
        assert rulesets.commit(number + 1, changes(TABLE, NONE, wanted))


def an_entry(number: int) -> Entry:
    """With two host ports, and addresses of both families."""
    expose = (Port(80, "tcp", 8000 + number), Port(53, "udp", 5000 + number))
    attachment = Attachment(f"{number:032x}", "backend1", "root/svc/web", "ip#0", "", "eth12", (), expose)
    conf = json.dumps({"plugins": [{"type": "bridge", "bridge": "lo"}]})
    ips = [{"address": f"10.11.0.{number}/22"}, {"address": f"fd10::{number:x}/120"}]
    return Entry(attachment, conf, "", "", "", 0, result=json.dumps({"ips": ips}))


def test_another_worker_finds_the_table_as_it_would_make_it(node: Node) -> None:
    entries = [an_entry(number) for number in (1, 2, 3)]
    with HostPorts("netadmin") as first, HostPorts("netadmin") as second:
        for entry in entries:
            first.put(entry)
        first.free(entries[0].attachment.id)
        assert not first.keep()
        for entry in entries[1:]:
            second.restore(entry)
        number = node.kernel.nft.generation()
        assert not second.keep()
        assert node.kernel.nft.generation() == number


def test_what_somebody_did_to_the_table_is_put_right_with_the_next_attachment(node: Node) -> None:
    with HostPorts("netadmin") as held:
        held.put(an_entry(1))
        node.nft(f"add element inet {TABLE} dnat4 {{ tcp . 22 : 10.11.0.9 . 22 }}")
        node.nft(f"flush map inet {TABLE} dnat6")
        held.put(an_entry(2))
        listing = node.nft(f"list table inet {TABLE}")
        assert "tcp . 22" not in listing
        assert "tcp . 8001 : fd10::1 . 80" in listing
        assert "tcp . 8002 : fd10::2 . 80" in listing
        assert not held.keep()


@pytest.mark.parametrize(
    "odd",
    [
        'dnat4 { tcp . 22 comment "mine, 1 of 2" : 10.11.0.9 . 22 }',
        'near4 { 10.0.0.0/8 . 10.0.0.1 comment "x, 1" }',
        'guarded { "eth0,1" }',
        'guarded { "all/rp_filter" }',
    ],
)
def test_elements_of_others_are_no_obstacle(node: Node, odd: str) -> None:
    """Their listing is no list of elements that nft takes, or names no device."""
    with HostPorts("netadmin") as held:
        held.put(an_entry(1))
        before = node.nft(f"list table inet {TABLE}")
        node.nft(f"add element inet {TABLE} {odd}")
        assert held.keep()
        assert node.nft(f"list table inet {TABLE}") == before
        held.put(an_entry(2))
        assert not held.keep()
        assert "tcp . 8002 : fd10::2 . 80" in node.nft(f"list table inet {TABLE}")


def test_one_that_the_kernel_refused_is_put_by_the_next_look(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HostPorts("netadmin") as held:
        held.put(an_entry(1))
        with monkeypatch.context() as patch:
            patch.setattr(Rulesets, "commit", _refuse)
            with pytest.raises(NetlinkError):
                held.put(an_entry(2))
        assert "8002" not in node.nft(f"list table inet {TABLE}")
        assert held.keep()
        assert "tcp . 8002 : 10.11.0.2 . 80" in node.nft(f"list table inet {TABLE}")


def _refuse(*_: object) -> bool:
    raise NetlinkError(errno.ENOBUFS, "no buffer space available")
