"""``manage.py net ip``: who holds addresses, keeping some, and those whose holder is gone."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import QuerySet
from rest_framework.utils.encoders import JSONEncoder

from netadmin.commandline import by, seconds, table
from networks import holders, leaks, reservations, wishes
from networks.leaks import Found
from networks.lookups import the_network, the_node
from networks.models import Address, State
from networks.wishes import Wish
from nodes import questions
from nodes.models import Node

HEADER = ("address", "network", "node", "holder", "state", "since", "why")
CONTAINER = 12
NOBODY_KNOWS = 1
PATIENCE = seconds(questions.LONGEST_WAIT, least=0.01)
"""How long nodes may take to answer."""


class IpVerbs:
    """The verbs below ``net ip``."""

    def __init__(self, command: BaseCommand) -> None:
        self._command = command

    def add(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(title="what to do", metavar="VERB", required=True)
        ls = verbs.add_parser("ls", help="List who holds which address.")
        ls.add_argument("--network", metavar="N")
        ls.add_argument("--node", metavar="N")
        ls.add_argument("--state", choices=State.values)
        ls.add_argument("--json", action="store_true")
        ls.set_defaults(run=self.ls, names=ls)
        check = verbs.add_parser(
            "check", help="Ask the nodes which leases are of containers that are gone, and would be freed."
        )
        check.add_argument("--network", metavar="N", help="Only the nodes that are to have it.")
        check.add_argument("--node", metavar="N", help="Only this one.")
        check.add_argument("--release", action="store_true", help="Free them at once, on the same proof.")
        check.add_argument("--wait", type=PATIENCE, default=questions.WITHIN, metavar="SECONDS")
        check.set_defaults(run=self.check, names=check)
        reserve = verbs.add_parser("reserve", help="Keep addresses for what is not started through here.")
        reserve.add_argument("network")
        reserve.add_argument("addresses", nargs="*", metavar="ADDRESS", help="Default: any.")
        reserve.add_argument("--count", type=int, help="How many, when none is named. Default: 1.")
        reserve.add_argument("--node", default="", metavar="N", help="In the part of this node.")
        reserve.add_argument("--family", type=int, default=0, choices=(4, 6))
        for text in ("service", "hostname", "comment"):
            reserve.add_argument(f"--{text}", default="")
        reserve.set_defaults(run=self.reserve, names=reserve)
        release = verbs.add_parser("release", help="Give reservations back.")
        release.add_argument("network")
        release.add_argument("addresses", nargs="+", metavar="ADDRESS")
        release.add_argument("--node", default="", metavar="N", help="Of a network that is not routed.")
        release.set_defaults(run=self.release, names=release)

    def ls(self, network: str | None, node: str | None, state: str | None, json: bool) -> None:
        rows = [_entry(row) for row in _chosen(network, node, state)]
        if json:
            self._write_json(rows)
            return
        lines = [[_cell(row, name) for name in HEADER] for row in rows]
        self._command.stdout.write(table([HEADER, *lines]))

    def check(self, network: str | None, node: str | None, release: bool, wait: float) -> None:
        asked = list(_asked(network, node))
        if not asked:
            raise CommandError("There is no node to ask. Add one: manage.py node add NAME")
        operation = leaks.ask(asked, release=release, by=by(), within=wait)
        questions.wait(operation, wait + 1)
        found = leaks.found(operation)
        self._command.stdout.write("\n".join(map(_sentence, found)))
        lines = [
            [one.node, lease.network, lease.address, lease.container[:CONTAINER] or "-",
             lease.interface or "-", datetime.fromtimestamp(lease.since, UTC).isoformat(" ", "seconds"),
             "freed" if lease.freed else "would be freed"]
            for one in found
            for lease in one.leases
        ]  # fmt: skip
        for row in _declined(asked, network):
            self._command.stdout.write(_why_declined(row))
        if lines:
            head = ["node", "network", "address", "container", "interface", "since", "what"]
            self._command.stdout.write("\n" + table([head, *lines]))
        if any(one.state != "answered" for one in found):
            sys.exit(NOBODY_KNOWS)

    def reserve(
        self, network: str, addresses: list[str], count: int | None, node: str, family: int, **said: str
    ) -> None:
        one = Wish(node=node, family=family, count=1 if count is None else count, **said)
        named = [replace(one, address=wishes.address(text)) for text in addresses]
        for kept in reservations.reserve(network, named or [one], by=by()):
            where = f" on {kept.chosen.node.name}" if kept.chosen.node else ""
            self._command.stdout.write(f"{kept.address}{where}")

    def release(self, network: str, addresses: list[str], node: str) -> None:
        named = [wishes.address(text) for text in addresses]
        reservations.release_addresses(network, named, node=node, by=by())
        self._command.stdout.write(f"released {', '.join(map(str, named))}")

    def _write_json(self, value: Any) -> None:
        self._command.stdout.write(json.dumps(value, indent=2, cls=JSONEncoder))


def _chosen(network: str | None, node: str | None, state: str | None) -> "QuerySet[Address]":
    rows = Address.objects.select_related("network", "allocation__node").defer("network__peers_body")
    if network is not None:
        rows = rows.filter(network=the_network(network))
    if node is not None:
        rows = rows.filter(allocation__node=the_node(node))
    return rows if state is None else rows.filter(allocation__state=state)


def _asked(network: str | None, node: str | None) -> "QuerySet[Node]":
    nodes = Node.objects.all() if network is None else the_network(network).scope()
    return nodes if node is None else nodes.filter(pk=the_node(node).pk)


def _declined(nodes: Sequence[Node], network: str | None) -> "QuerySet[Address]":
    """Reservations whose address somebody else has, of these nodes."""
    return _chosen(network, None, State.RESERVED).filter(
        allocation__healthy=False, allocation__node__in=[node.pk for node in nodes]
    )


def _why_declined(row: Address) -> str:
    held = row.allocation
    return f"{row.address} of {row.network.name}, {holders.purpose(held)}: {held.why}. {held.remedy}"


def _entry(row: Address) -> dict[str, Any]:
    held = row.allocation
    container = f"{held.container[:CONTAINER]} {held.interface}".strip()
    service = f"{held.service} {held.resource}".strip()
    return {
        "address": str(row.address),
        "network": row.network.name,
        "node": held.node.name if held.node else None,
        "holder": service or (container if held.learnt == "store" else held.hostname or held.comment),
        "state": held.state,
        "since": held.since.isoformat(" ", "seconds"),
        "standing": held.standing,
        "why": held.why,
        "remedy": held.remedy,
    }


def _cell(entry: dict[str, Any], name: str) -> str:
    if name == "why":
        return ". ".join(filter(None, (entry["why"], entry["remedy"]))) or "-"
    return str(entry["standing" if name == "state" else name] or "-")


def _sentence(found: Found) -> str:
    if found.state != "answered":
        return f"{found.node}: {found.state}{f', {found.why}' if found.why else ''}"
    return f"{found.node}: {len(found.leases)} of {found.looked} leases are of containers that are gone"
