"""JSON from the other side as frozen dataclasses, or a refusal that names the field.

What comes out can be stored as it is: every field has its type, numbers are finite and fit
64 bits, texts can be encoded and hold no NUL (which PostgreSQL takes in no text).
"""

import json
import math
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, get_args, get_origin


class WireError(ValueError):
    """The bytes are not what this side reads; ``FIELD=VALUE: WHY`` or ``FIELD: WHY``."""


def load(kind: Any, body: bytes, format: int, place: str) -> Any:
    """The object of a body, which says by ``format`` how it is written; raises WireError."""
    try:
        raw = json.loads(body, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError) as error:
        raise WireError(f"body: is not whole JSON ({error})") from error
    if not isinstance(raw, dict) or raw.pop("format", None) != format:
        raise WireError(f"format: only {format} is read")
    return read(kind, raw, place)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:32]} is no number")
    return number


def read(kind: Any, raw: Any, place: str) -> Any:
    """A JSON value as the type of a field; raises WireError that names the place."""
    if kind is str or (kind is Any and isinstance(raw, str)):
        return _text(raw, place)
    if is_dataclass(kind):
        return _object(kind, raw, place)
    if get_origin(kind) is tuple:
        return tuple(read(get_args(kind)[0], item, place) for item in _is(list, raw, place))
    if get_origin(kind) is dict:
        item_kind = get_args(kind)[1]
        items = _is(dict, raw, place).items()
        return {_text(key, place): read(item_kind, item, f"{place}.{key}") for key, item in items}
    if kind is Any:
        return _anything(raw, place)
    if kind in (int, float) and type(raw) is int:
        return kind(_fitting(raw, place))
    return _is(kind, raw, place)


def _fitting(raw: int, place: str) -> int:
    if not -(2**63) <= raw < 2**63:
        raise WireError(f"{place}: does not fit 64 bits")
    return raw


def _object(kind: Any, raw: Any, place: str) -> Any:
    known = {item.name: item for item in fields(kind)}
    given = _is(dict, raw, place)
    for name in given:
        if name not in known:
            raise WireError(f"{place}: has no field {name[:64]!r}")
    for name, item in known.items():
        if name not in given and item.default is MISSING and item.default_factory is MISSING:
            raise WireError(f"{name}: is missing in {place}")
    return kind(**{name: read(known[name].type, value, name) for name, value in given.items()})


def _anything(raw: Any, place: str) -> Any:
    if isinstance(raw, dict):
        return read(dict[str, Any], raw, place)
    if isinstance(raw, list):
        return [read(Any, item, place) for item in raw]
    return raw


def _text(raw: Any, place: str) -> str:
    text: str = _is(str, raw, place)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise WireError(f"{place}: holds half a character") from error
    if "\0" in text:
        raise WireError(f"{place}: holds a NUL")
    return text


def _is(kind: Any, raw: Any, place: str) -> Any:
    if type(raw) is not kind:
        raise WireError(f"{place}: is {type(raw).__name__} where {kind.__name__} is read")
    return raw
