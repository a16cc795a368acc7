"""manage.py dns: what is served, and the configuration of the programs around."""

import shutil
import subprocess
from itertools import chain
from pathlib import Path

import pytest

from networks import cluster, declare
from networks.models import Network
from nodes.models import Node
from tests import factories
from tests.commands.conftest import Refusal, Run


@pytest.fixture(autouse=True)
def backend1(nodes: list[Node]) -> Network:
    cluster.change(name="c1", dns=["10.0.0.53", "fd00::53"], by="ada")
    return factories.a_network(network="10.11.0.0/16 fd10::/48", mask_per_node="22 64")


@pytest.fixture
def web(backend1: Network, nodes: list[Node]) -> None:
    held = factories.an_allocation(backend1, "10.11.0.7", nodes[0], service="prod/svc/web")
    held.hostname, held.expose = "web", ["80/tcp"]
    held.save()


def test_it_dumps_the_zones_as_a_master_file(run: Run, web: None) -> None:
    lines = run("dns dump")
    assert lines[0].startswith("c1.\t60\tIN\tSOA\tns0.c1. hostmaster.c1. ")
    assert "_http._tcp.web.prod.svc.c1.\t60\tIN\tSRV\t0 10 80 10-11-0-7.web.prod.svc.c1." in lines
    assert "7.0.11.10.in-addr.arpa.\t60\tIN\tPTR\tweb.prod.svc.c1." in lines


def test_it_dumps_one_zone(run: Run, web: None) -> None:
    lines = run("dns dump --zone 11.10.in-addr.arpa")
    assert [line.split("\t")[3] for line in lines] == ["SOA", "NS", "NS", "PTR"]


def test_a_zone_of_somebody_else_is_refused(refusal: Refusal) -> None:
    assert refusal("dns dump --zone example.org").startswith("zone=example.org: is not served. Known: c1.")


def test_what_cannot_be_served_is_told(
    run: Run, backend1: Network, nodes: list[Node], capsys: pytest.CaptureFixture[str]
) -> None:
    factories.an_allocation(backend1, "10.11.0.7", nodes[0], service="prod/svc/a..b")
    run("dns dump")
    assert (
        "not served: service=prod/svc/a..b: an empty part is no label of a DNS name"
        in capsys.readouterr().err
    )


def test_the_resolver_of_a_service_looks_in_its_own_domain_first(run: Run) -> None:
    assert run("dns config resolv prod/svc/Web") == [
        "nameserver 10.0.0.53",
        "nameserver fd00::53",
        "search web.prod.svc.c1 prod.svc.c1 svc.c1",
        "options ndots:2 edns0 use-vc",
    ]


def test_a_service_whose_name_has_dots_is_in_its_namespace_too(run: Run) -> None:
    assert "search a.web.prod.svc.c1 prod.svc.c1 svc.c1" in run("dns config resolv prod/svc/a.web")


def test_a_resolver_without_servers_is_refused(run: Run, refusal: Refusal) -> None:
    cluster.change(dns=[], by="ada")
    assert "cluster.dns=: names no DNS server" in refusal("dns config resolv web")


@pytest.mark.parametrize("service", ["''", "prod/vol/data", "a..b"])
def test_what_is_no_service_has_no_configuration(refusal: Refusal, service: str) -> None:
    assert "service=" in refusal(f"dns config resolv {service}")


def test_the_recursor_asks_powerdns_for_all_our_zones(run: Run) -> None:
    lines = run("dns config recursor --listen 10.0.0.53 --upstream 192.0.2.1 --upstream 192.0.2.2")
    (zones,) = (line for line in lines if line.startswith("forward-zones="))
    for zone in ("c1", "11.10.in-addr.arpa", "22.10.in-addr.arpa", "0.0.0.0.0.0.0.0.0.1.d.f.ip6.arpa"):
        assert f"{zone}=127.0.0.1:5300" in zones
    assert "forward-zones-recurse=.=192.0.2.1;192.0.2.2" in lines


def test_a_file_of_the_recursor_is_checked_for_the_zones_that_there_are_by_now(
    run: Run, refusal: Refusal, backend1: Network, tmp_path: Path
) -> None:
    file = tmp_path / "netadmin.conf"
    check = f"dns config recursor --check {file}"
    file.write_text("\n".join(run("dns config recursor --upstream 192.0.2.1")))
    assert run(check) == [f"{file} forwards every zone"]
    factories.a_network("backend2", "10.12.0.0/16")
    remedy = "Make it again with its options: manage.py dns config recursor; then: rec_control reload-zones"
    lacks = f"check={file}: does not forward 12.10.in-addr.arpa to 127.0.0.1:5300. {remedy}"
    assert refusal(check) == lacks
    file.write_text(f"{file.read_text()}\nforward-zones+=12.10.in-addr.arpa=192.0.2.1:53")
    assert refusal(check) == lacks  # it asks somebody else
    file.write_text(f"{file.read_text()}\n forward-zones += 12.10.in-addr.arpa.=127.0.0.1:5300")
    assert run(check) == [f"{file} forwards every zone"]
    declare.withdraw("backend2", by="oscar")
    assert refusal(check) == f"check={file}: forwards 12.10.in-addr.arpa, not served any more. {remedy}"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("recursor --check /nowhere", "check=/nowhere: cannot be read (No such file or directory)"),
        ("pdns --check /etc/hostname", "check=pdns: names no zones"),
    ],
)
def test_what_is_no_file_of_the_recursor_is_not_checked(refusal: Refusal, line: str, said: str) -> None:
    assert refusal(f"dns config {line}").startswith(said)


def test_powerdns_is_given_time_for_a_large_zone(run: Run) -> None:
    lines = run("dns config pdns --authoritative [::1]:5301")
    assert "remote-connection-string=unix:path=/run/netadmin-dns/dns.sock,timeout=300000" in lines
    assert "local-address=::1" in lines
    assert "local-port=5301" in lines


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.1:0", ":53", "127.0.0.1:x"])
def test_an_address_needs_a_port(refusal: Refusal, address: str) -> None:
    assert f"address={address}: is no ADDRESS:PORT" in refusal(f"dns config pdns --authoritative {address}")


def checked_by_haproxy(file: Path, *backends: list[str]) -> None:
    frontend = [
        "defaults", "    timeout client 1s", "    timeout server 1s", "    mode http",
        "frontend web", "    bind 127.0.0.1:8080", "    default_backend web_prod_http",
    ]  # fmt: skip
    file.write_text("\n".join([*frontend, *chain.from_iterable(backends), ""]))
    haproxy = shutil.which("haproxy", path="/usr/sbin:/usr/bin")
    assert haproxy
    done = subprocess.run([haproxy, "-c", "-f", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_haproxy_takes_what_is_printed(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "haproxy.cfg"
    checked_by_haproxy(config, run("dns config haproxy prod/svc/web --port 80/tcp"))
    assert "_http._tcp.web.prod.svc.c1" in config.read_text()


def test_haproxy_takes_what_is_printed_for_several_services_and_ports_together(
    run: Run, tmp_path: Path
) -> None:
    wanted = ("prod/svc/web", "prod/svc/web --port 443/tcp", "prod/svc/a.web", "test/svc/web")
    checked_by_haproxy(tmp_path / "haproxy.cfg", *(run(f"dns config haproxy {words}") for words in wanted))


def test_the_weight_of_a_node_is_set_and_checked(run: Run, refusal: Refusal) -> None:
    run("node set --node n1 --kw node.weight=55")
    assert run("node get --node n1 --kw node.weight") == ["55"]
    assert "weight=65536: is out of range" in refusal("node set --node n1 --kw node.weight=65536")


def test_nginx_asks_for_the_addresses_again_each_second(run: Run) -> None:
    lines = [
        line.strip() for line in run("dns config nginx prod/svc/web --port 8080/tcp --authoritative [::1]:53")
    ]
    assert "resolver [::1]:53 valid=1s;" in lines
    assert "set $containers web.prod.svc.c1;" in lines
    assert "proxy_pass http://$containers:8080;" in lines


@pytest.mark.parametrize("program", ["haproxy", "nginx", "resolv"])
def test_a_service_that_is_not_named_is_asked_for(refusal: Refusal, program: str) -> None:
    said = "service=: is missing. Name it behind the program, like prod/svc/web"
    assert refusal(f"dns config {program}") == said


@pytest.mark.parametrize("program", ["haproxy", "nginx"])
def test_a_gateway_takes_ports_of_tcp(refusal: Refusal, program: str) -> None:
    said = refusal(f"dns config {program} prod/svc/web --port 53/udp")
    assert said == "port=53/udp: is not of TCP, which is all that a gateway takes. Give one like 80/tcp"
    assert refusal(f"dns config {program} prod/svc/web --port 80").startswith(
        "port=80: is no port of a protocol"
    )
    assert "service=web/svc/: " in refusal(f"dns config {program} web/svc/")


@pytest.mark.parametrize("mode", ["9z", "888", "6", "66000"])
def test_the_mode_of_the_socket_is_octal(refusal: Refusal, mode: str) -> None:
    assert f"{mode} is no mode of a file; give one in octal, like 660" in refusal(f"dns serve --mode {mode}")
