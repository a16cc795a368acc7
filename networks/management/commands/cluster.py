"""``manage.py cluster``: what holds for all nodes, in the reference's spelling."""

from netadmin.commandline import Verb, Verbs, by
from networks import configuration
from networks.management import assignments

EXAMPLES = """examples:
  manage.py cluster set --kw network#backend1.type=routed_bridge --kw network#backend1.network=10.11.0.0/16
  manage.py cluster set --kw network#backend1.addr@n1=192.0.2.1 --kw network#backend1.addr@n2=192.0.2.2
  manage.py cluster set --kw network#default.network=none
  manage.py cluster set --kw network#direct.type=cni --kw network#direct.network=10.13.0.0/24 \\
                        --kw network#direct.template=@direct.conflist
  manage.py cluster get --kw network#backend1.subnet@n1"""
FORCE_HELP = "Also when addresses that are in use would be taken away."


class Command(Verbs):
    help = "The cluster: networks and settings that hold for all nodes, by the keywords of the reference."
    examples = EXAMPLES

    def add_verbs(self, verb: Verb) -> None:
        assign = verb(
            "set", self.set, "Set keywords; several --kw are one transaction: all of them or none.", EXAMPLES
        )
        assign.add_argument("--kw", action="append", required=True, metavar="KEYWORD=VALUE")
        assign.add_argument("--force", action="store_true", help=FORCE_HELP)
        unset = verb("unset", self.unset, "Give keywords their defaults back, in one transaction.")
        unset.add_argument("--kw", action="append", required=True, metavar="KEYWORD")
        unset.add_argument("--force", action="store_true", help=FORCE_HELP)
        get = verb("get", self.get, "Print the values of keywords, a line each; without --kw all of them.")
        get.add_argument("--kw", action="append", default=[], metavar="KEYWORD")
        verb("print-config", self.print_config, "Print everything that is declared.")

    def set(self, kw: list[str], force: bool) -> None:
        self._changed(configuration.set_for_cluster(assignments.read(kw), by=by(), force=force))

    def unset(self, kw: list[str], force: bool) -> None:
        self._changed(configuration.unset_for_cluster(kw, by=by(), force=force))

    def get(self, kw: list[str]) -> None:
        if not kw:
            self.print_config()
        for keyword in kw:
            self.stdout.write(configuration.value(keyword))

    def print_config(self) -> None:
        self.stdout.write(configuration.as_ini())

    def _changed(self, names: list[str]) -> None:
        self.stdout.write(f"set: {', '.join(names)}")
