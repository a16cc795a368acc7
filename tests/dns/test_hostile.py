"""What nobody should ask gets the right answer, and nothing breaks."""

import json
import socket

import pytest

from lab.dns import NameServer
from lab.waiting import until
from networks.dns import changes
from networks.models import Network
from nodes.models import Node
from tests import factories
from tests.dns.conftest import served

TYPES = (
    "A",
    "ANY",
    "AXFR",
    "CNAME",
    "DNSKEY",
    "HINFO",
    "NAPTR",
    "OPT",
    "RRSIG",
    "TKEY",
    "TXT",
    "TYPE65280",
    "SVCB",
)

NAMES = {
    f"{63 * 'x'}.root.svc.c1": "NXDOMAIN",
    ".".join([63 * "x", 63 * "y", 63 * "z", 50 * "w", "svc", "c1"]): "NXDOMAIN",
    f"{'a.' * 120}c1": "NXDOMAIN",
    "a\\092\\032b.svc.c1": "NXDOMAIN",
    "*.root.svc.c1": "NXDOMAIN",
    "web.root.svc.c1.c1": "NXDOMAIN",
    "web.root.svc.c2": "REFUSED",
    "example.org": "REFUSED",
    "1.0.0.127.in-addr.arpa": "REFUSED",
    "in-addr.arpa": "REFUSED",
    ".": "REFUSED",
}
REFUSING = ("NOTIMP", "FORMERR", "NOTAUTH", "REFUSED", "")
"""What PowerDNS says of types that are no records; dig asks for a transfer without showing a status."""
JUNK = (
    b"", b"{", b"null", b"[]", b"42", b'"lookup"', b"\xff\xfe", b"{}", b'{"method":7}', b"[" * 20000,
    b'{"method":"lookup"}',
    b'{"method":"lookup","parameters":[]}',
    b'{"method":"lookup","parameters":{"qname":7}}',
    b'{"method":"lookup","parameters":{"qname":"\\ud800.c1.","qtype":"ANY"}}',
    b'{"method":"list","parameters":{"zonename":"example.org."}}',
    b'{"method":"list","parameters":{"zonename":""}}',
    b'{"method":"createDomain","parameters":{"domain":"x."}}',
    b'{"method":"__init__","parameters":{}}',
    b'{"method":"getDomainInfo","parameters":{"name":"example.org."}}',
)  # fmt: skip


@pytest.fixture(autouse=True)
def _web(backend1: Network, server: NameServer) -> None:
    factories.an_allocation(backend1, "10.11.0.7", Node.objects.get(name="n1"))
    changes.changed()
    served()


def still_serves(server: NameServer) -> None:
    assert server.ask("web.root.svc.c1") == ["10.11.0.7"]
    server.backend.check()
    server.pdns.check()


def test_names_that_are_not_ours(server: NameServer) -> None:
    assert {name: server.status(name) for name in NAMES} == NAMES
    still_serves(server)


def test_octets_that_powerdns_takes_for_no_name_are_refused_by_itself(server: NameServer) -> None:
    """It answers so before any backend is asked (validDNSName in its packethandler.cc)."""
    assert {server.status(f"{octet}.svc.c1") for octet in ("\\000", "\\034", "\\255")} == {"SERVFAIL"}
    still_serves(server)


def test_types_that_nobody_has(server: NameServer) -> None:
    for kind in TYPES:
        assert server.status("web.root.svc.c1", kind) in ("NOERROR", *REFUSING), kind
        assert server.status("nobody.root.svc.c1", kind) in ("NXDOMAIN", *REFUSING), kind
    still_serves(server)


def test_junk_on_the_socket_is_answered_with_nothing(server: NameServer) -> None:
    with socket.socket(socket.AF_UNIX) as peer, peer.makefile("rwb") as stream:
        peer.settimeout(10)
        peer.connect(str(server.socket))
        for line in JUNK:
            stream.write(line + b"\n")
            stream.flush()
            assert json.loads(stream.readline()) == {"result": False}, line[:60]
    still_serves(server)


def test_a_peer_that_never_ends_its_line_is_let_go(server: NameServer) -> None:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(10)
        peer.connect(str(server.socket))
        with pytest.raises(OSError, match=r"Broken pipe|reset"):
            peer.sendall(b"x" * 10_000_000)
    still_serves(server)


def test_thousands_of_names_of_nobody_cost_no_memory(server: NameServer) -> None:
    def resident() -> int:
        with open(f"/proc/{server.backend.pid}/statm") as file:
            return int(file.read().split()[1]) * 4096

    with socket.socket(socket.AF_UNIX) as peer, peer.makefile("rwb") as stream:
        peer.connect(str(server.socket))

        def ask(start: int, number: int) -> None:
            for turn in range(start, start + number):
                name = f"{turn:0>60}.root.svc.c1."
                stream.write(
                    json.dumps({"method": "lookup", "parameters": {"qname": name, "qtype": "ANY"}}).encode()
                    + b"\n"
                )
                stream.flush()
                assert json.loads(stream.readline()) == {"result": False}

        ask(0, 2_000)
        before = resident()
        ask(2_000, 20_000)
        assert resident() - before < 2_000_000
    until(lambda: server.ask("web.root.svc.c1"), what="it answers", within=5)
