"""The report: what a node tells the control plane after looking or applying.

JSON, one object, the fields of ``Report``. ``sequence`` grows with every report of a
node (wall clock in nanoseconds), so that one that arrives late is told from the newest.
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

FORMAT = 1
MAX_BYTES = 16 * 1024 * 1024
OUTCOMES = ("applied", "unchanged", "failed", "no-document")


class ReportError(ValueError):
    """The bytes are not a whole report of a format this side reads; names the field."""


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
    files: dict[str, str] = field(default_factory=dict)
    """CNI configuration files of ours: name to content."""
    capabilities: dict[str, Any] = field(default_factory=dict)
    """``kernel``, ``worker``, ``python``, ``plugins`` (names), ``cni_plugins``, ``cni_config``."""
    milliseconds: float = 0.0
    """From the start of the look to the end of the apply."""


def dump(report: Report) -> bytes:
    """The report's bytes."""
    return json.dumps({"format": FORMAT, **asdict(report)}, separators=(",", ":")).encode()


def parse(body: bytes) -> Report:
    """Read a report; raises ReportError that says which field is wrong."""
    try:
        raw = json.loads(body)
    except ValueError as error:
        raise ReportError(f"body: is not whole JSON ({error})") from error
    if not isinstance(raw, dict) or raw.pop("format", None) != FORMAT:
        raise ReportError(f"format: only {FORMAT} is read")
    if raw.get("outcome") not in OUTCOMES:
        raise ReportError(f"outcome={raw.get('outcome')}: is none of {', '.join(OUTCOMES)}")
    try:
        return Report(
            **{
                **raw,
                "sequence": int(raw["sequence"]),
                "changes": tuple(raw.get("changes", ())),
                "drift": tuple(raw.get("drift", ())),
                "findings": tuple(Finding(**item) for item in raw.get("findings", ())),
                "interfaces": tuple(
                    Interface(**{**item, "addresses": tuple(item["addresses"])})
                    for item in raw.get("interfaces", ())
                ),
                "leases": tuple(Lease(**item) for item in raw.get("leases", ())),
            }
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ReportError(f"report: {error}") from error
