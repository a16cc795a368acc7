"""Pings of the kernel's own ICMP (ping(8) of iputils), and what came back."""

import re
import signal
import subprocess
from dataclasses import dataclass
from typing import Any

from lab.namespaces import Namespace

_OPTIONS: dict[str, Any] = {
    "stdout": subprocess.PIPE,
    "stderr": subprocess.STDOUT,
    "text": True,
    "start_new_session": True,
}


@dataclass(frozen=True, slots=True)
class Pings:
    """How many packets went out and came back, and the mean round trip in milliseconds."""

    sent: int
    received: int
    rtt: float
    """0 when nothing came back."""

    @property
    def lost(self) -> int:
        return self.sent - self.received


def ping(source: Namespace, address: str, *, count: int = 1, size: int = 56, within: float = 1) -> Pings:
    """Send ``count`` packets of ``size`` payload bytes with DF set, 10 ms apart.

    Waits ``within`` seconds for the last answer.
    """
    argv = ["ping", "-n", "-M", "do", "-c", str(count), "-i", "0.01", "-W", f"{within:g}", "-s", str(size)]
    with source.popen([*argv, address], **_OPTIONS) as process:
        return _read(process.communicate()[0])


class Pinging:
    """Packets every 10 ms in the background until ``stop``: the traffic a change must not disturb."""

    def __init__(self, source: Namespace, address: str) -> None:
        self._process = source.popen(["ping", "-n", "-i", "0.01", address], **_OPTIONS)

    def stop(self) -> Pings:
        """The answer to the last packet may be under way: that one does not count as lost."""
        self._process.send_signal(signal.SIGINT)
        said = self._process.communicate()[0]
        pings = _read(said)
        under_way = f"icmp_seq={pings.sent} " not in said
        return Pings(pings.sent - under_way, pings.received, pings.rtt)


def _read(said: str) -> Pings:
    counts = re.search(r"(\d+) packets transmitted, (\d+) received", said)
    if counts is None:  # it did not even start: no route, no such address
        raise RuntimeError(f"ping: {said.strip()}")
    rtt = re.search(r"= [\d.]+/([\d.]+)/", said)
    return Pings(int(counts[1]), int(counts[2]), float(rtt[1]) if rtt else 0.0)
