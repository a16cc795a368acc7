"""The report: what a node tells the control plane after looking or applying.

JSON, one object, the fields of ``Report``. ``sequence`` grows with every report of a
node (wall clock in nanoseconds), so that one that arrives late is told from the newest.
"""

import ipaddress
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from workers import wire

FORMAT = 1
MAX_BYTES = 16 * 1024 * 1024
LONGEST_VERSION = 64
"""Of a SHA-256 in hexadecimal."""
MOST_ROUTES = 2**31 - 1
OUTCOMES = ("applied", "unchanged", "failed", "no-document", "rolled-back")
LATEST = 253402300800.0
"""Seconds since 1970: the year 10000, which no calendar writes."""
PROBLEM, WARNING = "problem", "warning"
LEVELS = (PROBLEM, WARNING)
PAIR_STATES = ("up", "mtu", "down", "pending")
MOST_PAIRS = 64
"""Peers of a network up to which every pair is told; beyond, those that are not up, as many at most."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem: what is wrong with what, and what helps."""

    code: str
    """Short and stable, for scripts: ``conflict``, ``no-path``, ``refused``, ``no-plugin`` ..."""
    network: str
    """The network it concerns; empty: the whole node."""
    subject: str
    """The object, e.g. ``route 10.11.4.0/22 via 10.0.0.2``."""
    why: str
    remedy: str
    level: str = PROBLEM
    """``problem``: not all is as declared, or packets are lost; ``warning``: it may come to that."""

    def __str__(self) -> str:
        return f"{self.subject}: {self.why}. {self.remedy}"


@dataclass(frozen=True, slots=True)
class Interface:
    """One network interface as the kernel has it; counters since it was made."""

    name: str
    kind: str
    """``bridge``, ``veth``, ... ; empty for hardware."""
    mac: str
    mtu: int
    up: bool
    ours: bool
    addresses: tuple[str, ...]
    """With prefix length, IPv4 first."""
    rx_bytes: int
    tx_bytes: int
    rx_packets: int
    tx_packets: int


@dataclass(frozen=True, slots=True)
class Lease:
    """One address handed out by the node's host-local store."""

    network: str
    address: str
    container: str
    interface: str
    lost: bool = False
    """Its container is gone; it is freed when it has been so for the grace time."""


@dataclass(frozen=True, slots=True)
class Pair:
    """What crossed to one peer of a network, in one family."""

    peer: str
    """Its node name."""
    state: str
    """``up``; ``mtu``: small packets pass, full ones are lost; ``down``; ``pending``: not known yet."""
    loss: float = 0.0
    """Of the small packets of the last round, from 0 to 1."""
    rtt: float = 0.0
    """Milliseconds, the median of the small packets; 0: none came back."""
    largest: int = 0
    """Bytes of the largest packet with DF that passed; 0: none."""
    at: float = 0.0
    """When it was probed last, seconds since 1970."""
    code: str = ""
    """Why it is not up, short and stable: ``no-route``, ``blocked``, ``mtu``, ``peer-down`` ..."""
    why: str = ""
    remedy: str = ""
    way: str = ""
    """How packets get there: ``eth0 via 192.0.2.2`` or ``tunnel na_gre to 192.0.2.2``."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What probes through the data path of a network found, in one family."""

    network: str
    family: int
    """4 or 6."""
    peers: int
    """How many there are; ``up``, ``mtu``, ``down`` and ``pending`` add up to it."""
    up: int
    mtu: int
    down: int
    pending: int
    size: int
    """Bytes of a full packet."""
    rtt: float = 0.0
    """Milliseconds, the median over the peers that are up."""
    pairs: tuple[Pair, ...] = ()
    """All peers if they are at most ``MOST_PAIRS``, else at most so many that are not up."""


@dataclass(frozen=True, slots=True)
class Report:
    node: str
    sequence: int
    version: str
    """The version that is in force on the node; empty: none yet."""
    outcome: str
    changes: tuple[str, ...] = ()
    """What was carried out, a sentence each, in order."""
    drift: tuple[str, ...] = ()
    """The part of ``changes`` that repaired what somebody else had altered."""
    findings: tuple[Finding, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    routes: int = 0
    """How many routes of ours the kernel has."""
    leases: tuple[Lease, ...] = ()
    """But for those of attachments that the node's statement tells of."""
    files: dict[str, str] = field(default_factory=dict)
    """CNI configuration files of ours: name to content."""
    capabilities: dict[str, Any] = field(default_factory=dict)
    """``kernel``, ``worker``, ``python``, ``plugins`` (names), ``cni_plugins``, ``cni_config``."""
    milliseconds: float = 0.0
    """From the start of the look to the end of the apply."""
    probes: tuple[Probed, ...] = ()
    """By network and family."""
    foreign: dict[str, str] = field(default_factory=dict)
    """CNI configuration files of others: path to the network that it describes."""
    refused: str = ""
    """Version that was rolled back because it cut the node off; it is not tried again. Empty: none."""


def dump(report: Report) -> bytes:
    """The report's bytes."""
    return json.dumps({"format": FORMAT, **asdict(report)}, separators=(",", ":")).encode()


def parse(body: bytes) -> Report:
    """Read a report; raises WireError that says which field is wrong."""
    report: Report = wire.load(Report, body, FORMAT, "report")
    if report.outcome not in OUTCOMES:
        raise wire.WireError(f"outcome={report.outcome}: is none of {', '.join(OUTCOMES)}")
    for finding in report.findings:
        if finding.level not in LEVELS:
            raise wire.WireError(f"level={finding.level}: is none of {', '.join(LEVELS)}")
    for name in ("version", "refused"):
        if len(getattr(report, name)) > LONGEST_VERSION:
            raise wire.WireError(f"{name}: is longer than a version is")
    if not 0 <= report.routes <= MOST_ROUTES:
        raise wire.WireError(f"routes={report.routes}: is no number of routes")
    for lease in report.leases:
        if not _is_address(lease.address):
            raise wire.WireError(f"leases={lease.address[:64]}: is no IP address")
    for probed in report.probes:
        _check(probed)
    return report


def _check(probed: Probed) -> None:
    """Raises WireError for what probes cannot have found."""
    if probed.family not in (4, 6):
        raise wire.WireError(f"family={probed.family}: is neither 4 nor 6")
    for name in ("peers", "up", "mtu", "down", "pending"):
        if not 0 <= getattr(probed, name) <= MOST_ROUTES:
            raise wire.WireError(f"{name}={getattr(probed, name)}: is no number of peers")
    for pair in probed.pairs:
        if pair.state not in PAIR_STATES:
            raise wire.WireError(f"state={pair.state[:64]}: is none of {', '.join(PAIR_STATES)}")
        if not 0 <= pair.at < LATEST:
            raise wire.WireError(f"at={pair.at}: is no time")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text
