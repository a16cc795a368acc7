"""What a node's worker costs beside what the same work costs others, in one run: ``make bench``.

    python -m lab.sandbox -- python -m bench.node [--peers 1000 5000] [--rounds 5]

    cold     the routes of all peers from the plan to the kernel   | one ``ip -batch``
    idle     a reconcile that finds nothing to do, all looked at   | ``ip -j route show proto N``
    one      one more peer, from the parsed document to the kernel | one ``ip route add`` process
    forked   processes started by a whole apply                    | 0

A figure is the median over the rounds, a ratio that of the medians. Both sides of a row run
in turn in every round, in a network namespace of their own.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from statistics import median

from netaddr import IPAddress

from lab import sandbox
from lab.namespaces import Namespace
from workers.apply import apply
from workers.changes import Plan
from workers.config import Settings
from workers.document import DesiredNetwork, Document, Peer
from workers.kernel.door import Kernel
from workers.kernel.routes import Route
from workers.reconcile import look, reconcile

UNDERLAY = "198.18.0.0/15"
"""Benchmarking addresses (RFC 2544); the node is the first."""
RANGE = "10.128.0.0/9"
FORKS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"}

forked: list[str] = []
Pair = tuple[float, float]
"""Seconds: ours, and what stands beside it."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.node", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peers", type=int, nargs="+", default=[1000, 5000])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    sys.addaudithook(lambda event, _: forked.append(event) if event in FORKS else None)
    if not sandbox.inside():
        sys.exit("bench.node makes devices and routes; run: python -m lab.sandbox -- python -m bench.node")
    print(f"{'peers':>6}  {'measure':8} {'netadmin':>10}  {'beside it':>10}  ratio")
    for count in options.peers:
        with tempfile.TemporaryDirectory() as directory, Namespace("n1") as node:
            node.run(["ip", "-batch", "-"], stdin=_underlay())
            with node.entered(), Kernel() as kernel:
                _measure(Bench(kernel, _settings(Path(directory)), count), options.rounds)


@dataclass(frozen=True)
class Bench:
    """A node with ``count`` peers, to be measured again and again."""

    kernel: Kernel
    settings: Settings
    count: int

    def run(self, count: int) -> None:
        """One reconcile for so many peers."""
        reconcile(_document(count), self.settings, self.kernel)

    def idle(self) -> Pair:
        document = _document(self.count)
        ours = _timed(partial(reconcile, document, self.settings, self.kernel))
        return ours, _timed(lambda: json.loads(_ip("-j", "route", "show", "proto", "157")))

    def one(self) -> Pair:
        document = _document(self.count + 1)
        ours = _timed(partial(reconcile, document, self.settings, self.kernel))
        self.run(self.count)
        theirs = _timed(partial(_ip, "route", "add", "192.88.99.0/24", "via", _address(2)))
        _ip("route", "delete", "192.88.99.0/24")
        return ours, theirs

    def cold(self) -> Pair:
        self.run(0)
        _, todo = look(_document(self.count), self.settings, self.kernel)
        routes = [change for change in todo.changes if isinstance(change.object, Route)]
        assert len(routes) == self.count
        ours = _timed(partial(apply, Plan(tuple(routes)), self.kernel))
        # A metric and a protocol of their own: beside ours, and in a next-hop chain of their own too.
        peers = _document(self.count).networks[0].peers[1:]
        lines = (f"route add {one.subnets[0]} via {one.gateways[0]} proto 200 metric 9" for one in peers)
        theirs = _timed(partial(_ip, "-batch", "-", stdin="\n".join(lines)))
        _ip("route", "flush", "proto", "200")
        return ours, theirs


def _measure(bench: Bench, rounds: int) -> None:
    forked.clear()
    bench.run(bench.count)
    started = len(forked)
    rows: dict[str, list[Pair]] = {"idle": [], "one": [], "cold": []}
    for _ in range(rounds):
        rows["idle"].append(bench.idle())
        rows["one"].append(bench.one())
        rows["cold"].append(bench.cold())
    for name, pairs in rows.items():
        ours, theirs = (median(side) * 1000 for side in zip(*pairs, strict=True))
        print(f"{bench.count:>6}  {name:8} {ours:>7.1f} ms  {theirs:>7.1f} ms  {ours / theirs:.2f}")
    print(f"{bench.count:>6}  {'forked':8} {started:>10}  {0:>10}")


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _ip(*arguments: str, stdin: str = "") -> str:
    done = subprocess.run(["ip", *arguments], input=stdin, capture_output=True, text=True, check=True)
    return done.stdout


def _address(number: int) -> str:
    return str(IPAddress("198.18.0.0") + number)


def _underlay() -> str:
    prefix = UNDERLAY.partition("/")[2]
    return f"""
        link set lo up
        link add eth0 type veth peer name wire
        address add {_address(1)}/{prefix} dev eth0
        link set wire up
        link set eth0 up
    """


@cache
def _document(count: int) -> Document:
    """A node and ``count`` peers, each with a next hop of its own."""
    peers = tuple(
        Peer(
            node=f"n{number}",
            addresses=(_address(number),),
            gateways=(_address(number),),
            subnets=(f"{IPAddress('10.128.0.0') + 1024 * (number - 1)}/22",),
        )
        for number in range(1, count + 2)
    )
    network = DesiredNetwork(
        name="backend1", type="routed_bridge", ranges=(RANGE,), subnets=peers[0].subnets,
        device="obr_backend1", adopted=False, public=False, mtu=1500, tables=("main",),
        tunnel="auto", tunnel_mode="ipip", peers=peers,
    )  # fmt: skip
    return Document(
        version=str(count), cluster="bench", node="n1", addresses=peers[0].addresses, look_interval=30,
        cni_plugins="/usr/lib/cni", cni_config="", ranges=(RANGE,), networks=(network,),
    )  # fmt: skip


def _settings(directory: Path) -> Settings:
    return Settings(
        node="n1", url="http://127.0.0.1:1", token="none", broker_url="", state_dir=directory / "state",
        cni_plugins="/usr/lib/cni", cni_config=str(directory / "net.d"), cni_store=directory / "leases",
        protocol=157, group=28257, nft_table="netadmin",
    )  # fmt: skip


if __name__ == "__main__":
    os.environ["LC_ALL"] = "C"
    main()
