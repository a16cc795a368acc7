"""Packets through routes that are being changed: numbered, and counted where they arrive.

    n1: sender, a process of its own  ->  eth0 | wire  ->  one namespace that is several of the peers
                      direct, or in VXLAN-GPE            segment addresses, and a device that unpacks

One way: what is lost was lost on the way that the change concerns. A packet that the sender could not
even send is lost too.
"""

import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count, cycle
from pathlib import Path
from types import TracebackType
from typing import Self

from bench import scene
from lab.namespaces import Namespace
from workers.kernel.netlink import SO_RCVBUFFORCE
from workers.kernel.tunnels import PORT

DISCARD = 9
"""The UDP port that is sent to."""
PAUSE = 0.0001
"""Seconds between two packets, and what sleeping costs: some 6,000 a second."""
ROOM = 1 << 27
"""Bytes, as the kernel counts them: what arrives is taken out when the flood is over."""
PATIENCE = 5.0
NUMBER = struct.Struct("=I")


@contextmanager
def peers(node: Namespace, numbers: Sequence[int]) -> Iterator[Namespace]:
    """The other end of the node's wire: these peers, each with its own address and one of its segment."""
    with Namespace("peers") as made:
        node.run(["ip", "link", "set", "wire", "netns", made.path])
        addresses = "".join(
            f"address add {scene.address(number)}/15 dev wire\naddress add {inside(number)}/32 dev lo\n"
            for number in numbers
        )
        unpacks = f"link add vxlan type vxlan external gpe dstport {PORT}\nlink set vxlan up\n"
        made.run(["ip", "-batch", "-"], stdin=f"link set lo up\nlink set wire up\n{addresses}{unpacks}")
        yield made


def inside(number: int) -> str:
    """An address in the segment of a peer."""
    return scene.segment(number).partition("/")[0]


class Flood:
    """While the block lasts; how many were ``sent`` and ``lost`` is known behind it."""

    def __init__(self, node: Namespace, made: Namespace, numbers: Sequence[int]) -> None:
        self.sent = self.lost = 0
        with made.entered():
            self._arrived = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._arrived.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM)
        self._arrived.bind(("", DISCARD))
        self._sender = node.popen(
            [sys.executable, "-m", "bench.flood", *map(inside, numbers)],
            cwd=Path(__file__).resolve().parents[1],
            stdout=subprocess.PIPE,
        )

    def __enter__(self) -> Self:
        self._arrived.settimeout(PATIENCE)
        self._seen = {self._arrived.recv(NUMBER.size)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sender.terminate()
        said, _ = self._sender.communicate()
        self._arrived.setblocking(False)
        with suppress(BlockingIOError), self._arrived:
            while True:
                self._seen.add(self._arrived.recv(NUMBER.size))
        self.sent = int(said)
        self.lost = self.sent - len(self._seen)


def main() -> None:
    """Send to these addresses in turn until SIGTERM; then say how many packets."""
    ends: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: ends.append(number))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        for number, address in zip(count(), cycle(sys.argv[1:]), strict=False):
            if ends:
                print(number)
                return
            with suppress(OSError):  # it does not arrive, and counts as lost
                sending.sendto(NUMBER.pack(number), (address, DISCARD))
            time.sleep(PAUSE)


if __name__ == "__main__":
    main()
