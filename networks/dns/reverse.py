"""Ranges of networks -> the apexes of their reverse zones.

A zone is never wider than the range: nobody's name outside of it is claimed. IPv4 is cut at the next
octet (RFC 1035, 3.5), at /16 at the widest; IPv6 at the next nibble (RFC 3596, 2.5).

    10.11.0.0/16   11.10.in-addr.arpa.
    10.32.0.0/12   32.10.in-addr.arpa. ... 47.10.in-addr.arpa.      16 zones
    10.9.8.0/22    8.9.10.in-addr.arpa. ... 11.9.10.in-addr.arpa.    4 zones
    192.0.2.8/30   8.2.0.192.in-addr.arpa. ...                       4 zones of one name
    fd10::/62      0.0.0.0.0.0.0.0.0.0.0.0.0.1.d.f.ip6.arpa. ...     4 zones
"""

from collections.abc import Iterable

from netaddr import IPNetwork

STEP = {4: 8, 6: 4}
"""Bits of a label."""
WIDEST = {4: 16, 6: 4}
"""Bits: a larger range is several zones."""


def apexes(ranges: Iterable[IPNetwork]) -> list[str]:
    """Of all ranges, none inside another."""
    found: list[IPNetwork] = []
    for cidr in sorted(set(ranges), key=lambda cidr: (cidr.prefixlen, cidr)):
        if not any(cidr in wider for wider in found):
            found.append(cidr)
    return [_apex(cut) for cidr in sorted(found) for cut in cidr.subnet(_bits(cidr))]


def _bits(cidr: IPNetwork) -> int:
    """Prefix length of the zones of a range."""
    step = STEP[cidr.version]
    return max(-(-int(cidr.prefixlen) // step) * step, WIDEST[cidr.version])


def _apex(cut: IPNetwork) -> str:
    labels = str(cut.network.reverse_dns).split(".")
    suffix = 3  # in-addr or ip6, arpa and the root
    return ".".join(labels[-suffix - int(cut.prefixlen) // STEP[cut.version] :])
