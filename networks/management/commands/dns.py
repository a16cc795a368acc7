"""``manage.py dns``: the names of the cluster, and the process that serves them beside PowerDNS."""

import re
import socket
from argparse import ArgumentTypeError
from dataclasses import replace
from pathlib import Path

from netadmin.commandline import Verb, Verbs
from netadmin.problems import Fault, Problem
from networks import expose
from networks.dns import configs, listing, loaded, masterfile
from networks.dns.configs import Endpoint
from networks.dns.zones import Zones
from workers.holdings import Port

SOCKET = Path("/run/netadmin-dns/dns.sock")
CONTROL = Path("/run/pdns/pdns.controlsocket")
EXAMPLES = """examples:
  manage.py dns config pdns > /etc/powerdns/pdns.d/netadmin.conf
  manage.py dns config recursor --listen 10.0.0.53 > /etc/powerdns/recursor.d/netadmin.conf
  manage.py dns config recursor --check /etc/powerdns/recursor.d/netadmin.conf
  manage.py dns config resolv prod/svc/web
  manage.py dns config haproxy prod/svc/web --port 80/tcp
  manage.py dns config nginx prod/svc/web --port 80/tcp > /etc/nginx/conf.d/web.conf"""


class Command(Verbs):
    help = "Cluster DNS: what is served, and the process that serves it beside PowerDNS."

    def add_verbs(self, verb: Verb) -> None:
        dump = verb(
            "dump", self.dump, "Print the zones as a master file.", "example: manage.py dns dump --zone c1"
        )
        dump.add_argument(
            "--zone", action="append", default=[], help="Only this one; may be given several times."
        )
        config = verb(
            "config",
            self.config,
            "Print a configuration: of PowerDNS (pdns), of its recursor (recursor), of the resolver of a "
            "service's containers (resolv SERVICE), of a gateway for a port of a service (haproxy SERVICE, "
            "nginx SERVICE).",
            EXAMPLES,
        )
        config.add_argument("program", choices=("pdns", "recursor", "resolv", "haproxy", "nginx"))
        config.add_argument(
            "service", nargs="?", default="", help="NS/svc/NAME, for resolv, haproxy and nginx."
        )
        config.add_argument(
            "--port", default="80/tcp", help="Of the service, for haproxy and nginx. Default %(default)s."
        )
        config.add_argument("--socket", type=Path, default=SOCKET, help="Default %(default)s.")
        config.add_argument("--control", type=Path, default=CONTROL, help="Default %(default)s.")
        config.add_argument(
            "--listen", action="append", metavar="A", help="An address to listen on. Default 127.0.0.1."
        )
        config.add_argument(
            "--authoritative",
            default=configs.AUTHORITATIVE,
            metavar="A:PORT",
            help="PowerDNS. Default %(default)s.",
        )
        config.add_argument(
            "--upstream",
            action="append",
            default=[],
            metavar="A",
            help="Where the recursor asks for all other names.",
        )
        config.add_argument(
            "--check",
            type=Path,
            metavar="FILE",
            help="Print no configuration: end with status 1 and the zones that this file of the recursor "
            "lacks or has too many, as networks were declared or withdrawn since it was made.",
        )
        serve = verb(
            "serve",
            self.serve,
            "Answer PowerDNS (its remote backend) on a UNIX socket, follow every change and purge "
            "PowerDNS' caches. Ends with SIGTERM and Ctrl-C.",
            "example: manage.py dns serve --group pdns",
        )
        serve.add_argument("--socket", type=Path, default=SOCKET, help="Default %(default)s.")
        serve.add_argument("--owner", default="", help="Of the socket: a user. Default: who runs this.")
        serve.add_argument(
            "--group", default="", help="Of the socket: a group. Default: that of who runs this."
        )
        serve.add_argument("--mode", type=_mode, default=0o660, help="Of the socket, octal. Default 660.")
        serve.add_argument(
            "--control", type=Path, default=CONTROL, help="PowerDNS' control socket. Default %(default)s."
        )
        serve.add_argument(
            "--recursor",
            type=Path,
            metavar="PATH",
            help="Control socket of a recursor, to empty its cache too.",
        )
        serve.add_argument(
            "--name", default=socket.gethostname(), help="Of this DNS server. Default %(default)s."
        )

    def dump(self, zone: list[str]) -> None:
        zones = Zones(loaded.facts())
        for line in masterfile.lines(zones, [listing.zone_named(zones, name) for name in zone] or None):
            self.stdout.write(line)
        for fault in zones.facts.faults:
            self.stderr.write(f"not served: {fault}")

    def config(
        self,
        program: str,
        service: str,
        port: str,
        socket: Path,
        control: Path,
        listen: list[str] | None,
        authoritative: str,
        upstream: list[str],
        check: Path | None,
    ) -> None:
        at = Endpoint.of(authoritative)
        if check:
            _require_recursor(program)
            configs.require_forwarded(loaded.facts(), at, check)
            text = f"{check} forwards every zone\n"
        elif program == "pdns":
            text = configs.pdns(socket, control, listen or [at.host], at.port)
        elif program == "recursor":
            text = configs.recursor(loaded.facts(), at, listen or ["127.0.0.1"], upstream)
        elif program == "resolv":
            text = configs.resolv(loaded.facts(), service)
        else:
            gateway = configs.haproxy if program == "haproxy" else configs.nginx
            text = gateway(loaded.facts(), service, _port(port), at)
        self.stdout.write(text, ending="")

    def serve(
        self, socket: Path, owner: str, group: str, mode: int, control: Path, recursor: Path | None, name: str
    ) -> None:
        # Here, as it brings the clients of broker and sockets, which a dump does not need.
        from networks.dns import caches, server
        from networks.dns.listening import Place

        programs = [caches.authoritative(control), *([caches.recursor(recursor)] if recursor else [])]
        server.serve(server.Settings(Place(socket, owner, group, mode), tuple(programs), name))


def _require_recursor(program: str) -> None:
    if program != "recursor":
        raise Problem(Fault("check", program, "names no zones", "Give it with: dns config recursor"))


def _port(text: str) -> Port:
    """Raises Problem."""
    try:
        return expose.parse(text)
    except Problem as problem:
        raise Problem(*(replace(fault, field="port") for fault in problem.faults)) from None


def _mode(text: str) -> int:
    if not re.fullmatch("[0-7]{3,4}", text):
        raise ArgumentTypeError(f"{text} is no mode of a file; give one in octal, like 660")
    return int(text, 8)
