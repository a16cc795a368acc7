"""Question and answer of kind ``explain``: the way of a packet through one node. Standard library only.

question  {"head": the node's document as it is declared now, with its peer lists by digest,
           "legs": [``Leg``, ...], "echoes": [``Echo``, ...]}
answer    ``Explained``
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Leg:
    """What a packet does on one node: where it comes from and where it leaves."""

    step: int
    """Its place on the whole way, there and back."""
    source: str
    destination: str
    starts: str = ""
    """What has the source here: ``container``, ``bridge`` or ``node``; empty: it comes from elsewhere."""
    ends: str = ""
    """The same of the destination."""
    sender: str = ""
    """Of a container here: its id, as far as the rows know; empty: nobody."""
    receiver: str = ""
    out_of: str = ""
    """The network whose bridge the packet comes from."""
    into: str = ""
    """The network whose bridge it leaves through."""
    over: str = ""
    """The network that carries it between this node and the peer; empty: no other node of ours takes part."""
    peer: str = ""
    reply: bool = False
    """It answers another one: address translation leaves it as the first one's was."""
    arrives: str = ""
    """From the peer by ``tunnel`` or ``direct``; empty: not known, and taken as this node would send back."""


@dataclass(frozen=True, slots=True)
class Echo:
    """An ICMP echo to try."""

    source: str
    """An address of the node; empty: the kernel chooses."""
    destination: str
    size: int
    """Bytes of the largest packet, the IP header included, that should pass."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One thing on the way, as it should be and as the kernel has it."""

    kind: str
    """``address``, ``bridge``, ``switch``, ``tunnel``, ``guard``, ``rule``, ``route``, ``firewall``,
    ``neighbour``, ``forward``."""
    declared: str
    found: str
    same: bool
    why: str = ""
    """What is different and what follows from it."""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Passage:
    """A leg, hop by hop, in the order in which a packet meets them."""

    step: int
    hops: tuple[Hop, ...]


@dataclass(frozen=True, slots=True)
class Crossing:
    """What came back of echoes to one address."""

    source: str
    destination: str
    sent: int
    """Small packets."""
    received: int
    rtt: float = 0.0
    """Milliseconds, the least; 0: nothing came back."""
    size: int = 0
    """Bytes of the full packet that was tried, the IP header included."""
    largest: int = 0
    """Bytes of the largest one that came back."""
    said: str = ""
    """What the kernel or somebody on the way said about those that did not."""


@dataclass(frozen=True, slots=True)
class Explained:
    """The ways through one node."""

    passages: tuple[Passage, ...]
    crossings: tuple[Crossing, ...] = ()
    milliseconds: float = 0.0
