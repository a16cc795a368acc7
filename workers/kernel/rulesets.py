"""The door to the rulesets of nftables for what is asked often: a raw netlink socket, no text.

    generation   the number of the rulesets, which grows with every transaction of anyone: 5 us
    commit       a batch of elements, as long as that number is what it was: 0.1 ms

libnftables needs six times as long for the same batch (``nft``).
"""

import errno
import socket
from collections.abc import Sequence
from itertools import count

from workers.kernel import elements, netlink
from workers.kernel.elements import Kind
from workers.kernel.messages import Flag, Request, Type, attributes
from workers.kernel.netlink import BUFFER, NetlinkError

SO_SNDBUFFORCE = 32
GENERATION = Request(Kind.GETGEN, Flag(0), bytes(4))
"""With an empty nfgenmsg."""
GEN_ID = 1
"""NFTA_GEN_ID."""


class Rulesets:
    """Those of the network namespace it was made in; for one thread at a time."""

    def __init__(self) -> None:
        self._socket = netlink.opened(netlink.NETLINK_NETFILTER)
        self._sequence = count(1)

    def generation(self) -> int:
        """Raises OSError."""
        self._socket.send(GENERATION.bytes(next(self._sequence)))
        for kind, flags, _, _, body in netlink.messages(self._socket.recv(BUFFER)):
            if kind == Type.ERROR:
                raise netlink.refusal(flags, body)
            return int.from_bytes(attributes(body, 4)[GEN_ID], "big")
        raise NetlinkError(errno.ENODATA, "no answer about the generation of nftables")

    def commit(self, generation: int, requests: Sequence[Request]) -> bool:
        """Carry out all requests in one transaction, which makes the number ``generation`` + 1.

        False, and nothing is done: somebody changed a ruleset since ``generation``. Raises
        NetlinkError, with nothing done either, when the kernel refuses a request.
        """
        batch = [elements.begin(generation), *requests, elements.end()]
        datagram = b"".join(request.bytes(next(self._sequence)) for request in batch)
        self._make_room(len(datagram))
        self._socket.send(datagram)
        answers = list(netlink.waiting(self._socket))
        if not answers:  # what went well has none
            return True
        _, flags, _, _, body = answers[0]
        refused = netlink.refusal(flags, body)
        if refused.errno == errno.ERESTART:
            return False
        raise refused

    def close(self) -> None:
        self._socket.close()

    def _make_room(self, size: int) -> None:
        """A batch is one datagram, however large."""
        if size > self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) // 2:
            self._socket.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, size)
