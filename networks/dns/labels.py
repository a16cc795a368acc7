"""Labels of DNS names: what a service's path, a host name and an address become.

    prod/svc/Web        web.prod.svc.CLUSTER.
    Web-A.lan, -backup  web-a-backup
    fd10::109           fd10--109

DNS compares without case (RFC 4343); ours are lower case. A label has 1 to 63 octets, a name 255
with its lengths and the root (RFC 1035, 2.3.4): 253 characters and the final dot.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from netaddr import AddrFormatError, IPAddress

from netadmin.problems import Fault

LABEL = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
LONGEST_LABEL = 63
LONGEST_NAME = 254
"""Characters, with the final dot."""
SERVICE = "svc"
"""The only kind of object that is served."""
ROOT = "root"
"""The namespace of a path that names none."""
REMEDY = f"Use 1 to {LONGEST_LABEL} of a-z, 0-9, _ and -, beginning with a letter or digit, in each label"


class Path(NamedTuple):
    """Of a service, as the reference writes it: ``NS/svc/NAME``, ``svc/NAME`` or ``NAME``."""

    namespace: str
    kind: str
    name: str

    @classmethod
    def of(cls, text: str) -> "Path":
        """Lower case. What has more parts than three is a path of an unknown kind."""
        parts = text.lower().split("/")
        if len(parts) == 1:
            return cls(ROOT, SERVICE, parts[0])
        if len(parts) == 2:
            return cls(ROOT, *parts)
        return cls(parts[0], "/".join(parts[1:-1]), parts[-1])

    @property
    def domain(self) -> str:
        """Below the cluster: ``web.prod.svc``."""
        return f"{self.name}.{self.namespace}.{SERVICE}"


def host(hostname: str, suffix: str) -> str:
    """The label of a host name: its first one, with the suffix; empty without a host name."""
    first = hostname.lower().partition(".")[0]
    return f"{first}{suffix.lower()}" if first else ""


def dashed(address: str) -> str:
    """The label of an address: dots and colons become dashes."""
    return address.replace(".", "-").replace(":", "-")


def path_faults(field: str, text: str) -> Iterator[Fault]:
    """What keeps the names of a service out of the DNS. A name may have dots: labels of their own."""
    path = Path.of(text)
    wrong = [part for part in path.domain.split(".") if not LABEL.fullmatch(part)]
    if wrong:
        yield Fault(field, text, f"{wrong[0] or 'an empty part'} is no label of a DNS name", REMEDY)


def host_faults(hostname: str, suffix: str, address: str = "") -> Iterator[Fault]:
    """What keeps a host name out of the DNS. ``address``: the one it is to have, empty: not known yet."""
    label = host(hostname, suffix)
    if label and not LABEL.fullmatch(label):
        yield Fault("hostname", hostname, f"makes {label}, which is no label of a DNS name", REMEDY)
    elif label and _is_dashed(label) and label != dashed(address):
        why = "is the name that an address has in the DNS, with dashes"
        yield Fault("hostname", hostname, why, "Use another host name, or dns_name_suffix")


def fits(name: str) -> bool:
    """Whether a whole name, with the final dot, is not too long."""
    return len(name) <= LONGEST_NAME


def _is_dashed(label: str) -> bool:
    separator = "." if label.count("-") == 3 and label.replace("-", "").isdecimal() else ":"
    try:
        IPAddress(label.replace("-", separator))
    except (AddrFormatError, ValueError):
        return False
    return True
