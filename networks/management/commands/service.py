"""``manage.py service``: addresses of services."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db.models import QuerySet

from netadmin.commandline import Verb, Verbs, by, seconds, table
from netadmin.problems import Fault, Missing, Problem
from networks import allocations, attaching, resources, services
from networks.fullness import Reasons
from networks.lookups import the_network, the_node
from networks.models import Allocation, State
from networks.resources import DEFAULTS, LONGEST_WAIT, Ask

ASKED: dict[str, tuple[str, str]] = {
    "network": ("N", "Default: default."),
    "netns": (
        "CONTAINER",
        "container#NAME, docker:NAME, podman:NAME, lxc:NAME, a process id, a path or the name of a "
        "namespace; empty: a namespace of the service's own is made.",
    ),
    "interface": ("NAME", "In the container. Default: eth12, or the next that is not taken."),
    "wanted": ("ADDRESS", "Fixed addresses, at most one per family. Default: any that is free."),
    "expose": ("PORT/PROTOCOL[:HOSTPORT]", "Like 443/tcp:8443; several with blanks between."),
    "hostname": ("NAME", "Its name in the DNS, below that of the service."),
    "dns_name_suffix": ("SUFFIX", "Appended to the host name in the DNS."),
    "wait_dns": (
        "S",
        "Seconds for which --wait, once it is attached, goes on until every DNS server has its names. "
        "Without --wait nothing is waited for.",
    ),
    "comment": ("TEXT", "What it is for."),
}
"""What can be asked for of a resource: what stands for its value, and help."""
ATTACHING = (
    "Seconds to wait until it is attached or could not be, and within them, as long as wait_dns says, "
    "until its names are served."
)
HEADER = ["service", "resource", "node", "network", "addresses", "ports", "state", "why"]


class Command(Verbs):
    help = "Services: the addresses that their ip resources have, and their configuration applied."

    def add_verbs(self, verb: Verb) -> None:
        request = verb(
            "request",
            self.request,
            "Ask for an address of a network for an ip resource of a service on a node. What was asked for "
            "before is answered as it is, in other words it is refused with what differs: change it then.",
            "example: manage.py service request prod/svc/web ip#0 --node n1 --network backend1 "
            "--netns docker:web --expose 443/tcp:8443 --wait 10",
        )
        change = verb(
            "change",
            self.change,
            "Change what is given of an ip resource and keep the rest; service, resource and node stay. "
            "Its node detaches it and attaches it again if that is needed. --expose and --wanted without "
            "a value take back what they said, as '' does for texts.",
            "example: manage.py service change prod/svc/web ip#0 --node n1 --expose 443/tcp:8443 80/tcp",
        )
        for parser in (request, change):
            parser.add_argument("service", help="NAMESPACE/svc/NAME, or NAME of the namespace root.")
            parser.add_argument("resource", help="For instance ip#0.")
            parser.add_argument(
                "--node", required=True, metavar="N", help="Where the service's container is."
            )
            _add_asked(parser)
            _add_wait(parser, ATTACHING)
        apply = verb(
            "apply",
            self.apply,
            "Make what a service has on a node what its configuration asks for: ip resources of type cni "
            "are attached, changed, or released when they are not in it any more. Others are passed over.",
            "example: manage.py service apply web.conf --node n1 --service prod/svc/web --wait 10",
        )
        apply.add_argument("file", help="The configuration, - for standard input.")
        apply.add_argument("--node", required=True, metavar="N", help="Where the service's containers are.")
        apply.add_argument(
            "--service", metavar="PATH", help="NAMESPACE/svc/NAME or NAME. Default: the name of the file."
        )
        _add_wait(apply, ATTACHING)
        ls = verb("ls", self.ls, "List the ip resources of services.")
        ls.add_argument("--service", metavar="PATH", help="Only of this service.")
        ls.add_argument("--node", metavar="N", help="Only on this node.")
        ls.add_argument("--network", metavar="N", help="Only of this network.")
        ls.add_argument("--standing", choices=Allocation.STANDINGS, help="Only those that stand so.")
        ls.add_argument("--format", choices=("table", "json"), default="table")
        release = verb(
            "release",
            self.release,
            "Take an ip resource back, or all of a service. Its address is free when its node has let go.",
            "example: manage.py service release prod/svc/web ip#0 --node n1 --wait 10",
        )
        release.add_argument("service")
        release.add_argument("resource", nargs="?", help="Only this one, like ip#0.")
        release.add_argument("--node", metavar="N", help="Only on this node.")
        release.add_argument(
            "--force", action="store_true", help="The node is dead: its addresses are free at once."
        )
        _add_wait(release, "Seconds to wait until its node has let go.")

    def request(self, service: str, resource: str, node: str, wait: float, **given: Any) -> None:
        row, _ = allocations.request(Ask(service, resource, node, _given(given)), by=by())
        self._answer(row, wait)

    def change(self, service: str, resource: str, node: str, wait: float, **given: Any) -> None:
        [row] = _found(service, node, resource)
        self._answer(allocations.change(row.pk, _given(given), by=by()), wait)

    def apply(self, file: str, node: str, service: str | None, wait: float) -> None:
        path = resources.path(service or Path(file).stem)
        applied = services.apply(_text(file), service=path, node=node, by=by())
        for sentence in applied.passed_over:
            self.stderr.write(f"passed over {sentence}")
        words = {row.pk: word for row, word in applied.resources}
        rows = attaching.wait(list(words), wait)
        self._write(rows)
        if not rows:
            self.stdout.write(f"{path} asks for no address on {node}, and has none")
        if wait and not all(attaching.is_done(row) for row in rows if row.state != State.RELEASING):
            raise CommandError(f"not all of {path} is attached after {wait:g} s")

    def ls(
        self, service: str | None, node: str | None, network: str | None, standing: str | None, format: str
    ) -> None:
        rows = _rows(service, node)
        if network is not None:
            rows = rows.filter(network=the_network(network))
        if standing is not None:
            rows = rows.filter(Allocation.STANDINGS[standing])
        if format == "table":
            return self.stdout.write(table([HEADER, *_lines(rows)]))
        reasons = Reasons()
        return self.stdout.write(json.dumps([_json(row, reasons) for row in rows], indent=2))

    def release(self, service: str, node: str | None, resource: str | None, force: bool, wait: float) -> None:
        rows = _found(service, node, resource)
        for row in rows:
            allocations.release(row.pk, by=by(), force=force)
        left = attaching.wait_for_end([row.pk for row in rows], wait)
        for row in rows:
            if row.pk not in {one.pk for one in left}:
                self.stdout.write(f"released {row.service} {row.resource} on {row.node}")
        self._write(left)
        if wait and left:
            raise CommandError(f"{len(left)} of {len(rows)} are not detached after {wait:g} s")

    def _answer(self, row: Allocation, wait: float) -> None:
        [found] = attaching.wait([row.pk], wait) or [row]
        self._write([found])
        if wait and not attaching.is_done(found):
            how = f"is not attached after {wait:g} s"
            if attaching.is_over(found):
                how = f"could not be attached: {Reasons().of(found)}"
            raise CommandError(f"{row.service} {row.resource} {how}")

    def _write(self, rows: Iterable[Allocation]) -> None:
        if lines := _lines(rows):
            self.stdout.write(table([HEADER, *lines]))


def _add_asked(parser: CommandParser) -> None:
    for name, usual in DEFAULTS.items():
        metavar, help = ASKED[name]
        options = dict.fromkeys((f"--{name.replace('_', '-')}", f"--{name}"))
        several: dict[str, Any] = {"nargs": "*", "action": "extend"} if isinstance(usual, list) else {}
        read = seconds(LONGEST_WAIT) if isinstance(usual, float) else str
        parser.add_argument(*options, dest=name, type=read, metavar=metavar, help=help, **several)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _add_wait(parser: CommandParser, help: str) -> None:
    parser.add_argument("--wait", type=seconds(LONGEST_WAIT), default=0, metavar="S", help=help)


def _text(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(Fault("file", file, f"cannot be read ({error})", "Name a text file")) from error


def _rows(service: str | None, node: str | None) -> "QuerySet[Allocation]":
    rows = services.asked_for()
    if service:
        rows = rows.filter(service=resources.path(service))
    return rows if node is None else rows.filter(node=the_node(node))


def _found(service: str, node: str | None, resource: str | None) -> list[Allocation]:
    """Raises Missing when there is none."""
    services.find(service)
    of_it = list(_rows(service, node))
    rows = [row for row in of_it if resource in (None, row.resource)]
    if not rows:
        where = f"{service} on {node}" if node else service
        names = ", ".join(f"{row.resource} on {row.node}" for row in of_it) or "none"
        raise Missing(Fault("resource", resource or "", f"is no resource of {where}", f"It has {names}"))
    return rows


def _lines(rows: Iterable[Allocation]) -> list[list[str]]:
    reasons = Reasons()
    return [_cells(row, reasons) for row in rows]


def _cells(row: Allocation, reasons: Reasons) -> list[str]:
    return [
        row.service,
        row.resource,
        row.node.name if row.node else "-",
        row.network.name,
        " ".join(_addresses(row)) or "-",
        " ".join(row.expose) or "-",
        row.standing,
        ". ".join(filter(None, (reasons.of(row), row.remedy))),
    ]


def _addresses(row: Allocation) -> list[str]:
    return [str(held.address) for held in row.addresses.all()]


def _json(row: Allocation, reasons: Reasons) -> dict[str, Any]:
    return {
        "service": row.service,
        **resources.describe(row),
        "addresses": _addresses(row),
        "state": row.state,
        "healthy": row.healthy,
        "standing": row.standing,
        "why": reasons.of(row),
        "remedy": row.remedy,
    }
