"""``manage.py serve``: the web servers, and with them the embedded broker."""

import sys
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from netadmin import embedded_broker, environment
from netadmin.commandline import Refusing
from netadmin.processes import ChildEnded, Children
from networks import desired
from nodes import brokeraccess, tokens

DEFAULT_BIND = "127.0.0.1:8000"
THREADS = 8
"""As many as the pool has connections to PostgreSQL: those who reserve at once share a transaction."""
BROKER_WITHIN = 10.0
"""Seconds; it takes less than a tenth of one."""


class Command(Refusing):
    help = (
        "Serve the web pages and the REST API, and run the embedded broker unless NETADMIN_BROKER_URL names "
        "another one. Ends when one of its processes ends; SIGTERM and Ctrl-C stop them all. "
        "Example: manage.py serve --bind 192.0.2.1:8000 --bind [::1]:8000"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--bind",
            action="append",
            metavar="HOST:PORT",
            help=f"Address to serve on; may be given several times. Default {DEFAULT_BIND}.",
        )
        broker = parser.add_mutually_exclusive_group()
        broker.add_argument(
            "--broker",
            action="store_true",
            default=not settings.ENVIRONMENT.broker_url,
            help="Run the embedded broker: the default without NETADMIN_BROKER_URL.",
        )
        broker.add_argument(
            "--no-broker", action="store_false", dest="broker", help="Do not run the embedded broker."
        )

    def handle(self, *args: Any, bind: list[str] | None, broker: bool, **options: Any) -> None:
        addresses = [_address(text) for text in bind or [DEFAULT_BIND]]
        _require_migrated()
        desired.republish()
        argv = _prepare_broker() if broker else []
        _leave_database()
        try:
            with Children(environment.ROOT) as children:
                if argv:
                    children.start("embedded broker", argv)
                    children.until(
                        lambda: embedded_broker.answers(settings.ENVIRONMENT),
                        what="embedded broker answers",
                        within=BROKER_WITHIN,
                    )
                for host, port in addresses:
                    children.start(f"web server on {host}:{port}", _web_server(host, port))
                    self.stdout.write(f"serving http://{f'[{host}]' if ':' in host else host}:{port}/")
                children.watch()
        except ChildEnded as error:
            raise CommandError(f"{error}. Everything else was stopped.") from error


def _address(text: str) -> tuple[str, int]:
    host, separator, port = text.rpartition(":")
    if not separator or not host or not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise CommandError(f"--bind={text}: is not HOST:PORT. Give one like {DEFAULT_BIND} or [::1]:8000")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _require_migrated() -> None:
    executor = MigrationExecutor(connection)
    if pending := executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise CommandError(
            f"The database lacks {len(pending)} migrations (the first is {pending[0][0]}). "
            "Run: manage.py migrate"
        )


def _leave_database() -> None:
    """The servers have connections of their own; ours would only idle."""
    connection.close()
    if connection.vendor == "postgresql":
        connection.close_pool()  # type: ignore[attr-defined]


def _prepare_broker() -> list[str]:
    secret = environment.kept_secret(embedded_broker.secret_path(settings.ENVIRONMENT))
    return embedded_broker.prepare(settings.ENVIRONMENT, brokeraccess.access_list(tokens.hashed(secret)))


def _web_server(host: str, port: int) -> list[str]:
    return [
        sys.executable, "-m", "granian", "netadmin.wsgi:served", "--factory", "--interface", "wsgi",
        "--workers", "1", "--blocking-threads", str(THREADS), "--no-ws", "--log-level", "warning",
        "--host", host, "--port", str(port),
    ]  # fmt: skip
