"""What our commands share: verbs as sub-commands, and refusals as sentences.

    class Command(Verbs):
        def add_verbs(self, verb): verb("ls", self.ls, "List them.")
        def ls(self) -> None: ...

A command holds arguments and one call. Whatever the call refuses ends the command with
status 1 and the same sentences that the REST API and the pages show.
"""

import getpass
import re
from argparse import ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from textwrap import fill
from typing import Any, Protocol

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError, ProgrammingError

from netadmin.environment import EnvironmentProblem
from netadmin.problems import Problem

HELP_WIDTH = 79
SECONDS = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?")


def by() -> str:
    """Who acts, in the audit log."""
    return f"cli:{getpass.getuser()}"


class Verb(Protocol):
    def __call__(self, name: str, run: Any, help: str, examples: str = "") -> CommandParser: ...


class Refusing(BaseCommand):
    """A command whose refusals are sentences."""

    def execute(self, *args: Any, **options: Any) -> Any:
        try:
            return super().execute(*args, **options)
        except (Problem, EnvironmentProblem) as error:
            raise CommandError(str(error)) from error
        except (OperationalError, ProgrammingError) as error:
            remedy = "Check NETADMIN_DATA_DIR or NETADMIN_DATABASE_URL, then run: manage.py migrate"
            raise CommandError(f"database: {error}. {remedy}") from error


class Verbs(Refusing):
    """A command of several verbs, each a method."""

    examples = ""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(
            prog_name, subcommand, epilog=self.examples, formatter_class=RawDescriptionHelpFormatter, **kwargs
        )

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(title="what to do", metavar="VERB", required=True)

        def verb(name: str, run: Any, help: str, examples: str = "") -> CommandParser:
            added: CommandParser = verbs.add_parser(
                name,
                help=help,
                description=fill(help, HELP_WIDTH),
                epilog=examples,
                formatter_class=RawDescriptionHelpFormatter,
            )
            added.set_defaults(run=run, names=added)
            return added

        self.add_verbs(verb)

    def add_verbs(self, verb: Verb) -> None:
        raise NotImplementedError

    def handle(self, *args: Any, run: Any, names: CommandParser, **options: Any) -> None:
        own = {action.dest for action in names._actions} - {"help"}
        run(**{name: value for name, value in options.items() if name in own})


def seconds(most: float, least: float = 0) -> Callable[[str], float]:
    """The type of an argument, for argparse."""

    def read(text: str) -> float:
        if not SECONDS.fullmatch(text) or not least <= float(text) <= most:
            raise ArgumentTypeError(f"{text} is no number of seconds up to {most:g}; give one like 10 or 0.5")
        return float(text)

    return read


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, two spaces apart; no space at the end of a line."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
