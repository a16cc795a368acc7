"""Configuration of the programs around: PowerDNS, its recursor, a container's resolver, HAProxy, nginx.

Values that matter were measured; docs/dns.md says what each is for.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from netadmin.problems import Fault, Problem
from networks.dns import labels
from networks.dns.ports import NAMES
from networks.dns.zones import Facts
from workers.holdings import Port

AUTHORITATIVE = "127.0.0.1:5300"
"""Where PowerDNS answers beside the recursor."""
CACHED = 5
"""Seconds for which PowerDNS keeps what it was not told to forget: less than any client keeps it."""
NEW_ZONE = 1
"""Seconds after which PowerDNS looks for new zones; nothing can tell it of one."""
TRANSFER = 300_000
"""Milliseconds for one answer of ours: the default of 2000 ends the transfer of a zone of 9000 records, and
who asked has its SOA alone."""
ASKING = 6
"""Threads of PowerDNS that ask us. Each waits for its answer: with as many of them we find several
questions at each look, which spares both sides going to sleep and being woken."""
CONNECTIONS = 500
"""Over TCP at once. Each backend of each HAProxy keeps one; the default of 20 then leaves all others
without an answer."""
SLOTS = 20
"""Servers of a backend at most; HAProxy shows those that nobody fills as MAINT."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    host: str
    port: int

    @classmethod
    def of(cls, text: str) -> "Endpoint":
        """HOST:PORT, IPv6 in brackets. Raises Problem."""
        host, _, port = text.rpartition(":")
        if not host or not re.fullmatch("[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
            raise Problem(Fault("address", text, "is no ADDRESS:PORT", f"Give one like {AUTHORITATIVE}"))
        return cls(host.strip("[]"), int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def pdns(socket: Path, control: Path, listen: Sequence[str], port: int) -> str:
    """pdns.conf of the authoritative server."""
    return _settings(
        {
            "launch": "remote",
            "remote-connection-string": f"unix:path={socket},timeout={TRANSFER}",
            "local-address": ", ".join(listen),
            "local-port": port,
            "socket-dir": control.parent,
            "cache-ttl": CACHED,
            "query-cache-ttl": CACHED,
            "negquery-cache-ttl": CACHED,
            "zone-cache-refresh-interval": NEW_ZONE,
            "distributor-threads": ASKING,
            "receiver-threads": 1,
            "max-tcp-connections": CONNECTIONS,
            "disable-axfr": "no",
            "security-poll-suffix": "",
            "no-shuffle": "yes",  # addresses take turns with us; chance may have one first for long
            "version-string": "netadmin",  # its "anonymous" answers version.bind with SERVFAIL
            "loglevel": 3,
        }
    )


def recursor(facts: Facts, authoritative: Endpoint, listen: Sequence[str], upstream: Sequence[str]) -> str:
    """recursor.conf: our zones are asked of PowerDNS, the rest of ``upstream``, or from the root down."""
    settings: dict[str, object] = {
        "local-address": ", ".join(listen),
        "local-port": 53,
        "forward-zones": ", ".join(f"{zone}={authoritative}" for zone in _zones(facts)),
        "dnssec": "off",
        "packetcache-ttl": CACHED,  # what it has for longer it gives in another order each time
    }
    if upstream:
        settings["forward-zones-recurse"] = f".={';'.join(upstream)}"
    return _settings(settings)


def require_forwarded(facts: Facts, authoritative: Endpoint, file: Path) -> None:
    """Raises Problem when a recursor's file forwards others to PowerDNS than the zones that are served."""
    try:
        text = file.read_text(errors="replace")
    except OSError as error:
        raise Problem(
            Fault("check", str(file), f"cannot be read ({error.strerror})", "Name the recursor's file")
        ) from None
    has, served = set(_forwarded(text, authoritative)), _zones(facts)
    remedy = "Make it again with its options: manage.py dns config recursor; then: rec_control reload-zones"
    faults = []
    if lacks := [zone for zone in served if zone not in has]:
        faults.append(
            Fault("check", str(file), f"does not forward {', '.join(lacks)} to {authoritative}", remedy)
        )
    if extra := sorted(has.difference(served)):
        faults.append(Fault("check", str(file), f"forwards {', '.join(extra)}, not served any more", remedy))
    if faults:
        raise Problem(*faults)


def resolv(facts: Facts, service: str) -> str:
    """resolv.conf(5) of a service's containers. Raises Problem for what is no service's path, or while
    the cluster has no DNS servers."""
    domain = _domain(service)
    if not facts.servers:
        remedy = "Declare them: manage.py cluster set --kw cluster.dns='10.0.0.53 10.0.0.54'"
        raise Problem(Fault("cluster.dns", "", "names no DNS server", remedy))
    namespace = f"{labels.Path.of(service).namespace}.{labels.SERVICE}"
    search = " ".join(f"{part}.{facts.cluster}" for part in (domain, namespace, labels.SERVICE))
    lines = [*(f"nameserver {address}" for address in facts.servers), f"search {search}"]
    return "\n".join([*lines, "options ndots:2 edns0 use-vc", ""])


def haproxy(facts: Facts, service: str, port: Port, authoritative: Endpoint) -> str:
    """A backend whose servers are those that the SRV records of a port name. Raises Problem.

    It brings a resolvers section of its own: two with one name cannot be in one configuration.
    """
    domain = _domain(service)
    _require_tcp(port)
    name = NAMES.get((port.port, port.protocol), str(port.port))
    backend = f"{domain.removesuffix(f'.{labels.SERVICE}').replace('.', '_')}_{name}"
    srv = f"_{name}._{port.protocol}.{domain}.{facts.cluster}"
    found = f"resolvers {backend} resolve-prefer ipv4 init-addr none"
    checked = "check inter 500ms fastinter 200ms rise 1 fall 2"
    return f"""resolvers {backend}
    nameserver dns1 tcp@{authoritative}
    accepted_payload_size 8192
    timeout resolve 500ms
    timeout retry   300ms
    resolve_retries 2
    hold valid    500ms
    hold obsolete 0s
    hold nx       0s
    hold other    300s
    hold refused  300s
    hold timeout  300s

backend {backend}
    balance roundrobin
    timeout connect 250ms
    retries 3
    option redispatch 1
    server-template s {SLOTS} {srv} {found} {checked}
"""


def nginx(facts: Facts, service: str, port: Port, authoritative: Endpoint) -> str:
    """A server that passes on to the addresses of a service. Raises Problem.

    nginx before 1.27.3 knows no SRV records, and looks a name up again only when it is in a variable.
    """
    domain = _domain(service)
    _require_tcp(port)
    return f"""server {{
    listen 80;
    resolver {authoritative} valid=1s;
    resolver_timeout 1s;
    location / {{
        set $containers {domain}.{facts.cluster};
        proxy_pass http://$containers:{port.port};
        proxy_connect_timeout 250ms;
        proxy_next_upstream error timeout;
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }}
}}
"""


def _require_tcp(port: Port) -> None:
    if port.protocol != "tcp":
        text = f"{port.port}/{port.protocol}"
        raise Problem(
            Fault("port", text, "is not of TCP, which is all that a gateway takes", "Give one like 80/tcp")
        )


def _domain(service: str) -> str:
    if not service:
        raise Problem(Fault("service", "", "is missing", "Name it behind the program, like prod/svc/web"))
    path = labels.Path.of(service)
    faults = list(labels.path_faults("service", service))
    if path.kind != labels.SERVICE:
        faults.append(Fault("service", service, "is not of kind svc: it has no names", "Give NS/svc/NAME"))
    if faults:
        raise Problem(*faults)
    return path.domain


def _zones(facts: Facts) -> list[str]:
    """As the recursor names them."""
    return [apex.rstrip(".") for apex in facts.apexes]


def _forwarded(text: str, authoritative: Endpoint) -> Iterator[str]:
    """Zones that a recursor.conf has asked of PowerDNS."""
    for line in re.findall(r"^\s*forward-zones\s*\+?=(.*)$", text, re.MULTILINE):
        for entry in line.split(","):
            zone, _, server = entry.strip().partition("=")
            if server == str(authoritative):
                yield zone.rstrip(".").lower()


def _settings(values: dict[str, object]) -> str:
    return "".join(f"{name}={value}\n" for name, value in values.items())
