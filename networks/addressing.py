"""CIDR and slot arithmetic; pure, no database.

A network of type routed_bridge is cut into equal segments, slot 0, 1, 2, ... from its start.
A dual-stack network is cut in both families at once: slot n is the n-th segment of each.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from netaddr import AddrFormatError, IPAddress, IPNetwork

SMALLEST_SEGMENT = 4
"""host-local refuses a range of fewer addresses."""


OWN_ADDRESSES = {4: 3, 6: 2}
"""Of a segment no container gets: network and bridge, in IPv4 also broadcast."""


def parse(text: str) -> IPNetwork:
    """A CIDR exactly as declared; ValueError with the reason (host bits, no prefix, no CIDR)."""
    address, slash, prefix = text.partition("/")
    if not slash:
        raise ValueError("has no prefix length")
    if not (prefix.isascii() and prefix.isdecimal()):
        raise ValueError("has no prefix length that is a number")
    try:
        cidr = IPNetwork(text)
    except (AddrFormatError, ValueError) as error:
        raise ValueError("is not a CIDR") from error
    if address.count(".") not in (0, 3):
        raise ValueError("is not a CIDR")
    if cidr.ip != cidr.network:
        raise ValueError("has host bits set")
    return cidr


def parse_all(text: str) -> list[IPNetwork]:
    """The CIDRs of a declared text, IPv4 first."""
    return sorted((parse(word) for word in text.split()), key=lambda cidr: cidr.version)


def text_of(cidrs: Iterable[IPNetwork]) -> str:
    """Canonical text of CIDRs, as it is stored."""
    return " ".join(str(cidr.cidr) for cidr in cidrs)


def bits(cidr: IPNetwork) -> int:
    """Length of an address of this family in bits."""
    return 32 if cidr.version == 4 else 128


def prefix_for(count: int, family_bits: int) -> int:
    """Prefix length of a segment of at least ``count`` addresses: rounded up to a power of two."""
    return family_bits - max(count - 1, 0).bit_length()


def slots(cidr: IPNetwork, prefix: int) -> int:
    """How many segments of this prefix length the network holds."""
    return 1 << (prefix - cidr.prefixlen) if prefix >= cidr.prefixlen else 0


def segment(cidr: IPNetwork, prefix: int, slot: int) -> IPNetwork:
    """The segment in a slot."""
    size = 1 << (bits(cidr) - prefix)
    return IPNetwork((cidr.first + slot * size, prefix), version=cidr.version)


def first_address(cidr: IPNetwork) -> IPAddress:
    """The bridge's address: the first one after the network address, in both families."""
    return IPAddress(cidr.first + 1, cidr.version) if cidr.size > 1 else IPAddress(cidr.first, cidr.version)


def room(cidr: IPNetwork) -> int:
    """How many addresses of a segment containers can have."""
    return max(int(cidr.size) - OWN_ADDRESSES[cidr.version], 0)


def not_for_containers(cidr: IPNetwork) -> dict[IPAddress, str]:
    """The addresses of a segment that nobody else can have, and what they are."""
    found = {IPAddress(cidr.last, cidr.version): "the broadcast address"} if cidr.version == 4 else {}
    found[IPAddress(cidr.first, cidr.version)] = "the address of the network itself"
    return found | {first_address(cidr): "the bridge's address, the gateway of every container"}


def longest_prefix_that_fits(count: int, prefix: int) -> int:
    """Longest prefix length of a network that holds ``count`` segments of ``prefix``."""
    return prefix - max(count - 1, 0).bit_length()


def overlap(a: IPNetwork, b: IPNetwork) -> bool:
    return bool(a.version == b.version and a.first <= b.last and b.first <= a.last)


@dataclass(frozen=True, slots=True)
class Grid:
    """How one network is cut: its CIDRs and the prefix length of a segment in each."""

    cidrs: tuple[IPNetwork, ...]
    prefixes: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of slots."""
        return min(slots(cidr, prefix) for cidr, prefix in zip(self.cidrs, self.prefixes, strict=True))

    def subnet(self, slot: int) -> list[IPNetwork]:
        """The segment in a slot, one CIDR per family."""
        return [segment(cidr, prefix, slot) for cidr, prefix in zip(self.cidrs, self.prefixes, strict=True)]

    def covered(self, subnet: Sequence[IPNetwork]) -> Iterator[range]:
        """The slots that a subnet (also one of another size) lies in."""
        for cidr, prefix in zip(self.cidrs, self.prefixes, strict=True):
            shift = bits(cidr) - prefix
            for part in subnet:
                if part.version == cidr.version:
                    yield range((part.first - cidr.first) >> shift, ((part.last - cidr.first) >> shift) + 1)

    def free_slots(self, taken: Iterable[Sequence[IPNetwork]]) -> Iterator[int]:
        """Slots that no taken subnet touches, lowest first."""
        spans = sorted((span.start, span.stop) for subnet in taken for span in self.covered(subnet))
        slot = 0
        for start, stop in spans:
            yield from range(slot, min(start, self.size))
            slot = max(slot, stop)
        yield from range(slot, self.size)
