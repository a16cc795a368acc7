"""An address of a service from end to end, in a lab of one node: ``make bench``.

    python -m lab.sandbox -- python -m bench.services [--trials 30]

    visible    from the address being on the interface until PowerDNS answers with it, by median and at worst
    attached   from the POST (?wait=) until its answer says that it is attached | ``bridge`` + ``host-local``
               from a shell, one ADD on the same node

Nothing is in place of anything: control plane and broker, a worker as a process of its own, the plugins,
``dns serve`` and PowerDNS, whose caches know that the name is not there. All share two cores.
"""

import argparse
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from bench import scene, table
from bench.scene import timed
from bench.table import Bound, Pair
from lab import sandbox
from lab.cluster import Cluster
from lab.dns import NameServer
from lab.namespaces import Namespace
from lab.topology import flat

TRIALS = 30
PAUSE = 0.3
"""Seconds before each measurement: what the last one led to is over."""
WITHIN = 30.0
BARE = "bridge + host-local from a shell"
BOUNDS = {
    "visible": Bound("", 50, absolute=True),
    "worst": Bound("", 1000, absolute=True),
    "attached": Bound(BARE, None),
}


class Bench:
    def __init__(self, cluster: Cluster, server: NameServer) -> None:
        self._cluster, self._server = cluster, server
        self._node = cluster.nodes["n1"]

    def visible(self, number: int) -> float:
        """Seconds from the address on the interface to the answer."""
        address, name = f"10.11.0.{100 + number}", f"new{number}.prod.svc.cluster1"
        with Namespace("container") as container, closing(self._server.resolver()) as resolver:
            assert resolver.ask(name) == []
            container.run(["ip", "link", "set", "lo", "up"])  # a namespace without any lets bind(2) to all
            time.sleep(PAUSE)
            up = _Watching(container, address)
            row = self._post(f"prod/svc/new{number}", container, wanted=[address])
            end = time.monotonic() + WITHIN
            while resolver.ask(name) != [address]:
                if time.monotonic() > end:
                    raise TimeoutError(f"{name} is not answered: {self._shown(row)}")
                time.sleep(0.0005)
            answered = time.perf_counter()
            since = up.at()
            self._delete(row)
        return answered - since

    def attached(self, number: int) -> Pair:
        """Ours and the plugins alone, into fresh containers."""
        rows: list[Any] = []
        with Namespace("ours") as ours, Namespace("theirs") as theirs:
            time.sleep(PAUSE)
            mine = timed(lambda: rows.append(self._post(f"prod/svc/web{number}", ours, wait=10)))
            assert rows[0]["state"] == "attached", rows
            time.sleep(PAUSE)
            bare = timed(lambda: self._shell("ADD", theirs))
            self._shell("DEL", theirs)
            self._delete(rows[0])
        return mine, bare

    def _post(self, service: str, container: Namespace, wait: int = 0, **values: Any) -> Any:
        body = {
            "service": service, "resource": "ip#0", "node": "n1", "network": "backend1",
            "netns": container.path, **values,
        }  # fmt: skip
        return self._cluster.api.call("POST", f"allocations/?wait={wait}", body)[0]

    def _shown(self, row: Any) -> Any:
        return self._cluster.api.get(f"allocations/{row['id']}/")

    def _delete(self, row: Any) -> None:
        self._cluster.api.call("DELETE", f"allocations/{row['id']}/?wait=10")

    def _shell(self, command: str, container: Namespace) -> None:
        scene.shell(command, self._node.chain("backend1"), self._node.namespace, container)


class _Watching:
    """Finds out in a thread of its own when a namespace has an address: from then on a socket can be bound to
    it (ip(7))."""

    def __init__(self, container: Namespace, address: str) -> None:
        self._address = address
        self._at = 0.0
        with container.entered():
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        end = time.monotonic() + WITHIN
        with self._socket:
            while time.monotonic() < end:
                try:
                    self._socket.bind((self._address, 0))
                except OSError:
                    time.sleep(0.0002)
                else:
                    self._at = time.perf_counter()
                    return

    def at(self) -> float:
        """As time.perf_counter() counts."""
        self._thread.join()
        assert self._at, f"{self._address} was answered, and is on no interface"
        return self._at


@contextmanager
def _scene() -> Iterator[Bench]:
    with Cluster(flat(1)) as cluster:
        cluster.declare("backend1", type="routed_bridge", network="10.11.0.0/16", ips_per_node=256)
        cluster.settled(within=WITHIN)
        directory = cluster.directory / "dns"
        with NameServer(directory, cluster.nodes["n1"].namespace, cluster.control.settings) as server:
            yield Bench(cluster, server)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.services", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=TRIALS)
    options = parser.parse_args()
    if not sandbox.inside():
        sys.exit("bench.services makes devices; run: python -m lab.sandbox -- python -m bench.services")
    with _scene() as bench:
        table.head("trials")
        bench.attached(0)
        pairs = [bench.attached(number) for number in range(1, options.trials + 1)]
        took = [bench.visible(number) for number in range(options.trials)]
    table.row(options.trials, "visible", [(seconds, 0.0) for seconds in took], BOUNDS["visible"])
    table.row(options.trials, "worst", [(max(took), 0.0)], BOUNDS["worst"])
    table.row(options.trials, "attached", pairs, BOUNDS["attached"])
    table.settle()


if __name__ == "__main__":
    os.environ["LC_ALL"] = "C"
    main()
