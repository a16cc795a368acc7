"""Who has which address -> names: every case of the reference, and what it has no case for."""

from typing import Any

import pytest
from netaddr import IPNetwork

from networks import expose
from networks.dns import labels, names, reverse
from networks.dns.names import Holder
from networks.dns.zones import Facts, Zones
from tests.networks import cases

RANGES = [IPNetwork(text) for text in ("10.0.0.0/8", "fd10::/16")]
ANY_SERIAL = "SERIAL"


def holders(case: dict[str, Any]) -> frozenset[Holder]:
    return frozenset(
        Holder(
            instance["service"],
            resource,
            instance["node"],
            case.get("weights", {}).get(instance["node"], 10),
            has["ip"],
            has.get("hostname", ""),
            has.get("dns_name_suffix", ""),
            expose.parse_all(has.get("expose", [])),
        )
        for instance in case["instances"]
        for resource, has in instance["resources"].items()
        if "ip" in has
    )


def zones_of(case: dict[str, Any]) -> Zones:
    return Zones(Facts(case["cluster"], tuple(case["dns"]), tuple(reverse.apexes(RANGES)), holders(case), 7))


def a_holder(address: str = "10.11.0.7", **fields: Any) -> Holder:
    return Holder(
        **{
            "service": "prod/svc/web",
            "resource": "ip#0",
            "node": "n1",
            "weight": 10,
            "address": address,
            **fields,
        }
    )


def some_zones(*held: Holder, serial: int = 1, **fields: Any) -> Zones:
    apexes = tuple(reverse.apexes([IPNetwork("10.11.0.0/16")]))
    return Zones(
        Facts(
            **{
                "cluster": "c1",
                "servers": ("10.0.0.53",),
                "reverse": apexes,
                "holders": frozenset(held),
                "serial": serial,
                **fields,
            }
        )
    )


@pytest.mark.parametrize("case", cases.load("dns"), ids=lambda case: case["id"])
def test_it_serves_the_zone_of_the_reference(case: dict[str, Any]) -> None:
    zones = zones_of(case)
    apex = f"{case['cluster']}."
    assert sorted(map(_with_words, zones.of_zone(apex))) == sorted(map(tuple, case["expect"]["zone"]))
    found = [record for zone in zones.facts.reverse for record in zones.of_zone(zone)]
    assert sorted(record for record in found if record.type == "PTR") == sorted(
        map(tuple, case["expect"]["reverse"])
    )


def _with_words(record: names.Record) -> tuple[Any, ...]:
    """The SOA as the cases write it."""
    if record.type != "SOA":
        return tuple(record)
    primary, contact, serial, *timers = record.content.split()
    assert serial == "7"
    assert contact.startswith("hostmaster.")
    assert primary.endswith(record.name)
    return (*record[:3], " ".join(["MNAME", "CONTACT", ANY_SERIAL, *timers]))


@pytest.mark.parametrize(
    ("cidr", "apexes"),
    [
        ("10.11.0.0/16", ["11.10.in-addr.arpa."]),
        ("10.32.0.0/14", [f"{number}.10.in-addr.arpa." for number in (32, 33, 34, 35)]),
        ("10.9.8.0/23", ["8.9.10.in-addr.arpa.", "9.9.10.in-addr.arpa."]),
        ("192.0.2.0/24", ["2.0.192.in-addr.arpa."]),
        ("192.0.2.8/31", ["8.2.0.192.in-addr.arpa.", "9.2.0.192.in-addr.arpa."]),
        ("fd10::/16", ["0.1.d.f.ip6.arpa."]),
        (
            "fd10:0:0:4000::/51",
            [f"{nibble}{9 * '.0'}.1.d.f.ip6.arpa." for nibble in (4, 5)],
        ),
    ],
)
def test_reverse_zones_are_never_wider_than_a_range(cidr: str, apexes: list[str]) -> None:
    assert reverse.apexes([IPNetwork(cidr)]) == apexes


def test_a_reverse_zone_is_never_inside_another() -> None:
    assert reverse.apexes(map(IPNetwork, ("10.11.4.0/24", "10.11.0.0/16", "10.11.0.0/16"))) == [
        "11.10.in-addr.arpa."
    ]


def test_an_address_in_no_range_has_names_but_no_reverse_one() -> None:
    zones = some_zones(a_holder("192.0.2.9"))
    assert zones.records("web.prod.svc.c1.")
    assert not zones.records("9.2.0.192.in-addr.arpa.")


def test_what_stands_between_names_is_known() -> None:
    zones = some_zones(a_holder(ports=expose.parse_all(["80/tcp"])))
    between = {
        "_tcp.web.prod.svc.c1.",
        "prod.svc.c1.",
        "svc.c1.",
        "node.c1.",
        "n1.node.c1.",
        "0.11.10.in-addr.arpa.",
    }
    assert all(zones.is_between(name) for name in between)
    assert not any(
        zones.is_between(name) for name in ("c1.", "web.prod.svc.c1.", "nobody.c1.", "10.in-addr.arpa.", "")
    )


def test_a_change_names_what_caches_must_forget_and_nothing_else() -> None:
    stays, goes = a_holder(), a_holder("10.11.4.9", node="n2", hostname="two")
    zones = some_zones(stays, goes)
    changed = zones.follow(Facts("c1", ("10.0.0.53",), zones.facts.reverse, frozenset({stays}), 2))
    assert changed == {
        "web.prod.svc.c1.", "10-11-4-9.web.prod.svc.c1.", "two.web.prod.svc.c1.", "web.prod.svc.n2.node.c1.",
        "prod.svc.n2.node.c1.", "svc.n2.node.c1.", "n2.node.c1.",
        "9.4.11.10.in-addr.arpa.", "4.11.10.in-addr.arpa.",
    }  # fmt: skip
    assert zones.soa("c1.").content.split()[2] == "2"


def test_following_step_by_step_ends_where_a_fresh_start_does() -> None:
    steps = [
        [],
        [a_holder()],
        [a_holder(), a_holder("10.11.4.9", node="n2")],
        [a_holder("10.11.4.9", node="n2", weight=7)],
        [],
    ]
    zones = some_zones()
    for serial, held in enumerate([*steps, *reversed(steps)], 2):
        fresh = some_zones(*held, serial=serial)
        zones.follow(fresh.facts)
        assert [list(zones.of_zone(apex)) for apex in zones.facts.apexes] == [
            list(fresh.of_zone(apex)) for apex in fresh.facts.apexes
        ]
        assert zones.is_between("svc.c1.") == fresh.is_between("svc.c1.")


def test_other_zones_or_servers_are_followed_too() -> None:
    zones = some_zones(a_holder())
    changed = zones.follow(some_zones(a_holder(), cluster="c2", serial=2).facts)
    assert {"c1.", "c2.", "web.prod.svc.c1.", "web.prod.svc.c2.", "svc.c1.", "svc.c2."} <= changed
    assert zones.zone_of("web.prod.svc.c1.") == ""
    assert "ns1.c2." in zones.follow(some_zones(cluster="c2", servers=("10.0.0.53", "fd00::53")).facts)


def test_one_address_of_two_holders_stays_until_both_are_gone() -> None:
    zones = some_zones(a_holder(), a_holder(resource="ip#1"))
    zones.follow(some_zones(a_holder()).facts)
    assert [record.content for record in zones.records("web.prod.svc.c1.")] == ["10.11.0.7"]


@pytest.mark.parametrize(
    ("fields", "blamed", "name_is_served"),
    [
        ({"hostname": "web_" + 60 * "x"}, "hostname", True),
        ({"hostname": "käse"}, "hostname", True),
        ({"hostname": "10-11-0-99"}, "hostname", True),
        ({"hostname": "a", "suffix": ".b"}, "hostname", True),
        ({"service": f"prod/svc/{64 * 'w'}"}, "service", False),
        ({"service": "prod/svc/a..b"}, "service", False),
        ({"service": "pr od/svc/web"}, "service", False),
    ],
)
def test_a_name_that_cannot_be_is_left_out_and_told(
    fields: dict[str, str], blamed: str, name_is_served: bool
) -> None:
    holder = a_holder(**fields)
    zones = some_zones(holder)
    assert bool(zones.records("web.prod.svc.c1.")) == name_is_served
    (fault,) = zones.facts.faults
    assert fault.field == blamed
    assert fault.remedy
    for record in zones.of_zone("c1."):
        assert all(0 < len(label) <= 63 for label in record.name.rstrip(".").split("."))


def test_a_name_that_is_too_long_as_a_whole_is_left_out_and_told() -> None:
    long = ".".join(3 * [63 * "w"])
    zones = some_zones(a_holder(service=f"{50 * 'n'}/svc/{long}", hostname="h"))
    assert all(len(record.name) <= labels.LONGEST_NAME for record in zones.of_zone("c1."))
    assert [fault.field for fault in zones.facts.faults] == ["service"]


def test_the_serial_wraps_at_32_bits() -> None:
    assert some_zones(serial=2**32 + 5).soa("c1.").content.split()[2] == "5"
