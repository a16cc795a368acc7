"""A connection of the pool is looked at before a request has it, without asking the server.

Django's own check is a statement that does nothing: one more way there and back for each request. A server
that restarted or hung up has closed the connection, and then its socket is readable before anything was
asked; only then it is asked. Behind a network that swallows packets either check would wait as long.
"""

import select
from typing import Any

from django.db.backends.base.base import NO_DB_ALIAS
from django.db.backends.postgresql import base
from psycopg import Connection
from psycopg_pool import ConnectionPool


class DatabaseWrapper(base.DatabaseWrapper):
    @property
    def pool(self) -> "ConnectionPool[Any] | None":
        """One for the process, made at first use."""
        options = self.settings_dict["OPTIONS"].get("pool")
        if self.alias == NO_DB_ALIAS or not options:
            return None
        pools: dict[str, ConnectionPool[Any]] = self._connection_pools  # type: ignore[attr-defined]
        if self.alias not in pools:
            arguments = {**self.get_connection_params(), "autocommit": True}
            configure = self._configure_connection  # type: ignore[attr-defined]
            made = ConnectionPool(kwargs=arguments, open=False, configure=configure, check=look, **options)
            pools.setdefault(self.alias, made)
        return pools[self.alias]


def look(connection: "Connection[Any]") -> None:
    """Raises OperationalError for one that the server has closed."""
    readable = select.poll()
    readable.register(connection.fileno(), select.POLLIN)
    if readable.poll(0):
        ConnectionPool.check_connection(connection)
