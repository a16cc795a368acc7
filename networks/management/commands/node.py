"""``manage.py node``: the members of the cluster."""

from typing import Any

from django.conf import settings

from netadmin.commandline import Verb, Verbs, by, table
from networks import configuration, convergence, membership
from networks.convergence import NodeState
from networks.lookups import the_node
from networks.management import assignments
from networks.models import Segment
from nodes import tokens, worker_conf
from nodes.models import Node
from workers.report import Finding


class Command(Verbs):
    help = "Nodes: the members of the cluster, their tokens and what is particular to one of them."

    def add_verbs(self, verb: Verb) -> None:
        add = verb(
            "add",
            self.add,
            "Add a node to the cluster.",
            "example: manage.py node add n1 --address 192.0.2.1 && manage.py node token n1",
        )
        add.add_argument("name")
        add.add_argument(
            "--address",
            action="append",
            default=[],
            metavar="A",
            help="Its underlay address; may be given several times. Without one, its name is looked up.",
        )
        remove = verb("rm", self.rm, "Remove a node; its peers drop its routes.")
        remove.add_argument("name")
        remove.add_argument("--force", action="store_true", help="Also while addresses are in use on it.")
        again = verb("retry", self.retry, "Let a node try again what it rolled back.")
        again.add_argument("name")
        verb("ls", self.ls, "List the nodes in cluster order.")
        show = verb("show", self.show, "Show a node: segments, interfaces, last plan, problems.")
        show.add_argument("name")
        token = verb(
            "token",
            self.token,
            "Make the node's token, in place of the one it had, and print its worker.conf. "
            "The token is shown once: only its hash is kept.",
            "example: manage.py node token n1 | ssh n1 'umask 077; cat > /etc/netadmin/worker.conf'",
        )
        token.add_argument("name")
        token.add_argument(
            "--url",
            default=worker_conf.likely_url(),
            help="The control plane as the node reaches it. Default %(default)s.",
        )

        assign = verb(
            "set",
            self.set,
            "Set keywords for one node; several --kw are one transaction. A network that is not declared "
            "becomes one of this node only; the node joins one that is limited to named nodes; of one that "
            "is on every node only network (bridge), subnet, addr and gateway may be given.",
            "example: manage.py node set --node n1 --kw network#local1.type=bridge "
            "--kw network#local1.network=10.10.10.0/24",
        )
        assign.add_argument("--node", required=True, metavar="N")
        assign.add_argument("--kw", action="append", required=True, metavar="KEYWORD=VALUE")
        assign.add_argument(
            "--force", action="store_true", help="Also when addresses that are in use would be taken away."
        )
        get = verb("get", self.get, "Print the values of keywords as one node has them, a line each.")
        get.add_argument("--node", required=True, metavar="N")
        get.add_argument("--kw", action="append", required=True, metavar="KEYWORD")

    def add(self, name: str, address: list[str]) -> None:
        node = membership.add(name, by=by(), addresses=address)
        self.stdout.write(f"added {node.name} at {', '.join(node.addresses)}")

    def rm(self, name: str, force: bool) -> None:
        membership.remove(the_node(name).name, by=by(), force=force)
        self.stdout.write(f"removed {name}")

    def retry(self, name: str) -> None:
        node = membership.retry(the_node(name).name, by=by())
        self.stdout.write(f"{name} tries again, as version {node.desired_version[:12]}")

    def ls(self) -> None:
        rows = [["name", "addresses", "status", "last seen"]]
        for state in convergence.node_states():
            rows.append([state.node.name, " ".join(state.node.addresses), state.status, _seen(state.node)])
        self.stdout.write(table(rows))

    def show(self, name: str) -> None:
        (state,) = convergence.node_states(Node.objects.filter(pk=the_node(name).pk))
        self.stdout.write("\n".join(_lines(state)))

    def token(self, name: str, url: str) -> None:
        node = the_node(name)
        self.stdout.write(
            worker_conf.render(
                name,
                tokens.for_node(node, by=by()),
                url=url,
                broker_url=worker_conf.broker_url(settings.ENVIRONMENT),
            )
        )

    def set(self, node: str, kw: list[str], force: bool) -> None:
        self.stdout.write(
            f"set: {', '.join(configuration.set_for_node(node, assignments.read(kw), by=by(), force=force))}"
        )

    def get(self, node: str, kw: list[str]) -> None:
        for keyword in kw:
            self.stdout.write(configuration.value(keyword, node=node))


def _seen(node: Node) -> str:
    return f"{node.last_seen:%Y-%m-%d %H:%M:%S}" if node.last_seen else "never"


def _lines(state: NodeState) -> list[str]:
    node, report = state.node, state.report
    facts = [
        ("name", node.name),
        ("addresses", " ".join(node.addresses)),
        ("status", state.status),
        ("last seen", _seen(node)),
        ("desired version", node.desired_version[:12] or "-"),
        ("applied version", node.applied_version[:12] or "-"),
        *([("refused version", state.refused[:12])] if state.refused else []),
    ]
    if report:
        facts += [
            ("kernel", str(report.capabilities.get("kernel", "-"))),
            ("routes", str(report.routes)),
        ]
    lines = table(facts).splitlines()
    segments = Segment.objects.filter(node=node).select_related("network").order_by("network__name")
    lines += _section(
        "segments",
        [[row.network.name, row.subnet or row.own_range or "-", row.addr, row.gateway] for row in segments],
    )
    if report:
        lines += _section("interfaces", [_interface(interface) for interface in report.interfaces])
        lines += _section("last plan", [[change] for change in report.last_plan])
        lines += _section("problems", [[str(Finding(**finding))] for finding in report.findings])
    return lines


def _interface(raw: dict[str, Any]) -> list[str]:
    state = "up" if raw["up"] else "down"
    ours = "ours" if raw["ours"] else ""
    return [raw["name"], raw["kind"] or "-", state, f"mtu {raw['mtu']}", " ".join(raw["addresses"]), ours]


def _section(title: str, rows: list[list[str]]) -> list[str]:
    return ["", title, *("  " + line for line in table(rows).splitlines())] if rows else []
