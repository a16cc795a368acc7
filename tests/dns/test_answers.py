"""What PowerDNS answers, asked with dig."""

import re

import pytest

from lab.dns import NameServer
from networks.dns import changes
from networks.models import Allocation, Network
from nodes.models import Node
from tests import factories
from tests.dns.conftest import served

WEB = "web.prod.svc.c1"


@pytest.fixture
def web(server: NameServer, backend1: Network) -> Allocation:
    """Of two families, with host name and port."""
    n1 = Node.objects.get(name="n1")
    held = factories.an_allocation(backend1, "10.11.0.7 fd10::7", n1, service="prod/svc/web")
    held.expose, held.hostname = ["80/tcp"], "Web-c1.lan"
    return saved(held)


def saved(held: Allocation) -> Allocation:
    """As a change that DNS servers are told of, and serve."""
    held.save()
    changes.changed()
    served()
    return held


def test_a_service_is_found_by_all_its_names(server: NameServer, web: Allocation) -> None:
    for name in (WEB, f"web-c1.{WEB}", "web.prod.svc.n1.node.c1"):
        assert server.ask(name) == ["10.11.0.7"]
        assert server.ask(name, "AAAA") == ["fd10::7"]
    assert server.ask(f"10-11-0-7.{WEB}") == ["10.11.0.7"]
    assert server.ask(f"fd10--7.{WEB}", "AAAA") == ["fd10::7"]
    targets = [f"0 10 80 10-11-0-7.{WEB}.", f"0 10 80 fd10--7.{WEB}."]
    assert server.ask(f"_http._tcp.{WEB}", "SRV") == server.ask(f"_80._tcp.{WEB}", "SRV") == targets


def test_an_address_is_found_by_its_reverse_name(server: NameServer, web: Allocation) -> None:
    assert server.ask("7.0.11.10.in-addr.arpa", "PTR") == [f"web-c1.{WEB}."]
    assert server.dig("+short", "-x", "10.11.0.7").split() == [f"web-c1.{WEB}."]


def test_a_zone_has_its_soa_and_name_servers(server: NameServer) -> None:
    for zone in ("c1", "11.10.in-addr.arpa", "0.0.0.0.0.0.0.0.0.1.d.f.ip6.arpa"):
        (soa,) = server.ask(zone, "SOA")
        assert re.fullmatch(r"ns0\.c1\. hostmaster\.c1\. [0-9]+ 7200 3600 432000 86400", soa)
        assert server.ask(zone, "NS") == ["ns0.c1."]
    assert server.ask("ns0.c1") == ["10.0.0.53"]


def test_what_is_not_there_and_what_has_other_records_are_told_apart(
    server: NameServer, web: Allocation
) -> None:
    assert server.status("nobody.prod.svc.c1") == "NXDOMAIN"
    assert server.status("1.0.11.10.in-addr.arpa", "PTR") == "NXDOMAIN"
    for name, kind in ((WEB, "MX"), (f"10-11-0-7.{WEB}", "AAAA"), ("c1", "A")):
        assert (server.status(name, kind), server.ask(name, kind)) == ("NOERROR", [])
    negative = server.dig("+noall", "+authority", "nobody.prod.svc.c1")
    assert re.match(r"c1\.\s+60\s+IN\s+SOA\s", negative)


@pytest.mark.parametrize(
    "name", ["svc.c1", "prod.svc.c1", f"_tcp.{WEB}", "node.c1", "svc.n1.node.c1", "0.11.10.in-addr.arpa"]
)
def test_a_name_between_others_is_there_without_records(
    server: NameServer, web: Allocation, name: str
) -> None:
    assert (server.status(name, "A"), server.ask(name, "ANY")) == ("NOERROR", [])


def test_case_does_not_matter(server: NameServer, web: Allocation) -> None:
    assert server.ask("WeB.PrOd.SVC.C1") == ["10.11.0.7"]
    assert server.ask("_HTTP._Tcp.web.prod.svc.c1", "srv") == server.ask(f"_80._tcp.{WEB}", "SRV")


def test_each_record_has_its_time_to_live(server: NameServer, web: Allocation) -> None:
    def ttl(name: str, kind: str) -> str:
        return server.dig("+noall", "+answer", name, kind).split()[1]

    assert [ttl(*one) for one in ((WEB, "A"), (f"_80._tcp.{WEB}", "SRV"), ("c1", "SOA"), ("c1", "NS"))] == [
        "60", "60", "60", "3600",
    ]  # fmt: skip


def test_an_address_that_is_not_well_is_not_served(server: NameServer, web: Allocation) -> None:
    web.healthy = False
    saved(web)
    assert server.status(WEB) == "NXDOMAIN"
    web.healthy = True
    saved(web)
    assert server.ask(WEB) == ["10.11.0.7"]
