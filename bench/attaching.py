"""What attaching a container costs beside the bare plugins, in one run: ``make bench``.

    python -m lab.sandbox -- python -m bench.attaching [--rounds 20]

    attach      holdings in memory to the statement that it is attached    | ``bridge`` + ``host-local``
    with port   the same with two host ports, reachable                    | from a shell, one ADD
    idle cpu    of 200 attachments in ten seconds in which nothing happens |

Both sides of a row run in turn, in one network of one namespace, each into a container of its own; both
are detached before the next round, and the kernel has time to clear their namespaces away. Another attachment
has host ports all the time, as on any node that maps some, so the table is there. A ratio is that of the
medians.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bench import scene, table
from bench.scene import timed
from bench.table import Bound, Pair
from lab import sandbox
from lab.containers import Chain
from lab.namespaces import Namespace
from lab.node import PLUGINS
from lab.syscalls import detach
from workers import document
from workers.attaching.keeper import Keeper
from workers.cni.gate import Gate
from workers.document import Document
from workers.holdings import ATTACHED, Attachment, Holdings, Port
from workers.kernel.door import Kernel
from workers.reconcile import reconcile

PORTS = (Port(80, "tcp", 8001), Port(53, "udp", 5353))
MANY = 200
PAUSE = 0.2
"""Seconds before each measurement: what the last one led to is over."""
IDLE = 10.0
PATIENCE = 120.0
BARE = Bound("bridge + host-local from a shell", 1.2)


class Bench:
    """A node with one network, and its keeper of attachments."""

    def __init__(self, directory: Path, keeper: Keeper, network: Document, node: Namespace) -> None:
        self.directory, self.keeper, self.network, self.node = directory, keeper, network, node
        self._version = 0
        self._resident = _attachment(MANY + 1, "", (Port(80, "tcp", 8002),))

    def pair(self, expose: tuple[Port, ...]) -> Pair:
        """Ours and theirs, into fresh containers."""
        with Namespace("ours") as ours, Namespace("theirs") as theirs:
            one = _attachment(1, ours.path, expose)
            time.sleep(PAUSE)
            mine = timed(lambda: self.held(one))
            time.sleep(PAUSE)
            bare = timed(lambda: self._shell("ADD", theirs))
            self.held()
            self._shell("DEL", theirs)
        return mine, bare

    def held(self, *attachments: Attachment) -> None:
        """Wait until the node says that it holds these and no others."""
        self._version += 1
        self.keeper.hold(Holdings(scene.NODE, self._version, (self._resident, *attachments)))
        end = time.monotonic() + PATIENCE
        while not self._says(len(attachments)):
            if time.monotonic() > end:
                raise TimeoutError(f"not held: {self.keeper.statement()}")
            time.sleep(0.0002)

    def _says(self, count: int) -> bool:
        said = self.keeper.statement()
        if said is None or said.version != self._version or len(said.attachments) != count + 1:
            return False
        return all(one.state == ATTACHED for one in said.attachments)

    def _shell(self, command: str, container: Namespace) -> None:
        chain = Chain(self.directory / "net.d" / "backend1.conflist", PLUGINS)
        scene.shell(command, chain, self.node, container)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.attaching", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    if not sandbox.inside():
        sys.exit("bench.attaching makes devices; run: python -m lab.sandbox -- python -m bench.attaching")
    table.head()
    with tempfile.TemporaryDirectory() as directory, Namespace("n1") as node:
        node.run(["ip", "-batch", "-"], stdin=scene.underlay())
        with _bench(Path(directory), node) as bench:
            bench.pair(PORTS)
            rows: dict[str, list[Pair]] = {"attach": [], "with port": []}
            for _ in range(options.rounds):
                rows["attach"].append(bench.pair(()))
                rows["with port"].append(bench.pair(PORTS))
            for name, pairs in rows.items():
                table.row(1, name, pairs, BARE)
            _idle(bench)
    table.settle()


def _idle(bench: Bench) -> None:
    with Namespace("ours") as inside:
        bench.held(*(_attachment(n, inside.path, (), f"eth{n}") for n in range(1, MANY + 1)))
        time.sleep(2)
        before = time.process_time()
        time.sleep(IDLE)
        spent = time.process_time() - before
        table.row(MANY, "idle cpu", [(spent, IDLE)], Bound("ten seconds", 0.2, absolute=True, unit="s"))
        bench.held()


@contextmanager
def _bench(directory: Path, node: Namespace) -> Iterator[Bench]:
    settings = replace(scene.settings(directory), netns_dir=directory / "netns")
    network = replace(document.parse(scene.body(2)), cni_config=str(directory / "net.d"))
    with node.entered(), Kernel() as kernel:
        reconcile(network, settings, kernel)
        keeper = Keeper(settings, lambda: network, Gate(lambda: None))
        keeper.start()
        try:
            yield Bench(directory, keeper, network, node)
        finally:
            keeper.stop()
            keeper.join()
            detach(str(settings.netns_dir))


def _attachment(number: int, netns: str, expose: tuple[Port, ...], interface: str = "eth12") -> Attachment:
    service = f"root/svc/web{number}"
    return Attachment(f"{number:032x}", "backend1", service, "ip#0", netns, interface, (), expose)


if __name__ == "__main__":
    os.environ["LC_ALL"] = "C"
    main()
