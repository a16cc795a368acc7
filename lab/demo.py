"""A cluster of three nodes on this machine, from nothing to packets that cross: ``make demo``.

    python -m lab.demo [--once]

    start the control plane and three nodes -> declare two networks through the REST API
    -> every node builds them -> a container on each node -> ping every pair
    -> a service asks for an address and a host port -> a client elsewhere is answered
    -> what an operator looks at, with the nodes' own probes of each other
    -> stay up until Ctrl-C (or end at once: --once)

Exit status 0 only if every ping came back and the service answered.
"""

import argparse
import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import product
from pathlib import Path
from typing import Any, NoReturn

from lab import sandbox
from lab.cluster import Cluster
from lab.containers import Container, NotAttached
from lab.control import MANAGE, PORT, USER
from lab.namespaces import CommandFailed
from lab.node import Node
from lab.pings import Pings
from lab.processes import Died, Program
from lab.rest import Refused
from lab.topology import flat
from lab.waiting import TooLate, until

NODES = 3
ACROSS = "backend1"
DECLARED: dict[str, dict[str, Any]] = {
    ACROSS: {"type": "routed_bridge", "network": "10.11.0.0/16", "ips_per_node": 1024},
    "local1": {"type": "bridge", "network": "10.10.10.0/24"},
}
SERVICE, HOST_PORT = "root/svc/web", 8080
WITHIN = 30.0
"""Seconds that the nodes may take for what takes them less than one."""
FAILURES = (CommandFailed, Died, NotAttached, OSError, Refused, TooLate)
STARTED = time.monotonic()

Table = dict[tuple[Container, Container], Pings]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="lab.demo", description="A cluster of three nodes on this machine.")
    parser.add_argument("--once", action="store_true", help="end after the pings, in place of staying up")
    options = parser.parse_args(arguments)
    if sandbox.inside():
        return _inside(once=options.once)
    try:
        return sandbox.run([sys.executable, "-m", "lab.demo", *arguments])
    except sandbox.NotPermitted as error:
        print(error, file=sys.stderr)
        return 2


def _inside(*, once: bool) -> int:
    signal.signal(signal.SIGTERM, _interrupt)
    status = 130
    try:
        say(f"starting the control plane and {NODES} nodes")
        with Cluster(flat(NODES)) as cluster:
            try:
                status = play(cluster, once=once)
            except FAILURES as error:
                status = 1
                _explain(cluster, error)
    except FAILURES as error:  # not even the control plane came up
        status = 1
        print(f"\nFAILED: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print()
    say("removed everything")
    return status


def _interrupt(*_: object) -> NoReturn:
    """SIGTERM ends the demo as Ctrl-C does."""
    raise KeyboardInterrupt


def play(cluster: Cluster, *, once: bool) -> int:
    """The demo on a cluster that has started; its exit status."""
    for name in wait_for_nodes(cluster):
        say(f"{name} has joined at {cluster.nodes[name].member.address}")
    declared = declare(cluster)
    for name in wait_for_nodes(cluster):
        say(f"{name} has built it: {describe(cluster, name)}")
    with ThreadPoolExecutor(1) as pool:
        up = pool.submit(when_up, cluster)
        containers, first = attach(cluster)
        say(f"first packet from node to node {_after(declared, first)} after the POST that declared {ACROSS}")
        say(f"{ACROSS} is up, by the nodes' own probes, {_after(declared, up.result())} after it")
    table = {
        (source, target): cluster.ping(source, target)
        for source, target in product(containers, repeat=2)
        if source is not target
    }
    show_pings(containers, table)
    passed = all(pings.lost == 0 for pings in table.values())
    say(f"every one of {len(table)} pings came back" if passed else "FAILED: some pings did not come back")
    with service(cluster, "n1"):
        show_commands(cluster, "net status", f"net status --verbose --name {ACROSS}", "service ls")
        if not once and passed:
            stay(cluster)
    return 0 if passed else 1


def declare(cluster: Cluster) -> float:
    """POST the networks; the moment at which the first POST was sent."""
    moment = time.monotonic()
    for name, fields in DECLARED.items():
        cluster.declare(name, **fields)
        say(f"declared {name}: {', '.join(f'{key} {value}' for key, value in fields.items())}")
    return moment


def wait_for_nodes(cluster: Cluster) -> Iterator[str]:
    """The nodes, each as soon as it carries out what is declared."""
    seen: set[str] = set()
    while len(seen) < len(cluster.nodes):
        fresh = until(lambda: cluster.current() - seen, what="another node has converged", within=WITHIN)
        yield from sorted(fresh)
        seen.update(fresh)


def when_up(cluster: Cluster) -> float:
    """The moment at which full packets cross between all nodes, as these have reported."""
    cluster.converged(ACROSS, within=WITHIN)
    return time.monotonic()


def _after(start: float, end: float) -> str:
    return f"{(end - start) * 1000:.0f} ms"


def describe(cluster: Cluster, name: str) -> str:
    """What the kernel of a node has now, in a line."""
    node = cluster.nodes[name]
    bridges = [
        f"{link['ifname']} {address['local']}/{address['prefixlen']}"
        for link in node.ip("address", "show", "type", "bridge")
        for address in link["addr_info"]
        if address["family"] == "inet"
    ]
    routes = [f"{to} via {gateway}" for to, gateway in node.routes().items() if gateway[0].isdigit()]
    return ", ".join((*bridges, *routes))


def attach(cluster: Cluster) -> tuple[list[Container], float]:
    """A container on each node; the moment at which the first packet had crossed between two."""
    containers: list[Container] = []
    first = 0.0
    for name in cluster.nodes:
        containers.append(cluster.container(name, ACROSS))
        if len(containers) == 2:
            cluster.ping(containers[0], containers[1], count=1)
            first = time.monotonic()
    for container in containers:
        say(f"container {container.name} has {container.address}, by the CNI plugins")
    return containers, first


@contextmanager
def service(cluster: Cluster, name: str) -> Iterator[None]:
    """A web server in a namespace that the node makes for it, reached from another node by a host port."""
    node = cluster.nodes[name]
    asked = {"service": SERVICE, "resource": "ip#0", "node": name, "network": ACROSS}
    held = cluster.api.post(f"allocations/?wait={WITHIN:.0f}", **asked, expose=[f"80/tcp:{HOST_PORT}"])
    say(f"service {SERVICE} on {name} is {held['state']}: {', '.join(held['addresses'])}")
    pages = node.directory / "pages"
    pages.mkdir()
    (pages / "index.html").write_text(f"{SERVICE} on {name}\n")
    argv = [sys.executable, "-m", "http.server", "80", "--directory", str(pages)]
    log = node.directory / "service.log"
    server = Program(SERVICE, argv, namespace=node.namespace_of(SERVICE), env=dict(os.environ), log=log)
    server.start()
    try:
        url = f"http://{node.member.address}:{HOST_PORT}/"
        client = next(other for other in cluster.nodes.values() if other is not node)
        answer = until(lambda: _got(client, url), what=f"{url} answers", within=WITHIN)
        say(f"{client.name} asks {url}: {answer!r}")
        yield
    finally:
        server.kill()
        server.namespace.close()


def _got(client: Node, url: str) -> str:
    """What a client on that node is answered; empty: nothing yet."""
    program = (
        f"import urllib.request; print(urllib.request.urlopen({url!r}, timeout=2).read().decode(), end='')"
    )
    return client.namespace.call([sys.executable, "-c", program]).stdout.strip()


def show_pings(containers: Sequence[Container], table: Table) -> None:
    def cell(source: Container, target: Container) -> str:
        if source is target:
            return "-"
        pings = table[source, target]
        return f"{pings.rtt:.3f} ms" if pings.lost == 0 else f"{pings.lost} of {pings.sent} LOST"

    rows = [["ping from \\ to", *(container.address for container in containers)]]
    rows += [[source.name, *(cell(source, target) for target in containers)] for source in containers]
    print()
    show_columns(rows)
    print()


def show_columns(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        print("   ", "   ".join(cells).rstrip())


def show_commands(cluster: Cluster, *commands: str) -> None:
    """What manage.py prints; the commands run side by side."""
    with ThreadPoolExecutor() as pool:
        shown = pool.map(lambda command: cluster.control.manage(*command.split()), commands)
        for command, text in zip(commands, shown, strict=True):
            print(f"$ manage.py {command}\n{text}")


def stay(cluster: Cluster) -> None:
    """Say what there is to look at, until Ctrl-C or SIGTERM: the end that is expected."""
    control = cluster.control
    control.serve_people()
    variables = write_variables(cluster)
    taken = "" if control.port == PORT else f"   (port {PORT} is taken by another program)"
    python, manage = _as_typed(sys.executable), _as_typed(MANAGE)
    print(f"""
    web pages   {control.people_url}{taken}
                user {USER}, password {control.password}
    REST API    {control.people_url}api/v1/docs/
    logs        {cluster.directory}/*/*.log

    In another terminal, as root:

        . {variables}
        {python} {manage} net status
        curl -H "Authorization: Token $NETADMIN_TOKEN" {control.people_url}api/v1/networks/
        {python} -m lab.enter n1 ip route          # any command, on node n1

    Ctrl-C ends the demo and removes everything it made.
""")
    sys.stdout.flush()
    with suppress(KeyboardInterrupt):
        signal.pause()
    print()


def _as_typed(path: str) -> str:
    """A path as one would type it here."""
    here = Path.cwd()
    return shlex.quote(str(Path(path).relative_to(here) if Path(path).is_relative_to(here) else path))


def write_variables(cluster: Cluster) -> Path:
    """A file to source: the settings of ``manage.py`` and the user's token."""
    path = cluster.directory / "demo.env"
    values = {**cluster.control.settings, "NETADMIN_TOKEN": cluster.api.token}
    path.touch(mode=0o600)
    path.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items()))
    return path


def _explain(cluster: Cluster, error: BaseException) -> None:
    print(f"\nFAILED: {error}", file=sys.stderr)
    for program in cluster.programs():
        print(f"\nthe end of the log of the {program.name}:\n{program.tail()}", file=sys.stderr)


def say(what: str) -> None:
    print(f"{time.monotonic() - STARTED:6.2f} s  {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
