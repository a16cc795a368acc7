"""Statements that are written once, for what nearly every request asks.

    FIND = Statement("SELECT {user}, {node} FROM ... WHERE token.digest = %s", user=User, node=Node)
    for user, node in FIND.rows(digest): ...

To write the SQL of a queryset over three joined tables takes Django ten times as long as the database needs
to answer it. A name in braces stands for all columns of a model; other columns are given as they come.
``{locked}`` is FOR UPDATE where the database locks rows; SQLite locks as a whole.
"""

from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from typing import Any

from django.db import connection
from django.db.models import Model


class Statement:
    """One SELECT. ``models`` by the alias that their table has in it; ``but``: columns that are not read
    before somebody asks an instance for them."""

    def __init__(self, sql: str, *, but: Collection[str] = (), **models: type[Model]) -> None:
        self._sql = sql
        self._but = but
        self._models = models

    def rows(self, *parameters: Any) -> Iterator[tuple[Any, ...]]:
        """Of each row the instances, in the order of ``models``, then the other columns. None where a
        joined table has no row."""
        with connection.cursor() as cursor:
            cursor.execute(self._written, parameters)
            found = cursor.fetchall()
        for row in found:
            start, values = 0, []
            for columns in self._columns:
                values.append(columns.instance(row[start : start + columns.count]))
                start += columns.count
            yield *values, *row[start:]

    @cached_property
    def _columns(self) -> "list[_Columns]":
        return [_Columns(model, alias, self._but) for alias, model in self._models.items()]

    @cached_property
    def _written(self) -> str:
        locked = "FOR UPDATE" if connection.features.has_select_for_update else ""
        return self._sql.format(locked=locked, **{columns.alias: columns.sql for columns in self._columns})


class _Columns:
    """The columns of one model, in one answer."""

    def __init__(self, model: type[Model], alias: str, but: Collection[str]) -> None:
        self.alias = alias
        self._model = model
        fields = [field for field in model._meta.concrete_fields if field.attname not in but]
        self.count = len(fields)
        self.sql = ", ".join(f"{alias}.{connection.ops.quote_name(str(field.column))}" for field in fields)
        self._names = [field.attname for field in fields]
        self._key = next(place for place, field in enumerate(fields) if field.primary_key)
        self._conversions = [
            (place, convert, column)
            for place, column in enumerate(field.get_col(alias) for field in fields)
            for convert in (*connection.ops.get_db_converters(column), *column.get_db_converters(connection))
        ]

    def instance(self, raw: Sequence[Any]) -> Model | None:
        if raw[self._key] is None:
            return None
        values = list(raw)
        for place, convert, column in self._conversions:
            values[place] = convert(values[place], column, connection)
        return self._model.from_db(connection.alias, self._names, values)
