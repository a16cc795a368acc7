"""``manage.py net``: the networks as an operator looks at them."""

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from textwrap import indent
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db.models import QuerySet
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from rest_framework.utils.encoders import JSONEncoder

from netadmin.commandline import Verb, Verbs, by, table
from networks import (
    configuration,
    convergence,
    declare,
    explaining,
    explanation,
    foreign,
    fullness,
    pairs,
    planned,
    planning,
    troubles,
)
from networks.convergence import NetworkState
from networks.foreign import ForeignNetwork
from networks.lookups import the_network
from networks.management import explained, plantext
from networks.management.ip import PATIENCE, IpVerbs
from networks.management.tree import Branch, draw
from networks.models import Address, Network
from networks.representation import represent
from nodes import questions, wakeup
from nodes.models import Cluster
from nodes.probes import COUNTS

COLUMNS = ("name", "type", "network", "size", "used", "free", "pct", "leases", "nodes", "probes", "status")
ADDRESS_COLUMNS = ("ip", "node", "service", "resource")
SEGMENT_COLUMNS = ["node", "subnet", "address", "addr", "gateway"]
LARGEST_MATRIX = 12
"""Nodes of a network up to which every pair is printed."""
NOBODY_KNOWS, SOMETHING_TO_DO = 1, 2
"""Exit status of a plan."""
PLAN_EXAMPLES = """examples:
  manage.py net plan --kw network#backend1.type=routed_bridge --kw network#backend1.network=10.11.0.0/16
  manage.py net plan backend1 --withdraw
  manage.py net plan backend1                 what its nodes would repair now"""
CONTAINER = 12
"""Characters of a container id that are shown, as Docker does."""


class Command(Verbs):
    help = "Networks: list, look at, withdraw, set up again. They are declared with manage.py cluster set."

    def add_verbs(self, verb: Verb) -> None:
        verb("ls", self.ls, "List the names of the networks.")
        status = verb(
            "status",
            self.status,
            "Show usage and convergence: used counts the addresses that resources of services report, leases "
            "those that the nodes' stores handed out, nodes how many have the network as declared and reach "
            "all others, of all that are to have it, probes how many pairs of nodes exchange full packets. "
            "What somebody should look at is below the table.",
            "example: manage.py net status --verbose --name backend1",
        )
        status.add_argument(
            "--verbose", action="store_true", help="Also the addresses, and what crosses between which nodes."
        )
        _add_name(status)
        _add_format(status, "table")
        show = verb("show", self.show, "Show what is declared and what follows from it.")
        _add_name(show)
        _add_format(show, "text")
        plan = verb(
            "plan",
            self.plan,
            "Ask the nodes what they would do for a draft, and change nothing: for keywords as cluster set "
            "takes them, for named networks that are withdrawn, or for what is declared now. "
            "Exit status: 0 nothing to do, 2 something to do, 1 refused or nobody knows.",
            PLAN_EXAMPLES,
        )
        plan.add_argument("networks", nargs="*", metavar="NAME", help="Its nodes are asked in any case.")
        plan.add_argument("--kw", action="append", default=[], metavar="KEYWORD=VALUE")
        plan.add_argument("--withdraw", action="store_true", help="As if the named networks were withdrawn.")
        plan.add_argument("--force", action="store_true", help="Also while addresses are in use.")
        plan.add_argument(
            "--wait", type=PATIENCE, default=questions.WITHIN, metavar="SECONDS", help="Default %(default)g."
        )
        _add_format(plan, "text")
        remove = verb("rm", self.rm, "Withdraw a network from every node.")
        remove.add_argument("name")
        remove.add_argument("--force", action="store_true", help="Also while addresses are in use.")
        explain = verb(
            "explain",
            self.explain,
            "Show the way of a packet between two addresses, there and back, as declared and as the nodes' "
            "kernels have it, and try it with a few echoes. Nothing is changed.",
            "example: manage.py net explain 10.11.0.7 n2 --network backend1",
        )
        for end in ("source", "destination"):
            explain.add_argument(
                end, help="An address, ADDRESS@NODE, or the name of a node, service, container or host."
            )
        explain.add_argument("--network", default="", help="In which a node's name means its bridge.")
        explain.add_argument(
            "--wait",
            type=PATIENCE,
            default=questions.WITHIN,
            help="Seconds for the answers. Default %(default)g.",
        )
        _add_format(explain, "table")
        ip = verb("ip", None, "Addresses: who holds which, keeping some, and those whose holder is gone.")
        IpVerbs(self).add(ip)
        setup = verb("setup", self.setup, "Make the nodes look now, in place of at the next look.")
        _add_name(setup)

    def ls(self) -> None:
        names = [*Network.objects.values_list("name", flat=True), *(one.name for one in foreign.listed())]
        for name in sorted(names):
            self.stdout.write(name)

    def status(self, verbose: bool, name: str | None, format: str) -> None:
        states = convergence.network_states(_chosen(name))
        addresses = _addresses(states) if verbose else {}
        others = foreign.listed() if name is None else []
        if format == "json":
            shown = _status_json(states, addresses if verbose else None)
            self._write_json([*shown, *map(_foreign_json, others)])
            return
        branches = [_network_branch(state, addresses.get(state.network.pk, ())) for state in states]
        branches += map(_foreign_branch, others)
        self.stdout.write(draw(COLUMNS, sorted(branches, key=lambda branch: branch.cells[0])))
        for title, drawn in _matrices(states) if verbose else ():
            self.stdout.write(f"\n{title}\n{drawn}")
        if problems := _problems(states, name):
            self.stdout.write("\nproblems\n" + table(problems))

    def show(self, name: str | None, format: str) -> None:
        shown = represent(_chosen(name))
        if format == "json":
            self._write_json(shown)
            return
        self.stdout.write("\n\n".join(map(_shown, shown)))

    def plan(
        self, networks: list[str], kw: list[str], withdraw: bool, force: bool, wait: float, format: str
    ) -> None:
        if withdraw and not networks:
            raise CommandError("--withdraw: names no network. Give one, like: net plan backend1 --withdraw")
        if not (networks or kw):
            raise CommandError("There is nothing to plan. Give --kw KEYWORD=VALUE, or the NAME of a network")
        drafted = configuration.networks_of(kw)
        names = [name if name in drafted else the_network(name).name for name in networks]
        operation = planning.ask(
            lambda: _carry_out(kw, names if withdraw else [], force),
            dict.fromkeys([*names, *drafted]),
            {"kw": kw, "withdraw": names if withdraw else [], "force": force},
            by=by(),
            within=wait,
        )
        questions.wait(operation, wait)
        found = planned.result(operation)
        if format == "json":
            self._write_json(planned.represent(operation))
        else:
            self.stdout.write(plantext.text(found, operation.subject))
        if found.changing or found.unknown:
            sys.exit(SOMETHING_TO_DO if found.changing else NOBODY_KNOWS)

    def rm(self, name: str, force: bool) -> None:
        declare.withdraw(name, by=by(), force=force)
        self.stdout.write(f"withdrew {name}")

    def explain(self, source: str, destination: str, network: str, wait: float, format: str) -> None:
        operation = explaining.ask(source, destination, network, by=by(), outside=True, within=wait)
        questions.wait(operation, wait)
        if format == "json":
            self._write_json(explanation.represent(operation))
            return
        self.stdout.write(explained.text(explanation.result(operation)))

    def setup(self, name: str | None) -> None:
        states = convergence.network_states(_chosen(name))
        names = list(dict.fromkeys(member.node.name for state in states for member in state.nodes))
        if not names:
            raise CommandError("No node is to have it. Add one: manage.py node add NAME")
        try:
            wakeup.wake_up(names)
        except (OperationalError, RedisError, OSError) as error:
            remedy = f"The nodes look by themselves every {Cluster.current().look_interval} s"
            raise CommandError(f"broker: {str(error).rstrip('.')}. {remedy}") from error
        self.stdout.write(f"woke {', '.join(names)}")

    def _write_json(self, value: Any) -> None:
        self.stdout.write(json.dumps(value, indent=2, cls=JSONEncoder))


def _carry_out(keywords: list[str], withdrawn: list[str], force: bool) -> None:
    """What goes first makes room."""
    for name in withdrawn:
        declare.withdraw(name, by=by(), force=force)
    if keywords:
        configuration.set_for_cluster(keywords, by=by(), force=force)


def _add_name(parser: CommandParser) -> None:
    parser.add_argument("--name", metavar="N", help="Only this network.")


def _add_format(parser: CommandParser, plain: str) -> None:
    parser.add_argument("--format", choices=(plain, "json"), default=plain, help="Default %(default)s.")


def _chosen(name: str | None) -> "QuerySet[Network]":
    """All networks by name, or the one. Raises Missing."""
    networks = Network.objects.defer("peers_body")
    return networks if name is None else networks.filter(pk=the_network(name).pk)


# -- status


def _addresses(states: Iterable[NetworkState]) -> dict[int, list[Address]]:
    """By network; addresses sorted as text."""
    rows = Address.objects.filter(network__in=[state.network.pk for state in states])
    found = defaultdict(list)
    for row in sorted(rows.select_related("allocation__node"), key=_as_text):
        found[row.network_id].append(row)
    return found


def _as_text(row: Address) -> tuple[str, str, int]:
    node = row.allocation.node
    return str(row.address), node.name if node else "", row.pk


def _network_branch(state: NetworkState, addresses: Iterable[Address]) -> Branch:
    network = state.network
    cells = (
        network.name,
        network.type,
        network.network or "none",
        str(network.size),
        str(state.used),
        str(state.free),
        state.percent,
        str(state.leases),
        f"{state.converged}/{len(state.nodes)}",
        f"{state.probes['up']}/{state.probes['peers']}" if state.probes["peers"] else "-",
        state.status,
    )
    rows = [Branch(_address_cells(row)) for row in addresses]
    return Branch(cells, [Branch(ADDRESS_COLUMNS, rows)] if rows else ())


def _foreign_branch(one: ForeignNetwork) -> Branch:
    """As the reference lists what nobody declared."""
    size, undefined = str(foreign.SIZE), foreign.UNDEFINED
    nodes = str(len(one.nodes))
    return Branch((one.name, undefined, undefined, size, "0", size, "0.00%", "-", nodes, "-", "foreign"))


def _foreign_json(one: ForeignNetwork) -> dict[str, Any]:
    size = str(foreign.SIZE)
    counted = {"used": 0, "free": size, "pct": "0.00%"}
    return {
        "name": one.name,
        "type": foreign.UNDEFINED,
        "network": foreign.UNDEFINED,
        "size": size,
        **counted,
        "files": [{"node": node, "path": path} for node, path in one.files],
        "status": "foreign",
    }


def _address_cells(row: Address) -> tuple[str, ...]:
    """A lease names its container where a service names its resource."""
    held = row.allocation
    holder = held.resource or f"{held.container[:CONTAINER]} {held.interface}".strip() or held.state
    return (str(row.address), held.node.name if held.node else "-", held.service or "-", holder)


def _matrices(states: Iterable[NetworkState]) -> Iterator[tuple[str, str]]:
    """Title and table of what crosses between the nodes of each network that has not too many."""
    for state in states:
        nodes = [member.node for member in state.nodes]
        if not state.probes["peers"]:
            continue
        title = f"probes of {state.network.name}"
        if len(nodes) > LARGEST_MATRIX:
            yield title, f"{len(nodes)} nodes are too many for a table; those that fail are below"
            continue
        made = pairs.matrix(nodes, pairs.of_network(state.network, nodes))
        rows = [["from \\ to", *made.names]]
        rows += [[source, *map(_cell_text, cells)] for source, cells in made.rows]
        yield title, table(rows)


def _cell_text(cell: pairs.Cell | None) -> str:
    if cell is None:
        return "-"
    worst = cell.worst
    if worst is None:
        return "?"
    texts = {"up": f"{worst.rtt:.3f} ms", "mtu": f"mtu {worst.largest}", "pending": "pending"}
    return texts.get(worst.state, f"DOWN {worst.code}")


def _problems(states: Iterable[NetworkState], name: str | None) -> list[tuple[str, str, str]]:
    """(node, network, sentence) of what somebody should look at."""
    members = {member.node.name: member for state in states for member in state.nodes}
    full = [part for part in fullness.wherever_addresses_are() if name in (None, part.network.name)]
    found = (
        *troubles.of_nodes(members.values(), name),
        *troubles.of_pairs(list(members.values()), name),
        *troubles.of_parts(full),
        *troubles.of_services(name),
    )
    return [(trouble.node.name, trouble.network or "-", _sentence(trouble)) for trouble in found]


def _sentence(trouble: troubles.Trouble) -> str:
    return f"{'warning: ' if trouble.warning else ''}{trouble.sentence}. {trouble.remedy}"


def _status_json(
    states: Iterable[NetworkState], addresses: dict[int, list[Address]] | None
) -> list[dict[str, Any]]:
    """Names and forms as in the REST API; sizes are texts, as those of IPv6 exceed 64 bits."""
    shown = []
    for state in states:
        network = state.network
        entry: dict[str, Any] = {
            "name": network.name,
            "type": network.type,
            "network": network.network,
            "effective_mtu": network.effective_mtu,
            "size": str(network.size),
            "used": state.used,
            "free": str(state.free),
            "pct": state.percent,
            "leases": state.leases,
            "convergence": {"nodes": len(state.nodes), "converged": state.converged},
            "status": state.status,
            "probes": {name: state.probes[name] for name in COUNTS},
            "problems": [
                {"node": member.node.name, **finding}
                for member in state.nodes
                for finding in (*member.findings_of(network.name), *member.failures_of(network.name))
            ],
        }
        if addresses is not None:
            entry["allocations"] = [_address_json(row) for row in addresses.get(network.pk, ())]
            entry["pairs"] = [
                asdict(pair) for pair in pairs.of_network(network, [member.node for member in state.nodes])
            ]
        shown.append(entry)
    return shown


def _address_json(row: Address) -> dict[str, Any]:
    held = row.allocation
    return {
        "address": str(row.address),
        "node": held.node.name if held.node else None,
        "service": held.service,
        "resource": held.resource,
        "container": held.container,
        "interface": held.interface,
        "state": held.state,
        "learnt": held.learnt,
    }


# -- show


def _shown(network: dict[str, Any]) -> str:
    """A network as lines: what is declared, then the segments."""
    everywhere = {"nodes": "every node"} if network["nodes"] is None else {}
    lines = [
        (name, _text(value))
        for name, value in {**network, **everywhere}.items()
        if name not in ("segments", "per_node", "template")
    ]
    text = table(lines)
    if template := network["template"]:
        text += "\ntemplate\n" + indent(template, "  ")
    if segments := network["segments"]:
        rows = [SEGMENT_COLUMNS]
        rows += [[segment[column] or "-" for column in SEGMENT_COLUMNS] for segment in segments]
        text += "\nsegments\n" + "\n".join(f"  {line}" for line in table(rows).splitlines())
    return text


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return " ".join(map(str, value)) or "-"
    if isinstance(value, dict):
        return ", ".join(f"{name} {item}" for name, item in value.items())
    return "-" if value in ("", None) else str(value)
