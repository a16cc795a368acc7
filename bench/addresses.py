"""What it costs to keep an address, over HTTP, on PostgreSQL, with 100,000 in use: ``make bench``.

    python -m tests.postgres -- python -m bench.addresses [--in-use 100000] [--rounds 5]

    bulk     1,000 addresses in one request                             | NetBox 4.7: 117 a second
    single   1,600 addresses, one a request, by 8 clients at once       | NetBox 4.7: 29 a second
    next     the next free one of a /8 with so many in use              | of a /22 with none

The whole way: granian, authentication, rules, one transaction with its event, the answer, wake-ups to
the nodes. NetBox took 8.6 s for 1,000, and gave 29 single ones a second at best, on two cores as these, with
its recommended five processes and an empty prefix; it is not run here, as it takes minutes of
processor time to set up. No address may be given twice: that is counted too.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from bench import table
from bench.scene import timed
from bench.table import Bound, Pair
from lab.control import FIRST_START, MANAGE

NODES, SEGMENT = 128, 1024
BULK = 1000
CLIENTS, SINGLE = 8, 1600
NEXT = 50
"""Requests of each kind, in turn, in a round."""
FILLED = 5000
"""Addresses of one request while the scene is set."""
NETBOX_BULK, NETBOX_SINGLE = 117, 29
"""Addresses a second."""
BOUNDS = {
    "bulk": Bound("NetBox", 1 / 50),
    "single": Bound("NetBox", 1 / 10),
    "next": Bound("a /22", 2),
}
PATIENCE = 60.0


class Client:
    """One kept connection of one user."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        self._headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}

    def send(self, method: str, path: str, body: Any) -> Any:
        self._connection.request(method, f"/api/v1/{path}", json.dumps(body), self._headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {text.decode()[:500]}")
        return json.loads(text) if text else None

    def fresh(self) -> None:
        """The server closes a connection on which nothing was asked for half a minute."""
        self._connection.close()

    def keep(self, network: str, **wish: Any) -> list[dict[str, Any]]:
        kept: list[dict[str, Any]] = self.send(
            "POST", f"networks/{network}/available-ips/", {"count": 1, **wish}
        )
        return kept

    def give_back(self, network: str, rows: list[dict[str, Any]]) -> None:
        self.send("POST", f"networks/{network}/release-ips/", {"ids": [row["id"] for row in rows]})


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.addresses", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--in-use", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if not os.environ.get("NETADMIN_DATABASE_URL"):
        sys.exit(
            "bench.addresses needs PostgreSQL; run: python -m tests.postgres -- python -m bench.addresses"
        )
    with tempfile.TemporaryDirectory() as directory, _control_plane(Path(directory)) as (port, token):
        client = Client(port, token)
        _set_scene(client, options.in_use)
        clients = [Client(port, token) for _ in range(CLIENTS)]
        rows: dict[str, list[Pair]] = {name: [] for name in BOUNDS}
        for _ in range(options.rounds):
            rows["bulk"].append((_bulk(client), BULK / NETBOX_BULK))
            rows["single"].append((_single(clients), SINGLE / NETBOX_SINGLE))
            rows["next"].append(_next(client))
    table.head("in use")
    for name, pairs in rows.items():
        table.row(options.in_use, name, pairs, BOUNDS[name])
    table.settle()


def _bulk(client: Client) -> float:
    client.fresh()
    kept: list[dict[str, Any]] = []
    seconds = timed(lambda: kept.extend(client.keep("backend1", count=BULK)))
    _different(kept, BULK)
    client.give_back("backend1", kept)
    return seconds


def _single(clients: list[Client]) -> float:
    def run(client: Client) -> list[dict[str, Any]]:
        return [client.keep("backend1")[0] for _ in range(SINGLE // len(clients))]

    for one in clients:
        one.fresh()
    with ThreadPoolExecutor(len(clients)) as pool:
        start = time.perf_counter()
        kept = [row for rows in pool.map(run, clients) for row in rows]
        seconds = time.perf_counter() - start
    _different(kept, SINGLE)
    clients[0].give_back("backend1", kept)
    return seconds


def _next(client: Client) -> Pair:
    """Seconds for one; the two in turn."""
    client.fresh()
    spent = {"large": 0.0, "small": 0.0}
    for _ in range(NEXT):
        for network in spent:
            kept: list[dict[str, Any]] = []
            spent[network] += timed(lambda to=kept, of=network: to.extend(client.keep(of, node="n1")))  # type: ignore[misc]
            client.give_back(network, kept)
    return spent["large"] / NEXT, spent["small"] / NEXT


def _different(kept: list[dict[str, Any]], count: int) -> None:
    if len({row["addresses"][0] for row in kept}) != count:
        raise RuntimeError(f"{count} addresses were asked for, and some were given twice")


def _set_scene(client: Client, in_use: int) -> None:
    client.send("PATCH", "networks/default/", {"network": "none"})
    for number in range(1, NODES + 1):
        client.send("POST", "nodes/", {"name": f"n{number}", "addresses": [f"198.18.0.{number}"]})
    segmented = {"type": "routed_bridge", "ips_per_node": SEGMENT}
    client.send("POST", "networks/", {"name": "backend1", "network": "172.16.0.0/14", **segmented})
    client.send("POST", "networks/", {"name": "large", "network": "10.0.0.0/8", "nodes": ["n1"]})
    client.send("POST", "networks/", {"name": "small", "network": "192.168.0.0/22", "nodes": ["n1"]})
    for network, wish in (("backend1", {}), ("large", {"node": "n1"})):
        for _ in range(in_use // FILLED):
            client.fresh()
            client.keep(network, count=FILLED, **wish)
    _run("dbshell", "--", "-c", "ANALYZE")


@contextmanager
def _control_plane(directory: Path) -> Iterator[tuple[int, str]]:
    """Port and token of a server with an empty database, as ``manage.py serve`` runs it."""
    os.environ["NETADMIN_DATA_DIR"] = str(directory)
    token = _run("shell", "--no-imports", "-c", FIRST_START, stdin="a long password\n").split()[-1]
    port = 8765
    with open(directory / "log", "wb") as log:
        server = subprocess.Popen(
            [sys.executable, MANAGE, "serve", "--bind", f"127.0.0.1:{port}"], stdout=log, stderr=log
        )
    try:
        _wait(port, server, directory / "log")
        yield port, token
    finally:
        server.terminate()
        server.wait()


def _wait(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        if server.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"the control plane did not start:\n{log.read_text()}")
        try:
            connection = HTTPConnection("127.0.0.1", port, timeout=1)
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            return
        except OSError:
            time.sleep(0.1)


def _run(*arguments: str, stdin: str = "") -> str:
    done = subprocess.run(
        [sys.executable, MANAGE, *arguments], input=stdin, capture_output=True, text=True, check=True
    )
    return done.stdout


if __name__ == "__main__":
    main()
