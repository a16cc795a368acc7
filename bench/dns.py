"""What the cluster DNS costs: ``python -m bench.dns [ROUNDS]``, in a sandbox.

    visible   from the commit of an address until PowerDNS answers with it, by median and at worst
    cached    answers a second while names change, warm caches    | PowerDNS' bind backend, same caches
    empty     the same with all caches of PowerDNS off            | the same

Ten changes a second. 2000 services with a host name and a port each: 14 000 records. Questions: 60% A,
20% AAAA (no data), 10% SRV, 10% unknown; dnsperf with 8 clients and 60 questions under way. Rounds are
interleaved; all share the cores.
"""

import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from bench import table
from bench.table import Bound, Pair
from lab.dns import NameServer
from lab.namespaces import Namespace
from lab.waiting import until

SERVICES = 2000
TRIALS = 30
SECONDS = 3
WARMING = 15
"""Seconds at most; it ends when every question was asked once."""
CHANGES = 0.1
"""Seconds between two changes while it is asked."""
NO_CACHES = "cache-ttl=0\nquery-cache-ttl=0\nnegquery-cache-ttl=0\n"
COLD, BIND, BIND_COLD = 5302, 5303, 5304
BOUNDS = {
    "visible": Bound("", 50, absolute=True),
    "worst": Bound("", 1000, absolute=True),
    "cached": Bound("PowerDNS' bind backend with the same caches", 0.5, unit="/s", at_least=True),
    "empty": Bound("PowerDNS' bind backend without caches", 0.1, unit="/s", at_least=True),
}


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="netadmin-bench-") as name, ExitStack() as ends:
        directory = Path(name)
        scene = ends.enter_context(_scene(directory))
        table.head("names")
        took = [scene.appears(number) for number in range(TRIALS)]
        table.row(SERVICES, "visible", [(seconds, 0.0) for seconds in took], BOUNDS["visible"])
        table.row(SERVICES, "worst", [(max(took), 0.0)], BOUNDS["worst"])
        rows: dict[str, list[Pair]] = {"cached": [], "empty": []}
        for _ in range(rounds):
            scene.warm(5300, BIND)
            rows["cached"].append((scene.changing(lambda: scene.rate(5300)), scene.rate(BIND)))
            rows["empty"].append((scene.changing(lambda: scene.rate(COLD)), scene.rate(BIND_COLD)))
        for measure, pairs in rows.items():
            table.row(SERVICES, measure, pairs, BOUNDS[measure])
    table.settle()


class Scene:
    def __init__(self, server: NameServer, network: Any, node: Any, questions: Path) -> None:
        self._server, self._network, self._node, self._questions = server, network, node, questions

    def appears(self, number: int) -> float:
        """Seconds from the commit of a new service's address until it is answered."""
        from django.db import transaction

        from networks.dns import changes

        name = f"new{number}.root.svc.cluster1"
        with closing(self._server.resolver()) as resolver:
            assert resolver.ask(name) == []  # which is in the caches now
            with transaction.atomic():
                changes.changed(services(self._network, self._node, [f"new{number}"], third=200))
            start = time.perf_counter()
            while not resolver.ask(name):
                time.sleep(0.0005)
            return time.perf_counter() - start

    def changing(self, measure: Callable[[], float]) -> float:
        """Measure while a weight changes again and again."""
        stopped = threading.Event()
        thread = threading.Thread(target=self._change, args=(stopped,))
        thread.start()
        try:
            return measure()
        finally:
            stopped.set()
            thread.join()

    def _change(self, stopped: threading.Event) -> None:
        from django.db import connection, transaction

        from networks.dns import changes
        from networks.models import Allocation

        number = 0
        while not stopped.wait(CHANGES):
            number += 1
            with transaction.atomic():
                row = Allocation.objects.get(service=f"root/svc/s{number % 100}")
                row.hostname = f"h{number}"
                row.save(update_fields=["hostname"])
                changes.changed([row.pk])
        connection.close()

    def warm(self, *ports: int) -> None:
        """Let the caches know every question."""
        for port in ports:
            self._ask(port, f"-n 1 -l {WARMING}")

    def rate(self, port: int) -> float:
        """Answers a second."""
        printed = self._ask(port, f"-l {SECONDS}")
        lost = re.search(r"Queries lost:\s+(\d+)", printed)
        assert lost
        assert int(lost[1]) == 0, printed
        found = re.search(r"Queries per second:\s+([0-9.]+)", printed)
        assert found, printed
        return float(found[1])

    def _ask(self, port: int, options: str) -> str:
        command = f"dnsperf -s 127.0.0.1 -p {port} -d {self._questions} -c 8 -q 60 -T 1 {options}".split()
        return self._server.namespace.run(command, within=60)


@contextmanager
def _scene(directory: Path) -> Iterator[Scene]:
    data = directory / "data"
    data.mkdir()
    os.environ["NETADMIN_DATA_DIR"] = str(data)
    os.environ["DJANGO_SETTINGS_MODULE"] = "netadmin.settings"
    import django

    django.setup()
    with ExitStack() as ends:
        network, node = _filled()
        _broker(ends)
        host = ends.enter_context(Namespace("dns"))
        host.run(["ip", "link", "set", "lo", "up"])
        server = ends.enter_context(NameServer(directory / "dns", host, {"NETADMIN_DATA_DIR": str(data)}))
        ours = server.configured("pdns", "--socket", str(server.socket))
        _pdns(ends, server, directory / "cold", ours + NO_CACHES, COLD)
        bind = re.sub(r"launch=.*\nremote-.*\n", f"launch=bind\nbind-config={_zone_file(directory)}\n", ours)
        _pdns(ends, server, directory / "bind", bind, BIND)
        _pdns(ends, server, directory / "bind-cold", bind + NO_CACHES, BIND_COLD)
        yield Scene(server, network, node, _questions(directory))


def _filled() -> tuple[Any, Any]:
    from django.core.management import call_command

    from networks import declare, membership
    from networks.declaration import Declaration, EveryNode
    from networks.dns import changes

    call_command("migrate", verbosity=0)
    node = membership.add("n1", by="bench", addresses=["192.0.2.1"])
    values = {"type": "routed_bridge", "network": "10.11.0.0/16", "ips_per_node": 32768}
    network = declare.declare("backend1", Declaration(values, EveryNode(), {}), by="bench")
    services(network, node, [f"s{number}" for number in range(SERVICES)])
    changes.changed()
    return network, node


def services(network: Any, node: Any, names: list[str], third: int = 8) -> list[int]:
    """With an address each, by the number in the name from 10.11.THIRD.1 on; their allocations."""
    from networks.models import Address, Allocation, Learnt, State

    rows = Allocation.objects.bulk_create(
        Allocation(
            network=network, node=node, service=f"root/svc/{name}", resource="ip#0", hostname="h",
            expose=["80/tcp"], state=State.ATTACHED, learnt=Learnt.REQUEST,
        )
        for name in names
    )  # fmt: skip
    numbers = [int(name.lstrip("abcdefghijklmnopqrstuvwxyz")) for name in names]
    Address.objects.bulk_create(
        Address(network=network, allocation=row, address=f"10.11.{third + number // 250}.{number % 250 + 1}")
        for row, number in zip(rows, numbers, strict=True)
    )
    return [row.pk for row in rows]


def _broker(ends: ExitStack) -> None:
    from django.conf import settings

    from netadmin import embedded_broker
    from netadmin.environment import kept_secret
    from netadmin.processes import Children
    from nodes import brokeraccess, tokens

    environment = settings.ENVIRONMENT
    secret = kept_secret(embedded_broker.secret_path(environment))
    argv = embedded_broker.prepare(environment, brokeraccess.access_list(tokens.hashed(secret)))
    ends.enter_context(Children(environment.data_dir)).start("broker", argv)
    until(lambda: embedded_broker.answers(environment), what="the broker answers", within=60)


def _pdns(ends: ExitStack, server: NameServer, directory: Path, config: str, port: int) -> None:
    """One more PowerDNS, on another port."""
    directory.mkdir()
    (directory / "pdns.conf").write_text(f"{config}local-port={port}\nsocket-dir={directory}\n")
    argv = ["pdns_server", f"--config-dir={directory}", "--daemon=no", "--guardian=no", "--disable-syslog"]
    process = server.namespace.popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ends.callback(process.wait)
    ends.callback(process.kill)
    asked = ["dig", "@127.0.0.1", "-p", str(port), "+short", "+tries=1", "s1.root.svc.cluster1"]
    until(lambda: server.namespace.call(asked).stdout.strip(), what=f"port {port} answers", within=30)


def _zone_file(directory: Path) -> Path:
    """The cluster's zone for the bind backend: the bind configuration that names it."""
    from networks.dns import loaded, masterfile
    from networks.dns.zones import Zones

    zone, config = directory / "cluster1.zone", directory / "named.conf"
    zone.write_text("\n".join(masterfile.lines(Zones(loaded.facts()), ["cluster1."])) + "\n")
    config.write_text(f'zone "cluster1" {{ type master; file "{zone}"; }};\n')
    return config


def _questions(directory: Path) -> Path:
    kinds = ["{} A"] * 6 + ["{} AAAA"] * 2 + ["_80._tcp.{} SRV", "nobody.{} A"]
    lines = [
        random.choice(kinds).format(f"s{random.randrange(SERVICES)}.root.svc.cluster1") for _ in range(20_000)
    ]
    path = directory / "questions"
    path.write_text("\n".join(lines) + "\n")
    return path


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
