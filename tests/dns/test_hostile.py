"""What nobody should ask gets the right answer, and nothing breaks."""

import json
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from lab.dns import NameServer
from lab.resolver import Found, Rcode, Resolver
from lab.waiting import until
from networks.dns import changes
from networks.models import Network
from nodes.models import Node
from tests import factories
from tests.dns.conftest import served

A, NS, SOA, TXT, RRSIG, TKEY, IXFR, AXFR, ANY = 1, 2, 6, 16, 46, 249, 251, 252, 255
CH, ANY_CLASS = 3, 255
NOBODYS = {
    "reserved 0": 0, "CNAME": 5, "NULL": 10, "PTR": 12, "HINFO": 13, "MX": 15, "TXT": 16, "SIG": 24,
    "AAAA": 28, "NXT": 30, "SRV": 33, "NAPTR": 35, "DNAME": 39, "OPT": 41, "DS": 43, "NSEC": 47,
    "DNSKEY": 48, "NSEC3": 50, "NSEC3PARAM": 51, "CDS": 59, "CDNSKEY": 60, "SVCB": 64, "HTTPS": 65,
    "TSIG": 250, "MAILB": 253, "MAILA": 254, "URI": 256, "CAA": 257, "TYPE65280": 65280, "ALIAS": 65401,
    "LUA": 65402, "TYPE65534": 65534, "reserved 65535": 65535,
}  # fmt: skip
"""Types of which no name asked for below has a record."""
WEB, BETWEEN, NOBODY, APEX = "web.root.svc.c1", "root.svc.c1", "nobody.root.svc.c1", "c1"
OTHERS = ("example.org", "org", "web.root.svc.c2", "1.0.0.127.in-addr.arpa", ".")
NOTHING = Found(Rcode.NOERROR, authority=(SOA,))
NO_NAME = Found(Rcode.NXDOMAIN, authority=(SOA,))
NOT_OURS = Found(Rcode.REFUSED, authoritative=False)
HAS_ADDRESS = Found(Rcode.NOERROR, answer=(A,))
OVER_TCP = Found(Rcode.NOERROR, truncated=True)
"""Ask again there: what asks for everything is no lever against others (RFC 8482 leaves it to the server)."""
USUAL = {
    WEB: NOTHING, BETWEEN: NOTHING, NOBODY: NO_NAME, APEX: NOTHING, **dict.fromkeys(OTHERS, NOT_OURS)
}  # fmt: skip
EVERYWHERE = tuple(USUAL)

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


CANNOT_ANSWER = """
import socket, sys, time
from pathlib import Path
from networks.dns.listening import Listener, Place, bound

Listener(bound(Place(Path(sys.argv[1]))), lambda line: 1 / 0).start()
with socket.socket(socket.AF_UNIX) as peer:
    peer.connect(sys.argv[1])
    peer.sendall(b"{}\\n")
    time.sleep(3)
print("it lives on")
"""


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


@pytest.fixture(params=[socket.SOCK_DGRAM, socket.SOCK_STREAM], ids=["UDP", "TCP"])
def transport(request: pytest.FixtureRequest) -> int:
    kind: int = request.param
    return kind


@contextmanager
def without_a_word(server: NameServer) -> Iterator[None]:
    """The backend logs nothing meanwhile."""
    said = server.backend.log.read_text()
    yield
    assert server.backend.log.read_text() == said
    still_serves(server)


@contextmanager
def asking(server: NameServer, transport: int) -> Iterator[Resolver]:
    """A client whose questions the backend has nothing to log of."""
    with without_a_word(server), closing(server.resolver(transport)) as resolver:
        yield resolver


def test_types_that_nobody_has(server: NameServer, transport: int) -> None:
    """There is the name without that type, or no name, or it is none of ours."""
    with asking(server, transport) as resolver:
        for title, kind in NOBODYS.items():
            assert {name: resolver.found(name, kind) for name in EVERYWHERE} == USUAL, title


def test_types_that_there_are(server: NameServer, transport: int) -> None:
    its = {
        A: {WEB: HAS_ADDRESS},
        NS: {APEX: Found(Rcode.NOERROR, answer=(NS,), additional=(A,))},
        SOA: {APEX: Found(Rcode.NOERROR, answer=(SOA,))},
    }
    with asking(server, transport) as resolver:
        for kind, special in its.items():
            assert {name: resolver.found(name, kind) for name in EVERYWHERE} == USUAL | special, kind


def test_types_that_are_no_records(server: NameServer, transport: int) -> None:
    """Whole zones come over TCP, and are told of where there is none; a TKEY that brings none is malformed;
    there are no signatures."""
    everything = {WEB: HAS_ADDRESS, APEX: Found(Rcode.NOERROR, answer=(NS, SOA), additional=(A,))}
    zones = dict.fromkeys(EVERYWHERE, Found(Rcode.NOTAUTH)) | {APEX: Found(Rcode.NOERROR, answer=(SOA,))}
    refused = dict.fromkeys(EVERYWHERE, Found(Rcode.REFUSED))
    over_tcp = transport == socket.SOCK_STREAM
    wanted = {
        ANY: USUAL | everything if over_tcp else dict.fromkeys(EVERYWHERE, OVER_TCP),
        AXFR: zones if over_tcp else USUAL,
        IXFR: zones if over_tcp else refused,
        TKEY: dict.fromkeys(EVERYWHERE, Found(Rcode.FORMERR)),
        RRSIG: refused | dict.fromkeys(OTHERS, NOT_OURS),
    }
    with without_a_word(server):
        for kind, answers in wanted.items():
            for name in EVERYWHERE:
                with closing(server.resolver(transport)) as resolver:  # each, as a transfer ends a connection
                    assert resolver.found(name, kind) == answers[name], (kind, name)


def test_other_classes_than_that_of_the_internet(server: NameServer, transport: int) -> None:
    """Refused, or not known; of any class there is that of the internet, for which nobody speaks alone."""
    refused, unknown = Found(Rcode.REFUSED), Found(Rcode.NOTIMP)
    of_any = {name: found._replace(authoritative=False) for name, found in USUAL.items()}
    with asking(server, transport) as resolver:
        for name in EVERYWHERE:
            for of_class in (0, 2, 4, 254, 65535):
                assert {resolver.found(name, kind, of_class) for kind in (A, SOA, TXT)} == {refused}
            assert {resolver.found(name, kind, CH) for kind in (A, SOA)} == {unknown}
            assert resolver.found(name, TXT, CH) == refused
            assert resolver.found(name, TXT, ANY_CLASS) == of_any[name]
        assert resolver.found(WEB, A, ANY_CLASS) == HAS_ADDRESS._replace(authoritative=False)
        assert resolver.found("version.bind", TXT, CH) == Found(Rcode.NOERROR, answer=(TXT,))


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


@contextmanager
def without_descriptors(pid: int) -> Iterator[None]:
    """A process may open no file more than it has."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")), hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


def test_who_cannot_be_let_in_for_want_of_descriptors_is_answered_when_there_are_some(
    server: NameServer,
) -> None:
    with socket.socket(socket.AF_UNIX) as peer, peer.makefile() as answers:
        peer.settimeout(10)
        with without_descriptors(server.backend.pid):
            peer.connect(str(server.socket))
            peer.sendall(b'{"method":"initialize","parameters":{}}\n')
            until(lambda: "cannot be taken" in server.backend.tail(), what="it is not let in", within=10)
            assert server.status(NOBODY) == "NXDOMAIN"
        assert json.loads(answers.readline()) == {"result": True}
    still_serves(server)


def test_a_process_that_cannot_answer_any_more_ends(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", CANNOT_ANSWER, str(tmp_path / "dns.sock")]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "no question can be answered any more" in ended.stderr
