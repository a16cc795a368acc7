"""What the kernel says happened: the proof that something did not move."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from workers.kernel.messages import ADDRESS_HEADER, LINK_HEADER, ROUTE_HEADER, Type, attributes, to_number
from workers.kernel.netlink import NETLINK_ROUTE, listen, messages

LINK, ADDRESS4, ROUTE4, ADDRESS6, ROUTE6 = 1, 5, 7, 9, 11
OIF = 4


@dataclass(frozen=True)
class Event:
    name: str
    device: int


@contextmanager
def changes_of_links_addresses_and_routes() -> Iterator[list[Event]]:
    """Fills the list at the end of the block."""
    events: list[Event] = []
    with listen(NETLINK_ROUTE, (LINK, ADDRESS4, ROUTE4, ADDRESS6, ROUTE6)) as listener:
        yield events
        events += _all(listener)


def _all(listener: socket.socket) -> Iterator[Event]:
    while True:
        try:
            data = listener.recv(1 << 16)
        except BlockingIOError:
            return
        for kind, _, _, _, body in messages(data):
            yield Event(Type(kind).name, _device(Type(kind), body))


def _device(kind: Type, body: bytes) -> int:
    if kind in (Type.NEWLINK, Type.DELLINK):
        return int(LINK_HEADER.unpack_from(body)[2])
    if kind in (Type.NEWADDR, Type.DELADDR):
        return int(ADDRESS_HEADER.unpack_from(body)[4])
    found = attributes(body, ROUTE_HEADER.size)
    return to_number(found[OIF]) if OIF in found else 0
