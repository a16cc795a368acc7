"""What a node's worker costs beside what the same work costs others, in one run: ``make bench``.

    python -m lab.sandbox -- python -m bench.node [--peers 1000 5000] [--rounds 5]

    cold     the routes of all peers from the plan to the kernel   | one ``ip -batch``
    idle     a reconcile that finds nothing to do, all looked at   | ``ip -j route show proto N``
    one      one more peer, from the document's bytes to the kernel | one ``ip route add`` process
    switch   all routes from direct to a tunnel                    | ``ip -batch`` with replace
    lost     packets to three of them meanwhile, there and back     | sent
    forked   processes started by a whole apply                    | 0

A figure is the median over the rounds, a ratio that of the medians. Both sides of a row run
in turn in every round, in a network namespace of their own. What a running worker does, and needs, is
measured by ``bench.running``.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench import flood, running, scene, table
from bench.scene import address, ip, segment, timed
from bench.table import Bound, Pair
from lab import sandbox
from lab.namespaces import Namespace
from workers import document
from workers.apply import apply
from workers.changes import Plan
from workers.config import Settings
from workers.kernel.door import Kernel
from workers.kernel.routes import Route
from workers.observe import Observed
from workers.reconcile import look, reconcile

FORKS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"}
BOUNDS = {
    "idle": Bound("ip -j route show", 1.0, 0.5),
    "one": Bound("one ip route add", 5, 1),
    "cold": Bound("ip -batch", 1.0, 0.65),
    "switch": Bound("ip -batch replace", 1.5),
}

forked: list[str] = []


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.node", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peers", type=int, nargs="+", default=[1000, 5000])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    sys.addaudithook(lambda event, _: forked.append(event) if event in FORKS else None)
    if not sandbox.inside():
        sys.exit("bench.node makes devices and routes; run: python -m lab.sandbox -- python -m bench.node")
    table.head()
    for count in options.peers:
        with tempfile.TemporaryDirectory() as directory, Namespace("n1") as node:
            node.run(["ip", "-batch", "-"], stdin=scene.underlay())
            some = (2, count // 2 + 1, count + 1)
            with flood.peers(node, some) as peers, node.entered(), Kernel() as kernel:
                through = partial(flood.Flood, node, peers, some)
                _measure(Bench(kernel, scene.settings(Path(directory)), count, through), options.rounds)
        running.measure(count, options.rounds)
    table.settle()


@dataclass(frozen=True)
class Bench:
    """A node with ``count`` peers, to be measured again and again."""

    kernel: Kernel
    settings: Settings
    count: int
    flood: Callable[[], flood.Flood]
    lost: list[Pair] = field(default_factory=list)
    """Packets that were lost, and sent, in each round of ``switch``."""

    def run(self, count: int) -> Observed:
        """From the bytes of a document for so many peers to the kernel; what is there then."""
        return reconcile(document.parse(scene.body(count)), self.settings, self.kernel).observed

    def idle(self) -> Pair:
        """The look after the apply, which learns what the kernel made of it, is over."""
        self.run(self.count)
        wanted = document.parse(scene.body(self.count))
        ours = timed(partial(reconcile, wanted, self.settings, self.kernel))
        return ours, timed(lambda: json.loads(ip("-j", "route", "show", "proto", "157")))

    def one(self) -> Pair:
        """Ours up to the end of the apply: the look that confirms it comes when the route is there."""
        body, last = scene.body(self.count + 1), self.run(self.count)
        start = time.perf_counter()
        wanted = document.parse(body)
        parsed = time.perf_counter() - start
        outcome = reconcile(wanted, self.settings, self.kernel, last=last)
        assert len(outcome.changes) == 1
        ours = parsed + outcome.milliseconds / 1000
        self.run(self.count)
        theirs = timed(partial(ip, "route", "add", "192.88.99.0/24", "via", address(2)))
        ip("route", "delete", "192.88.99.0/24")
        return ours, theirs

    def cold(self) -> Pair:
        self.run(0)
        todo = self._routes("never")
        ours = timed(partial(apply, todo, self.kernel))
        # A metric and a protocol of their own: beside ours, and in a next-hop chain of their own too.
        lines = (f"route add {segment(n)} via {address(n)} proto 200 metric 9" for n in self._peers())
        theirs = timed(partial(ip, "-batch", "-", stdin="\n".join(lines)))
        ip("route", "flush", "proto", "200")
        return ours, theirs

    def switch(self) -> Pair:
        """The routes alone, as the device is there when they move; under a flood there and back."""
        self.run(self.count)
        with self.flood() as through:
            pair = self._switch()
            self.run(self.count)
        self.lost.append((through.lost, through.sent))
        return pair

    def _apply(self, plan: Plan) -> None:
        apply(plan, self.kernel, let_pass=lambda network: None)

    def _switch(self) -> Pair:
        _, todo = look(document.parse(scene.body(self.count, "always")), self.settings, self.kernel)
        devices = [change for change in todo.changes if not isinstance(change.object, Route)]
        self._apply(Plan(tuple(devices)))
        ours = timed(partial(self._apply, self._routes("always")))
        ip("-batch", "-", stdin="\n".join(f"route add {self._line(n)}" for n in self._peers()))
        moves = (f"route replace {self._line(n, tunnel=True)}" for n in self._peers())
        theirs = timed(partial(ip, "-batch", "-", stdin="\n".join(moves)))
        ip("route", "flush", "proto", "200")
        return ours, theirs

    def _routes(self, tunnel: str) -> Plan:
        _, todo = look(document.parse(scene.body(self.count, tunnel)), self.settings, self.kernel)
        routes = tuple(change for change in todo.changes if isinstance(change.object, Route))
        assert len(routes) == self.count
        return Plan(routes)

    def _peers(self) -> range:
        return range(2, self.count + 2)

    @staticmethod
    def _line(number: int, tunnel: bool = False) -> str:
        encap = f"encap ip id 1 dst {address(number)} src {address(1)} ttl 64 dev na_vxlan"
        hop = encap if tunnel else f"via {address(number)}"
        return f"{segment(number)} {hop} proto 200 metric 9"


def _measure(bench: Bench, rounds: int) -> None:
    forked.clear()
    bench.run(bench.count)
    started = len(forked)
    rows: dict[str, list[Pair]] = {name: [] for name in BOUNDS}
    for _ in range(rounds):
        for name, pairs in rows.items():
            pairs.append(getattr(bench, name)())
    for name, pairs in rows.items():
        table.row(bench.count, name, pairs, BOUNDS[name])
    lost, sent = map(sum, zip(*bench.lost, strict=True))
    table.row(bench.count, "lost", [(lost, sent)], Bound("packets sent", 0, absolute=True, unit="pkt"))
    print(f"{bench.count:>6}  {'forked':10} {started:>12}  {0:>12}")


if __name__ == "__main__":
    os.environ["LC_ALL"] = "C"
    main()
