"""What a worker that runs does on its own, and what it needs, beside routing daemons of others.

    repair   one deleted route is back: RTM_DELROUTE to RTM_NEWROUTE     | FRR's zebra
    flush    all routes flushed, the last one is back                    | BIRD with scan time 2
    memory   PSS of the worker process with Celery                       | BIRD
    cpu      of the worker in ten seconds in which nothing happens       | BIRD

Times are those of the kernel's events, heard by a socket that belongs to neither side.
"""

import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import daemons, scene, table
from bench.scene import NODE, NOWHERE, segment
from bench.table import Bound, Pair
from lab.namespaces import Namespace
from workers.kernel import netlink
from workers.kernel.messages import Type

ROUTES4 = 7
PROTOCOL = 157
DELETIONS = 20
"""Single repairs a round."""
ZEBRA_ROUTES = 200
IDLE = 10.0
PATIENCE = 60.0
PROTOCOL_AT = 5
"""Offset of rtm_protocol in a message's body."""


class Heard:
    """Routes of one protocol that went and came, with the moment at which it was heard."""

    def __init__(self, protocol: int) -> None:
        self._protocol = protocol
        self._socket = netlink.listen(netlink.NETLINK_ROUTE, (ROUTES4,))

    def until_back(self, count: int) -> float:
        """Seconds from the first deletion until ``count`` deleted routes have come again."""
        gone = back = 0
        start = now = time.perf_counter()
        end = start + PATIENCE
        while not (gone >= count and back >= count):
            if not select.select([self._socket], [], [], max(end - time.perf_counter(), 0))[0]:
                raise TimeoutError(f"{back} of {count} routes came back")
            now = time.perf_counter()
            for kind, _, _, _, body in netlink.messages(self._socket.recv(1 << 16)):
                if body[PROTOCOL_AT] != self._protocol:
                    continue
                if kind == Type.DELROUTE:
                    start = now if not gone else start
                    gone += 1
                elif kind == Type.NEWROUTE:
                    back += 1
        return now - start

    def close(self) -> None:
        self._socket.close()


def measure(count: int, rounds: int) -> None:
    """Prints its rows. Ours and theirs run in namespaces of their own, measured in turn."""
    with tempfile.TemporaryDirectory() as directory:
        places = [Path(directory, name) for name in ("worker", "bird", "zebra")]
        for place in places:
            place.mkdir()
        with (
            _node("n1") as ours,
            _node("n2") as birds,
            _node("n3") as zebras,
            _worker(ours, places[0], count) as worker,
            daemons.bird(birds, places[1], count) as bird,
            daemons.zebra(zebras, places[2], ZEBRA_ROUTES),
        ):
            _settled(ours, PROTOCOL, count)
            _settled(birds, daemons.BIRD, count)
            _settled(zebras, daemons.STATIC, ZEBRA_ROUTES)
            repairs: list[Pair] = []
            flushes: list[Pair] = []
            for _ in range(rounds):
                repairs += [
                    (_repair(ours, PROTOCOL, count, n), _repair(zebras, daemons.STATIC, ZEBRA_ROUTES, n))
                    for n in range(DELETIONS)
                ]
                flushes.append((_flush(ours, PROTOCOL, count), _flush(birds, daemons.BIRD, count)))
            table.row(count, "repair", repairs, Bound("FRR zebra, 200 routes", 2, 0.5, absolute=True))
            table.row(count, "flush", flushes, Bound("BIRD, scan time 2", 500, 200, absolute=True))
            _needs(count, worker.pid, bird.pid)


def _needs(count: int, ours: int, theirs: int) -> None:
    time.sleep(IDLE)  # what the flushes led to is over
    before = (_cpu(ours), _cpu(theirs))
    time.sleep(IDLE)
    spent = (_cpu(ours) - before[0], _cpu(theirs) - before[1])
    memory = Bound("BIRD", 90, 65, absolute=True, unit="MiB")
    table.row(count, "memory", [(_pss(ours), _pss(theirs))], memory)
    table.row(count, "idle cpu", [spent], Bound("BIRD, in 10 s", 0.0, absolute=True, unit="s"))


def _repair(node: Namespace, protocol: int, count: int, number: int) -> float:
    """One route among all, another one each time; a pause, so that each is the first of its kind."""
    route = segment(2 + number * 7 % min(count, ZEBRA_ROUTES))
    time.sleep(0.1)
    return _heard(node, protocol, 1, "delete", route)


def _flush(node: Namespace, protocol: int, count: int) -> float:
    seconds = _heard(node, protocol, count, "flush")
    time.sleep(0.5)
    return seconds


def _heard(node: Namespace, protocol: int, count: int, *deletion: str) -> float:
    """Listens while ``ip route`` deletes, not behind it."""
    with node.entered():
        heard = Heard(protocol)
        deleting = subprocess.Popen(["ip", "route", *deletion, "proto", str(protocol)])
        try:
            return heard.until_back(count)
        finally:
            deleting.wait()
            heard.close()


@contextmanager
def _node(name: str) -> Iterator[Namespace]:
    with Namespace(name) as node:
        node.run(["ip", "-batch", "-"], stdin=scene.underlay())
        yield node


@contextmanager
def _worker(node: Namespace, directory: Path, count: int) -> Iterator[subprocess.Popen[bytes]]:
    """A real process, with Celery; the control plane and the broker are away, the document is cached."""
    state = directory / "state"
    state.mkdir()
    (state / "document.json").write_bytes(scene.body(count))
    settings = {
        "NETADMIN_NODE": NODE,
        "NETADMIN_URL": NOWHERE,
        "NETADMIN_TOKEN": "none",
        "NETADMIN_BROKER_URL": "redis://127.0.0.1:1/0",
        "NETADMIN_STATE_DIR": str(state),
        "NETADMIN_CNI_STORE": str(directory / "leases"),
        "NETADMIN_CNI_CONFIG": str(directory / "net.d"),
    }
    process = node.popen(
        [sys.executable, "-m", "workers"],
        cwd=Path(__file__).resolve().parents[1],
        env={**os.environ, **settings},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _settled(node: Namespace, protocol: int, count: int) -> None:
    end = time.monotonic() + PATIENCE
    while (found := node.run(["ip", "route", "show", "proto", str(protocol)]).count("\n")) != count:
        if time.monotonic() > end:
            raise TimeoutError(f"{found} of {count} routes of protocol {protocol}")
        time.sleep(0.2)
    time.sleep(2)


def _pss(pid: int) -> float:
    """MiB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"no Pss of process {pid}")


def _cpu(pid: int) -> float:
    """Seconds of user and system time (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
