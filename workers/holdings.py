"""What a node must hold for services, and what it says became of it.

    control plane -> Holdings  (GET nodes/NAME/holdings/, ETag: the version)
    node -> Statement          (POST nodes/NAME/holdings/)

Beside the desired-state document, since a container that comes or goes declares no network: no
version of the document goes on trial for it, and no network has to converge again.

The version is a number that grows with every change for this node. A statement is whole: what it
does not list, the node does not hold as of that version. So it may be repeated, lost or overtaken
without harm, and an attachment that was taken back is known to be gone when it is listed no more.

JSON, one object each, the fields of the dataclasses and ``format``.
"""

import json
import re
from dataclasses import asdict, dataclass
from typing import Any

from workers import wire

FORMAT = 1
HEADER = "Netadmin-Holdings"
"""On the answers to ``nodes/NAME/desired/``: the version of the node's holdings."""
MAX_BYTES = 16 * 1024 * 1024
PROTOCOLS = ("tcp", "udp")
WAITING, ATTACHED, BROKEN, FAILED, RELEASING = "waiting", "attached", "broken", "failed", "releasing"
ID = re.compile(r"[0-9a-f]{32}")
STATES = (WAITING, ATTACHED, BROKEN, FAILED, RELEASING)


@dataclass(frozen=True, slots=True)
class Port:
    """One port that an attachment exposes."""

    port: int
    protocol: str
    host_port: int = 0
    """On every address of the node; 0: not mapped."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """An interface with addresses of a network, in the namespace of a service's container."""

    id: str
    """32 hexadecimal digits; also the container id that the plugins are given."""
    network: str
    service: str
    """``NS/svc/NAME``."""
    resource: str
    """``ip#0``."""
    netns: str
    """``container#web`` (of any runtime), ``docker:web``, ``podman:web``, ``lxc:web``, a process id, a path,
    the name of a namespace; empty: one of the service's own."""
    interface: str
    addresses: tuple[str, ...] = ()
    """Fixed ones, at most one per family; a family without one takes what is free."""
    expose: tuple[Port, ...] = ()


@dataclass(frozen=True, slots=True)
class Reservation:
    """An address that the plugins must not hand out."""

    id: str
    """32 hexadecimal digits; written into the lease store as the holder."""
    network: str
    address: str


@dataclass(frozen=True, slots=True)
class Holdings:
    """All that one node must hold."""

    node: str
    version: int
    attachments: tuple[Attachment, ...] = ()
    reservations: tuple[Reservation, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """How one attachment is."""

    id: str
    state: str
    """``waiting``: the container is not up yet; ``attached``; ``broken``: attached, but its check fails;
    ``failed``: could not be attached, and is tried again; ``releasing``: taken back, not yet detached."""
    addresses: tuple[str, ...] = ()
    """Without prefix length, IPv4 first; only what the interface has, or has to have."""
    netns: str = ""
    """The namespace as it was found, for people: a path, a process."""
    mac: str = ""
    why: str = ""
    """What is waited for, or wrong; empty: nothing."""
    remedy: str = ""
    pending: bool = False
    """All that was said tells of before the last change, which is still to be carried out."""


@dataclass(frozen=True, slots=True)
class Declined:
    """A reservation that cannot be held: somebody has the address."""

    id: str
    holder: str
    """The container of the lease."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What a node holds; reservations of that version are held unless ``declined``."""

    node: str
    version: int
    """Of the holdings that it acted on; 0: none yet."""
    sequence: int
    """Grows with every statement of a node: wall clock in nanoseconds."""
    attachments: tuple[Standing, ...] = ()
    declined: tuple[Declined, ...] = ()


def dump(said: Holdings | Statement) -> bytes:
    """The bytes of either side."""
    return json.dumps({"format": FORMAT, **asdict(said)}, separators=(",", ":")).encode()


def parse(body: bytes) -> Holdings:
    """Read holdings; raises WireError that says which field is wrong."""
    held: Holdings = wire.load(Holdings, body, FORMAT, "holdings")
    for attachment in held.attachments:
        for port in attachment.expose:
            _among(PROTOCOLS, port.protocol, "protocol")
    return held


def parse_statement(body: bytes) -> Statement:
    """Read a statement; raises WireError that says which field is wrong."""
    said: Statement = wire.load(Statement, body, FORMAT, "statement")
    for standing in said.attachments:
        _among(STATES, standing.state, "state")
    for one in said.declined:
        if not ID.fullmatch(one.id):
            raise wire.WireError(f"id={one.id[:64]}: is none of 32 hexadecimal digits")
    return said


def _among(known: tuple[str, ...], value: Any, field: str) -> None:
    if value not in known:
        raise wire.WireError(f"{field}={value}: is none of {', '.join(known)}")
