"""Many new rows that differ in a few columns only, in one statement and without an object for each.

    columns that differ -> one JSON parameter -> INSERT ... SELECT -> keys by a column that is unique

For thousands of rows of twenty-five columns, Django's objects and parameters cost ten times what
the database does. Both databases read JSON; the other columns are those of a template object. Bytes are given
in hexadecimal digits, in a JSON column objects, lists or None.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from django.db import connection
from django.db.models import Field, Model


def insert(template: Model, columns: Mapping[str, Sequence[Any]], unique: str) -> dict[Any, int]:
    """Insert rows like ``template`` but for ``columns`` (by attribute, all of one length). Returns the new
    keys by the value of the column ``unique``, as the database gives it."""
    statement, differing, same = _written(type(template), frozenset(columns), unique)
    constants = [field.get_db_prep_save(getattr(template, field.attname), connection) for field in same]
    rows = json.dumps(list(zip(*(columns[field.attname] for field in differing), strict=True)))
    with connection.cursor() as cursor:
        if not _is_postgresql():  # it can read hexadecimal digits since 3.41 only
            connection.connection.create_function("from_hex", 1, bytes.fromhex, deterministic=True)
        cursor.execute(statement, [*constants, rows])
        return dict(cursor.fetchall())


@cache
def _written(
    model: type[Model], differing: frozenset[str], unique: str
) -> "tuple[str, list[Field[Any, Any]], list[Field[Any, Any]]]":
    """The statement; the fields that come from the JSON, and those that are parameters, in its order."""
    fields = [field for field in model._meta.concrete_fields if not field.primary_key]
    varied = [field for field in fields if field.attname in differing]
    same = [field for field in fields if field.attname not in differing]
    names = ", ".join(connection.ops.quote_name(str(field.column)) for field in (*varied, *same))
    values = ", ".join([*(_read(field, place) for place, field in enumerate(varied)), *["%s"] * len(same)])
    table, key = (connection.ops.quote_name(name) for name in (model._meta.db_table, unique))
    source = "json_array_elements(%s::json)" if _is_postgresql() else "json_each(%s)"
    statement = f"INSERT INTO {table} ({names}) SELECT {values} FROM {source} WHERE true RETURNING {key}, id"
    return statement, varied, same


def _read(field: "Field[Any, Any]", place: int) -> str:
    """The expression for a column, out of one element."""
    is_bytes = field.get_internal_type() == "BinaryField"
    if not _is_postgresql():
        value = f"json_extract(value, '$[{place}]')"
        return f"from_hex({value})" if is_bytes else value
    if is_bytes:
        return f"decode(value->>{place}, 'hex')"
    kind = field.db_type(connection)
    return f"(value->>{place})::{kind}"


def _is_postgresql() -> bool:
    return bool(connection.vendor == "postgresql")
