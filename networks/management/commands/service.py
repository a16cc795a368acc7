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
from networks.lookups import the_network, the_node
from networks.models import Allocation, State

LONGEST_WAIT = 3600.0
"""Seconds."""
HEADER = ["service", "resource", "node", "network", "addresses", "ports", "state", "why"]


class Command(Verbs):
    help = "Services: the addresses that their ip resources have, and their configuration applied."

    def add_verbs(self, verb: Verb) -> None:
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
        _add_wait(apply)
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
            "example: manage.py service release prod/svc/web --node n1 --resource ip#0 --wait 10",
        )
        release.add_argument("service")
        release.add_argument("--node", metavar="N", help="Only on this node.")
        release.add_argument("--resource", metavar="ID", help="Only this one, like ip#0.")
        release.add_argument(
            "--force", action="store_true", help="The node is dead: its addresses are free at once."
        )
        _add_wait(release)

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
            return self.stdout.write(table([HEADER, *map(_cells, rows)]))
        return self.stdout.write(json.dumps([_json(row) for row in rows], indent=2))

    def release(self, service: str, node: str | None, resource: str | None, force: bool, wait: float) -> None:
        rows = _released(service, node, resource)
        for row in rows:
            allocations.release(row.pk, by=by(), force=force)
        left = attaching.wait_for_end([row.pk for row in rows], wait)
        for row in rows:
            if row.pk not in {one.pk for one in left}:
                self.stdout.write(f"released {row.service} {row.resource} on {row.node}")
        self._write(left)
        if wait and left:
            raise CommandError(f"{len(left)} of {len(rows)} are not detached after {wait:g} s")

    def _write(self, rows: Iterable[Allocation]) -> None:
        if lines := [_cells(row) for row in rows]:
            self.stdout.write(table([HEADER, *lines]))


def _add_wait(parser: CommandParser) -> None:
    parser.add_argument(
        "--wait",
        type=seconds(LONGEST_WAIT),
        default=0,
        metavar="S",
        help="Seconds to wait for what the node does.",
    )


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


def _released(service: str, node: str | None, resource: str | None) -> list[Allocation]:
    """Raises Missing when there is none."""
    services.find(service)
    of_it = list(_rows(service, node))
    rows = [row for row in of_it if resource in (None, row.resource)]
    if not rows:
        where = f"{service} on {node}" if node else service
        names = ", ".join(f"{row.resource} on {row.node}" for row in of_it) or "none"
        raise Missing(Fault("resource", resource or "", f"is no resource of {where}", f"It has {names}"))
    return rows


def _cells(row: Allocation) -> list[str]:
    return [
        row.service,
        row.resource,
        row.node.name if row.node else "-",
        row.network.name,
        " ".join(_addresses(row)) or "-",
        " ".join(row.expose) or "-",
        row.standing,
        ". ".join(filter(None, (row.why, row.remedy))),
    ]


def _addresses(row: Allocation) -> list[str]:
    return [str(held.address) for held in row.addresses.all()]


def _json(row: Allocation) -> dict[str, Any]:
    return {
        "service": row.service,
        **allocations.describe(row),
        "addresses": _addresses(row),
        "state": row.state,
        "healthy": row.healthy,
        "standing": row.standing,
        "why": row.why,
        "remedy": row.remedy,
    }
