"""Who has an address -> the records of its names. Pure: every case is a table test.

web.prod.svc.c1.                A/AAAA  60  every address of the service
web-c1.web.prod.svc.c1.         A/AAAA  60  of the resource with that host name
10-11-0-7.web.prod.svc.c1.      A/AAAA  60  that address
web.prod.svc.n1.node.c1.        A/AAAA  60  the service's addresses on that node
_80._tcp.web.prod.svc.c1.       SRV     60  0 WEIGHT 80 10-11-0-7.web.prod.svc.c1.
_http._tcp.web.prod.svc.c1.     SRV     60  the same, when the port has a name
7.0.11.10.in-addr.arpa.         PTR     60  web-c1.web.prod.svc.c1.
c1.                             NS    3600  ns0.c1.
ns0.c1.                         A/AAAA  60  the first address of cluster.dns
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from netaddr import IPAddress

from netadmin.problems import Fault
from networks.dns import labels
from networks.dns.ports import NAMES
from workers.holdings import Port

TTL = 60
NS_TTL = 3600
TIMERS = "7200 3600 432000 86400"
"""Of the SOA: refresh, retry, expire, minimum; seconds."""
PRIORITY = 0


class Record(NamedTuple):
    name: str
    """Lower case, with the final dot."""
    type: str
    ttl: int
    """Seconds."""
    content: str


class Holder(NamedTuple):
    """A resource of a service that has an address on a node."""

    service: str
    """Its path."""
    resource: str
    node: str
    weight: int
    """The node's, 0 to 65535."""
    address: str
    hostname: str = ""
    suffix: str = ""
    ports: tuple[Port, ...] = ()


def of_holder(holder: Holder, cluster: str) -> list[Record]:
    """The records of one address, that of its reverse zone last. Nothing for another kind than svc."""
    return [record for record in _all(holder, cluster) if _fits(record)]


def faults(holder: Holder, cluster: str) -> list[Fault]:
    """Which of its names are not served, and why."""
    if labels.Path.of(holder.service).kind != labels.SERVICE:
        return []
    found = [
        *labels.path_faults("service", holder.service),
        *labels.host_faults(holder.hostname, holder.suffix, holder.address),
    ]
    if not all(map(_fits, _all(holder, cluster))):
        why = f"makes names of more than {labels.LONGEST_NAME - 1} characters"
        found.append(Fault("service", holder.service, why, "Use shorter names"))
    return found


def of_cluster(cluster: str, servers: Sequence[str], apexes: Iterable[str]) -> list[Record]:
    """What every zone has but the SOA: its name servers, and their addresses in the cluster's zone."""
    names = [f"ns{number}.{cluster}." for number in range(len(servers))]
    found = [Record(apex, "NS", NS_TTL, name) for apex in apexes for name in names]
    for name, text in zip(names, servers, strict=True):
        found.append(Record(name, address_type(text), TTL, str(IPAddress(text))))
    return found


def soa(apex: str, cluster: str, servers: Sequence[str], serial: int) -> Record:
    """The SOA; the contact is a name (RFC 1035, 3.3.13): hostmaster@CLUSTER."""
    primary = f"ns0.{cluster}." if servers else f"{cluster}."
    return Record(apex, "SOA", TTL, f"{primary} hostmaster.{cluster}. {serial % 2**32} {TIMERS}")


def address_type(address: str) -> str:
    return "AAAA" if ":" in address else "A"


def reverse_name(address: str) -> str:
    """Below in-addr.arpa or ip6.arpa (RFC 1035, 3.5; RFC 3596, 2.5)."""
    return str(IPAddress(address).reverse_dns)


def _all(holder: Holder, cluster: str) -> list[Record]:
    """The records as far as each label of their names can be one."""
    path = labels.Path.of(holder.service)
    if path.kind != labels.SERVICE or any(labels.path_faults("service", holder.service)):
        return []
    domain = f"{path.domain}.{cluster}."
    dashed = f"{labels.dashed(holder.address)}.{domain}"
    host = _host(holder)
    on_node = f"{path.domain}.{holder.node}.node.{cluster}."
    owners = [domain, dashed, on_node, *([f"{host}.{domain}"] if host else [])]
    found = [Record(owner, address_type(holder.address), TTL, holder.address) for owner in owners]
    for owner, port in _ports(holder, domain):
        found.append(Record(owner, "SRV", TTL, f"{PRIORITY} {holder.weight} {port} {dashed}"))
    target = f"{host}.{domain}" if host and host != path.name else domain
    found.append(Record(reverse_name(holder.address), "PTR", TTL, target))
    return list(dict.fromkeys(found))


def _host(holder: Holder) -> str:
    unusable = any(labels.host_faults(holder.hostname, holder.suffix, holder.address))
    return "" if unusable else labels.host(holder.hostname, holder.suffix)


def _ports(holder: Holder, domain: str) -> Iterator[tuple[str, int]]:
    """Owner and port of every SRV record."""
    for port in holder.ports:
        named = NAMES.get((port.port, port.protocol))
        for label in (str(port.port), *([named] if named else [])):
            yield f"_{label}._{port.protocol}.{domain}", port.port


def _fits(record: Record) -> bool:
    target = record.content.rpartition(" ")[2] if record.type in ("SRV", "PTR") else ""
    return labels.fits(record.name) and labels.fits(target)
