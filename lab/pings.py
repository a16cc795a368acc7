"""Pings of the kernel's own ICMP (ping(8) of iputils), and what came back."""

import re
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from typing import Any

from lab.namespaces import Namespace
from lab.waiting import until

_OPTIONS: dict[str, Any] = {
    "stdout": subprocess.PIPE,
    "stderr": subprocess.STDOUT,
    "text": True,
    "start_new_session": True,
}
LONGEST_GAP = 5.0
"""Seconds without an answer from which traffic is cut off."""


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
    """Packets every ``interval`` seconds in the background until ``stop``: the traffic that a change must
    not disturb."""

    def __init__(self, source: Namespace, address: str, interval: float = 0.01) -> None:
        # Closed by stop. A pipe that nobody reads would hold ping up one day.
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115
        options = {**_OPTIONS, "stdout": self._said}
        self._process = source.popen(["ping", "-n", "-i", f"{interval:g}", address], **options)

    def stop(self) -> Pings:
        """As soon as another packet came back; raises TooLate when none does. What was sent behind that one
        may be under way, or wait for a ping that got no processor: ping does not look for it any more."""
        before = self._newest()
        try:
            until(lambda: self._newest() > before, what="a packet comes back", within=LONGEST_GAP)
        finally:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()
        with self._said:
            pings = _read(self._read_all())
            return Pings(self._newest(), pings.received, pings.rtt)

    def _newest(self) -> int:
        """Number of the newest packet that came back, from 1 on."""
        return max(map(int, re.findall(r"bytes from .* icmp_seq=(\d+) ", self._read_all())), default=0)

    def _read_all(self) -> str:
        self._said.seek(0)
        return self._said.read()


def _read(said: str) -> Pings:
    counts = re.search(r"(\d+) packets transmitted, (\d+) received", said)
    if counts is None:  # it did not even start: no route, no such address
        raise RuntimeError(f"ping: {said.strip()}")
    rtt = re.search(r"= [\d.]+/([\d.]+)/", said)
    return Pings(int(counts[1]), int(counts[2]), float(rtt[1]) if rtt else 0.0)
