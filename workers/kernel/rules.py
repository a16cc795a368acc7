"""Policy rules: which routing table the kernel asks for a packet, in the order of their priorities.

0 to local, 32766 to main and 32767 to default are the kernel's own. Sources: ip-rule(8),
include/uapi/linux/fib_rules.h.
"""

from dataclasses import dataclass
from struct import Struct

from workers.host import address, subnet
from workers.kernel.messages import Flag, Request, Type, attributes, to_number, to_text, unpacked

HEADER = Struct("=BBBBBBBBI")
"""fib_rule_hdr: family, length of dst, length of src, tos, table, reserved twice, action, flags."""
DST, SRC, IIFNAME, PRIORITY, FWMARK, TABLE, OIFNAME, PROTOCOL = 1, 2, 3, 6, 10, 15, 17, 21
INVERT = 2
ACTIONS = {1: "lookup", 2: "goto", 3: "nop", 6: "blackhole", 7: "unreachable", 8: "prohibit"}
LOCAL = 255


@dataclass(frozen=True, slots=True)
class Rule:
    priority: int
    action: str
    """``lookup``, ``blackhole``, ``unreachable``, ``prohibit`` ..."""
    table: int
    source: str = ""
    """CIDR; empty: any."""
    destination: str = ""
    incoming: str = ""
    """Name of the device the packet comes in by; empty: any."""
    outgoing: str = ""
    mark: int = 0
    inverted: bool = False
    protocol: int = 0
    """Who made it."""

    def __str__(self) -> str:
        words = [f"rule {self.priority}:", "not" if self.inverted else "", f"from {self.source or 'all'}"]
        words += [f"to {self.destination}"] if self.destination else []
        words += [f"iif {self.incoming}"] if self.incoming else []
        words += [f"oif {self.outgoing}"] if self.outgoing else []
        words += [f"fwmark {self.mark:#x}"] if self.mark else []
        words.append(f"lookup {self.table}" if self.action == "lookup" else self.action)
        return " ".join(filter(None, words))

    def concerns(self, source: str, destination: str, incoming: str) -> bool:
        """Whether it applies to a packet without a mark."""
        found = (
            _inside(source, self.source)
            and _inside(destination, self.destination)
            and self.incoming in ("", incoming or "lo")
            and not self.mark
            and not self.outgoing
        )
        return found is not self.inverted


def dump(kind: int) -> Request:
    """Asks for all rules of a family."""
    return Request(Type.GETRULE, Flag.DUMP, HEADER.pack(kind, 0, 0, 0, 0, 0, 0, 0, 0))


def decode(body: bytes) -> Rule:
    _, to, from_, _, table, _, _, action, flags = HEADER.unpack_from(body)
    found = attributes(body, HEADER.size)
    return Rule(
        priority=to_number(found.get(PRIORITY, bytes(4))),
        action=ACTIONS.get(action, f"action {action}"),
        table=to_number(found[TABLE]) if TABLE in found else table,
        source=f"{unpacked(found[SRC])}/{from_}" if SRC in found else "",
        destination=f"{unpacked(found[DST])}/{to}" if DST in found else "",
        incoming=to_text(found.get(IIFNAME, b"")),
        outgoing=to_text(found.get(OIFNAME, b"")),
        mark=to_number(found.get(FWMARK, bytes(4))),
        inverted=bool(flags & INVERT),
        protocol=found.get(PROTOCOL, b"\0")[0],
    )


def _inside(text: str, cidr: str) -> bool:
    return not cidr or (bool(text) and address(text) in subnet(cidr))
