"""Neighbours: which hardware address the kernel knows for an address on a device, and how well.

Source: ip-neighbour(8), include/uapi/linux/neighbour.h.
"""

from dataclasses import dataclass
from struct import Struct

from workers.kernel.messages import Flag, Request, Type, attribute, attributes, family, packed

HEADER = Struct("=BxxxiHBB")
"""ndmsg: family, index of the device, state, flags, type."""
DST, LLADDR = 1, 2
STATES = {
    0x01: "incomplete",
    0x02: "reachable",
    0x04: "stale",
    0x08: "delay",
    0x10: "probe",
    0x20: "failed",
    0x40: "noarp",
    0x80: "permanent",
}


@dataclass(frozen=True, slots=True)
class Neighbour:
    mac: str
    """Empty: nobody answered."""
    state: str

    @property
    def missing(self) -> bool:
        """The kernel asked and nobody answered."""
        return self.state in ("failed", "incomplete")

    def __str__(self) -> str:
        return f"{self.mac} {self.state}".strip()


def encode(destination: str, device: int) -> Request:
    """Asks for one; the kernel refuses with ENOENT when it knows nothing of it."""
    header = HEADER.pack(family(destination), device, 0, 0, 0)
    return Request(Type.GETNEIGH, Flag(0), header + attribute(DST, packed(destination)))


def decode(body: bytes) -> Neighbour:
    state = HEADER.unpack_from(body)[2]
    mac = attributes(body, HEADER.size).get(LLADDR, b"").hex(":")
    return Neighbour(mac, STATES.get(state, "none"))
