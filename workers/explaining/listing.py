"""What our firewall table does with one packet, read from nft's listing of it; pure."""

import re
from collections.abc import Iterator

from workers.host import address, subnet

MASQUERADE = re.compile(r"\bip6? saddr (\S+) ip6? daddr != @(\w+) masquerade")


def holds(listing: str, name: str, member: str) -> bool:
    """Whether a set has an address."""
    target = int(address(member))
    return any(low <= target <= high for low, high in _elements(listing, name))


def masquerades(listing: str, source: str, destination: str) -> bool:
    """Whether a packet that leaves the node gets the node's address."""
    rules = MASQUERADE.findall(listing)
    return any(
        address(source) in subnet(cidr) and not holds(listing, name, destination) for cidr, name in rules
    )


def guards(listing: str) -> bool:
    """Whether anybody is kept out of the tunnels."""
    return bool(re.search(r"saddr != @peers[46] drop", listing))


def _elements(listing: str, name: str) -> Iterator[tuple[int, int]]:
    """First and last address of each element; a set holds one family."""
    found = re.search(rf"\bset {re.escape(name)} {{[^}}]*elements = {{([^}}]*)}}", listing)
    for text in found[1].split(",") if found else ():
        low, _, high = text.strip().partition("-")
        if high:
            yield int(address(low)), int(address(high))
        elif low:
            block = subnet(low)
            yield int(block[0]), int(block[-1])
