"""Ip resources of services as somebody asks for them: their forms, pure.

prod/svc/web  ip#0  on n1
network = backend1, netns = docker:web, interface = eth12, expose = 443/tcp:8443
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from netaddr import IPAddress, valid_ipv4, valid_ipv6

from netadmin.problems import Fault, Problem
from networks import expose, rules
from networks.dns import labels

if TYPE_CHECKING:
    from networks.models import Allocation

LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
PATH = re.compile(rf"(?:(?:(?P<namespace>{LABEL})/)?(?P<kind>[a-z]+)/)?(?P<name>{LABEL}(?:\.{LABEL})*)")
RESOURCE = re.compile(r"ip#[A-Za-z0-9][A-Za-z0-9_.-]{0,59}")
HOSTNAME = re.compile(rf"{LABEL}(?:\.{LABEL})*")
SUFFIX = re.compile(r"[A-Za-z0-9_-]{1,62}")
CONTAINER = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}"
NETNS = re.compile(rf"(?:(?:container#|docker:|podman:|lxc:)?{CONTAINER}|(?:/[^/\s]+)+)")
INTERFACE = re.compile(r"[^/\s:%\x00-\x1f\x7f]{1,15}")
"""Of what the kernel takes: no ``%d``, which it fills in (net/core/dev.c), and no control characters."""
FIRST_INTERFACE = 12
"""The reference's ``eth12``; the next ones when that is taken in the same namespace."""
LAST_INTERFACE = 999
MOST = 1000
"""Of one request: the cluster is locked for all of them."""
MOST_PORTS = 256
LONGEST_NETNS = 255
LONGEST_WAIT = 3600.0
DEFAULTS: dict[str, Any] = {
    "network": "default", "netns": "", "interface": "", "wanted": [], "expose": [], "hostname": "",
    "dns_name_suffix": "", "wait_dns": 0.0, "comment": "",
}  # fmt: skip
"""What can be asked for of a resource, and what it is when it is not given."""


@dataclass(frozen=True, slots=True)
class Ask:
    """An ip resource of a service on a node, as every entrance hands it in."""

    service: str
    resource: str
    node: str
    values: Mapping[str, Any] = field(default_factory=dict)
    """Of DEFAULTS, what is given."""


def describe(row: "Allocation") -> dict[str, Any]:
    """As events keep it."""
    node = row.node.name if row.node else None
    return {"node": node, "resource": row.resource, **values_of(row)}


def values_of(row: "Allocation") -> dict[str, Any]:
    """What is asked for of it, each of DEFAULTS."""
    return {name: getattr(row, name) for name in DEFAULTS} | {"network": row.network.name}


def path(text: str) -> str:
    """``NS/svc/NAME`` of a service's path; raises Problem."""
    found = PATH.fullmatch(text)
    remedy = "Give NAMESPACE/svc/NAME, or NAME for one of the namespace root"
    if not found or len(text) > rules.LONGEST_TEXT:
        raise Problem(Fault("service", text[:80], "is no path of a service", remedy))
    if found["kind"] not in (None, "svc"):
        why = f"is of kind {found['kind']}, and only those of kind svc have addresses"
        raise Problem(Fault("service", text, why, remedy))
    name = f"{found['namespace'] or 'root'}/svc/{found['name']}"
    if len(name) > 150:
        raise Problem(Fault("service", name, "is longer than 150 characters", "Shorten it"))
    return name


def resource(text: str) -> str:
    """``ip#NAME``; raises Problem."""
    if not RESOURCE.fullmatch(text):
        remedy = "Give ip# and 1 to 60 of letters, digits, _, . and -, like ip#0"
        raise Problem(Fault("resource", text[:80], "is no id of an ip resource", remedy))
    return text


def canonical(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as they are stored; raises Problem with every fault found."""
    faults = list(_faults(values))
    written = dict(values)
    for name, write in (("expose", _ports), ("wanted", _addresses)):
        try:
            if name in values:
                written[name] = write(values[name])
        except Problem as problem:
            faults += problem.faults
    if faults:
        raise Problem(*faults)
    return written


def _faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    netns = values.get("netns", "")
    if netns and (not NETNS.fullmatch(netns) or len(netns) > LONGEST_NETNS or "/../" in f"{netns}/"):
        yield Fault(
            "netns",
            netns[:80],
            "names no container and no namespace",
            "Give container#NAME, docker:NAME, podman:NAME, lxc:NAME, a process id, a path or the name of a "
            "namespace; empty: one of the service's own",
        )
    interface = values.get("interface", "")
    if interface and (not INTERFACE.fullmatch(interface) or interface in (".", "..", "lo")):
        remedy = "Use 1 to 15 characters without / : % and spaces, like eth12"
        yield Fault("interface", interface[:80], "can be no name of an interface there", remedy)
    elif len(interface.encode()) > rules.DEVICE_BYTES:
        yield Fault("interface", interface, "is longer than 15 bytes", "Use a shorter name, like eth12")
    yield from _name_faults(values)
    seconds = values.get("wait_dns", 0)
    if not 0 <= seconds <= LONGEST_WAIT:
        remedy = f"Give 0 to {LONGEST_WAIT:g}"
        yield Fault("wait_dns", f"{seconds:g}", "is no number of seconds to wait", remedy)
    yield from rules.length_faults("comment", values.get("comment", ""), rules.LONGEST_TEXT)


def _name_faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    hostname, suffix = values.get("hostname", ""), values.get("dns_name_suffix", "")
    if hostname and (not HOSTNAME.fullmatch(hostname) or len(hostname) > 253):
        remedy = "Use labels of letters, digits, _ and -, with dots between"
        yield Fault("hostname", hostname[:80], "is no name of a host", remedy)
    elif suffix and not SUFFIX.fullmatch(suffix):
        remedy = "Use letters, digits, _ and -, like -db"
        yield Fault("dns_name_suffix", suffix[:80], "cannot end a label of a DNS name", remedy)
    else:
        yield from labels.host_faults(hostname, suffix)


def _ports(texts: Sequence[str]) -> list[str]:
    if len(texts) > MOST_PORTS:
        raise Problem(Fault("expose", str(len(texts)), f"are more than {MOST_PORTS} ports", "Expose fewer"))
    ports = expose.parse_all(texts)
    mapped: dict[tuple[str, int], str] = {}
    for port in ports:
        key, text = (port.protocol, port.host_port), expose.text(port)
        if port.host_port and (other := mapped.setdefault(key, text)) != text:
            why = f"wants the same port of the node as {other}"
            raise Problem(Fault("expose", text, why, "Give another one after the colon"))
    return [expose.text(port) for port in ports]


def _addresses(texts: Sequence[str]) -> list[str]:
    """At most one per family, IPv4 first."""
    found: dict[int, IPAddress] = {}
    for text in texts:
        if not (valid_ipv4(text) or valid_ipv6(text)):
            raise Problem(Fault("wanted", text[:80], "is not an IP address", "Give one like 10.11.0.7"))
        address = IPAddress(text)
        if found.setdefault(address.version, address) != address:
            why = f"is a second one of IPv{address.version} beside {found[address.version]}"
            raise Problem(Fault("wanted", text, why, "Ask for a second resource, like ip#1"))
    return [str(found[version]) for version in sorted(found)]
