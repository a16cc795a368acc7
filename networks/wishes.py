"""What somebody wants kept, as every entrance gives it: pure, and judged but for what is declared."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from netaddr import IPAddress, valid_ipv4, valid_ipv6

from netadmin.problems import Fault, Problem
from networks import rules

MOST = 10_000
"""Addresses of one request."""
TEXTS = {"service": 255, "hostname": 253, "comment": 255}
"""What is said of an address, and how long it may be."""


@dataclass(frozen=True, slots=True)
class Wish:
    """One address that is to be kept, or ``count`` of them."""

    address: IPAddress | None = None
    """None: any."""
    node: str = ""
    """In this node's part; empty: in any node's."""
    family: int = 0
    """4 or 6; 0: IPv4 if the network has it."""
    count: int = 1
    service: str = ""
    hostname: str = ""
    comment: str = ""

    @property
    def said(self) -> dict[str, str]:
        """The texts that were given."""
        return {name: text for name in TEXTS if (text := getattr(self, name))}


def address(text: str, field: str = "address") -> IPAddress:
    """As somebody writes it; raises Problem."""
    if not (valid_ipv4(text) or valid_ipv6(text)):
        raise Problem(Fault(field, text[:80], "is no IP address", "Give one like 10.11.4.9"))
    return IPAddress(text)


def judge(wishes: Sequence[Wish]) -> None:
    """Raises Problem with the faults of the first wish that has some."""
    if not wishes:
        raise Problem(Fault("body", "[]", "wishes for no address", 'Give one or more, like {"count": 2}'))
    for place, wish in enumerate(wishes):
        with placed(wishes, place):
            if faults := list(_faults(wish)):
                raise Problem(*faults)
    count = sum(wish.count for wish in wishes)
    if count > MOST:
        remedy = f"Ask for at most {MOST} at once"
        raise Problem(Fault("count", str(count), "is more than one request may have", remedy))


@contextmanager
def placed(wishes: Sequence[Wish], place: int) -> Iterator[None]:
    """Problems inside say in which of several wishes they are, like ``[1].address``."""
    try:
        yield
    except Problem as problem:
        raise problem.under(f"[{place}]") if len(wishes) > 1 else problem from None


def _faults(wish: Wish) -> Iterator[Fault]:
    if wish.count < 1:
        yield Fault("count", str(wish.count), "is no number of addresses", "Give 1 or more")
    if wish.family not in (0, 4, 6):
        yield Fault("family", str(wish.family), "is no family of addresses", "Give 4 or 6, or leave it out")
    elif wish.address is not None and wish.family not in (0, wish.address.version):
        why = f"is not the family of the address {wish.address}"
        yield Fault("family", str(wish.family), why, "Leave family out, or address")
    if wish.address is not None and wish.count != 1:
        remedy = "Leave count out, or address"
        yield Fault("count", str(wish.count), f"of the one address {wish.address} there is one", remedy)
    for name, longest in TEXTS.items():
        yield from rules.length_faults(name, getattr(wish, name), longest)
