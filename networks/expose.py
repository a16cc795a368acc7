"""Lists of ports that a service exposes: ``PORT/PROTO[:HOSTPORT]``.

``-`` may stand for ``/``. The older form ``PORT:HOSTPORT/PROTO`` of the reference's documentation
means the same. Stored in one way of writing: ``443/tcp:8443``.
"""

import re
from collections.abc import Iterable

from netadmin.problems import Fault, Problem
from workers.holdings import PROTOCOLS, Port

ENTRY = re.compile(r"(?P<port>[0-9]{1,5})[/-](?P<protocol>[a-z]+)(?::(?P<host>[0-9]{1,5}))?")
OLDER = re.compile(r"(?P<port>[0-9]{1,5}):(?P<host>[0-9]{1,5})[/-](?P<protocol>[a-z]+)")
REMEDY = f"Give PORT/PROTOCOL or PORT/PROTOCOL:HOSTPORT, like 443/tcp:8443, with {' or '.join(PROTOCOLS)}"


def parse(text: str) -> Port:
    """One entry; raises Problem."""
    found = ENTRY.fullmatch(text) or OLDER.fullmatch(text)
    if not found:
        raise Problem(Fault("expose", text, "is no port of a protocol", REMEDY))
    if found["protocol"] not in PROTOCOLS:
        raise Problem(Fault("expose", text, f"{found['protocol']} is not mapped", REMEDY))
    host = found["host"]
    return Port(_port(found["port"], text), found["protocol"], _port(host, text) if host else 0)


def parse_all(texts: Iterable[str]) -> tuple[Port, ...]:
    """A list, each entry once; raises Problem with every entry that is wrong."""
    ports: list[Port] = []
    faults: list[Fault] = []
    for text in texts:
        try:
            ports.append(parse(text))
        except Problem as problem:
            faults += problem.faults
    if faults:
        raise Problem(*faults)
    return tuple(dict.fromkeys(ports))


def text(port: Port) -> str:
    """The canonical way of writing."""
    return f"{port.port}/{port.protocol}" + (f":{port.host_port}" if port.host_port else "")


def _port(digits: str, entry: str) -> int:
    number = int(digits)
    if not 1 <= number <= 65535:
        raise Problem(Fault("expose", entry, f"{number} is no port: they go from 1 to 65535", REMEDY))
    return number
