"""What every REST view shares: problem documents, strict bodies, pagination, the row version as ETag.

A resource that can change is served with ``ETag: "VERSION"``; a write with ``If-Match`` is
carried out only on that version (412 else), one without on whatever is there.
"""

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from difflib import get_close_matches
from functools import cache
from typing import Any, TypeVar

from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404
from django_filters.rest_framework import BooleanFilter, DjangoFilterBackend
from drf_spectacular.utils import OpenApiParameter
from rest_framework import exceptions, serializers
from rest_framework.pagination import CursorPagination, PageNumberPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import set_rollback

from netadmin.problems import Fault, Missing, Problem

log = logging.getLogger(__name__)

T = TypeVar("T")

MEDIA_TYPE = "application/problem+json"
NAME = "[a-z0-9][a-z0-9_-]{0,62}"
"""Names as they stand in an address; anything else is no address of ours (404)."""
NUMBER = "[0-9]{1,18}"
"""Of a row: at most 64 bits."""
RETRY_SECONDS = 2
SHOWN = 200
"""Characters of a refused value that are sent back."""
DATABASE_AWAY = (OperationalError, InterfaceError)
IF_MATCH = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, description="Only if this still is its ETag; 412 else."
)
FORCE = OpenApiParameter("force", bool, description="Also while addresses are in use.")


PAGING = ("page", "page_size", "cursor", "ordering", "format")
"""Parameters of every list."""


class Filters(DjangoFilterBackend):  # type: ignore[misc]
    """A filter that does not exist is refused, and one that is neither true nor false: what is misspelt must
    not find everything."""

    def filter_queryset(self, request: Request, queryset: Any, view: Any) -> Any:
        found = self.get_filterset_class(view, queryset)
        known = found.base_filters if found else {}
        refuse_unknown(request, *known, *PAGING)
        for name, one in known.items():
            if isinstance(one, BooleanFilter):
                _require_truth(request, name)
        return super().filter_queryset(request, queryset, view)


class Pages(PageNumberPagination):
    page_size = 100
    page_size_query_param = "page_size"
    max_page_size = 1000

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> Any:
        _require_number(request, "page", "last")
        _require_number(request, "page_size")
        try:
            return super().paginate_queryset(queryset, request, view)
        except exceptions.NotFound as error:
            page = request.query_params.get("page", "")
            raise Missing(
                Fault("page", page, "is behind the last one", "Take page=last, or an earlier one")
            ) from error


class NewestFirst(CursorPagination):
    """For what only ever grows: a page stays the same page while new rows come."""

    ordering = "-id"
    page_size = 100
    page_size_query_param = "page_size"
    max_page_size = 1000

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> Any:
        _require_number(request, "page_size")
        return super().paginate_queryset(queryset, request, view)


class Resource(serializers.Serializer[Any]):
    """JSON types only; what the values may be is said by the model layer.

    A field that does not exist is refused: a misspelt keyword must not become a silent
    default. Read-only fields are passed over, so that what was read can be sent back.
    """

    def to_internal_value(self, data: Any) -> Any:
        unknown = [key for key in data if key not in self.fields] if isinstance(data, Mapping) else []
        if unknown:
            known = ", ".join(name for name, field in self.fields.items() if not field.read_only)
            raise serializers.ValidationError(
                dict.fromkeys(unknown, f"is no field; what can be given is {known}")
            )
        return super().to_internal_value(data)

    @classmethod
    def read(cls, data: Any, *, partial: bool = False) -> dict[str, Any]:
        """What was given, by field; raises Problem with every fault. ``partial``: only of what is there."""
        try:
            given: dict[str, Any] = _reader(cls, partial).run_validation(data)
        except serializers.ValidationError as error:
            raise Problem(*_faults(error.detail, data)) from None
        return dict(given)


@cache
def _reader(resource: type[Resource], partial: bool) -> Resource:
    """A serializer copies all its fields when it is made, which costs ten times what reading with it does."""
    return resource(partial=partial)


def expected_version(request: Request) -> int | None:
    """The version in ``If-Match``; None: not given, or ``*``."""
    text = request.headers.get("If-Match", "*").strip()
    if text == "*":
        return None
    version = text.removeprefix("W/").strip('"')
    if not re.fullmatch(NUMBER, version):
        remedy = 'Give the ETag that was read, like "3"'
        raise Problem(Fault("If-Match", text[:SHOWN], "is not a version of a row", remedy))
    return int(version)


def etag(version: int) -> str:
    return f'"{version}"'


def text_of(request: Request, name: str) -> str:
    """A text of the query, empty unless given; raises Problem for one that no database looks for."""
    text: str = request.query_params.get(name, "")
    if "\0" in text:
        raise Problem(Fault(name, text[:SHOWN], "has a character with the code 0", "Leave that out"))
    return text


def refuse_unknown(request: Request, *known: str) -> None:
    """Raises Problem for a parameter of the query that is none of these."""
    faults = []
    for name, value in request.query_params.items():
        if name not in known:
            close = get_close_matches(name, known, n=1)
            remedy = f"Did you mean {close[0]}? " if close else ""
            remedy += f"There are {', '.join(sorted(set(known)))}"
            faults.append(Fault(name[:SHOWN], str(value)[:SHOWN], "is no parameter here", remedy))
    if faults:
        raise Problem(*faults)


def _require_number(request: Request, name: str, *words: str) -> None:
    text = request.query_params.get(name, "1")
    if text not in words and not (re.fullmatch(NUMBER, text) and int(text)):
        raise Problem(Fault(name, text[:SHOWN], "is no number from 1 on", "Leave it out, or give one"))


def _require_truth(request: Request, name: str) -> None:
    text = request.query_params.get(name, "")
    if text.lower() not in ("", "true", "false", "1", "0"):
        remedy = f"Leave it out, or use {name}=true or {name}=false"
        raise Problem(Fault(name, text[:SHOWN], "is neither true nor false", remedy))


def forced(request: Request) -> bool:
    """``?force=true``: also when somebody holds what would go."""
    text = request.query_params.get("force", "false")
    if text not in ("true", "false"):
        raise Problem(Fault("force", text, "is neither true nor false", "Leave it out, or use force=true"))
    return text == "true"


def seconds_to_wait(request: Request, most: float) -> float:
    """``?wait=SECONDS``: how long the answer may take if that makes it a whole one."""
    text = request.query_params.get("wait", "0")
    if not re.fullmatch(r"\d{1,4}(\.\d{1,6})?", text) or float(text) > most:
        raise Problem(
            Fault("wait", text, f"is no number of seconds from 0 to {most:g}", "Give one, like wait=5")
        )
    return float(text)


def one_or_several(reference: str) -> dict[str, Any]:
    """The schema of a body that is one object, or a list of them."""
    one = {"$ref": reference}
    return {"oneOf": [one, {"type": "array", "items": one}]}


def read_all(items: list[Any], read: Callable[[Any], T]) -> list[T]:
    """Every item of a list, which must have some; a fault says in which, like ``[1].network``."""
    if not items:
        raise Problem(Fault("body", "[]", "asks for nothing", "Give one object, or a list of some"))
    found = []
    for place, item in enumerate(items):
        try:
            found.append(read(item))
        except Problem as problem:
            raise problem.under(f"[{place}]") from None
    return found


def respond(error: Exception, context: dict[str, Any]) -> Response | None:
    """REST framework's exception handler: every refusal is a problem document."""
    set_rollback()
    if isinstance(error, Problem):
        return document(error.status, error.code, error.title, list(error.faults))
    if isinstance(error, exceptions.ValidationError):
        return document(
            400, Problem.code, Problem.title, list(_faults(error.detail, context["request"].query_params))
        )
    if isinstance(error, DATABASE_AWAY):
        log.warning("the database does not answer: %s", error)
        retry = document(503, "database-away", "The database does not answer; try again in a moment", [])
        retry["Retry-After"] = str(RETRY_SECONDS)
        return retry
    if isinstance(error, Http404):
        error = exceptions.NotFound(str(error) or None)
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if not isinstance(error, exceptions.APIException):
        return None
    response = document(error.status_code, str(error.get_codes()), str(error.detail), list(_of_body(error)))
    if header := getattr(error, "auth_header", None):
        response["WWW-Authenticate"] = header
    if wait := getattr(error, "wait", None):
        response["Retry-After"] = str(int(wait))
    return response


def document(status: int, code: str, title: str, faults: list[Fault]) -> Response:
    """A problem document as REST framework answers it."""
    return Response(problem(status, code, title, faults), status=status, content_type=MEDIA_TYPE)


def problem(status: int, code: str, title: str, faults: list[Fault]) -> dict[str, Any]:
    """The members of an RFC 9457 problem document."""
    return {
        "type": f"urn:netadmin:problem:{code}",
        "title": title,
        "status": status,
        "detail": _sendable(". ".join(map(str, faults)) or title),
        "errors": [{member: _sendable(text) for member, text in asdict(fault).items()} for fault in faults],
    }


def _sendable(text: str) -> str:
    """A half of a surrogate pair, which JSON can name, is no character that can be sent back."""
    return text.encode(errors="replace").decode()


def _faults(detail: Any, data: Any, path: str = "") -> Iterator[Fault]:
    """REST framework's own findings (a missing field, a wrong JSON type) in our words."""
    if isinstance(detail, dict):
        for key, value in detail.items():
            if key == "non_field_errors":
                yield from _faults(value, data, path)
            else:
                yield from _faults(value, _part(data, key), _place(path, key))
    elif isinstance(detail, list):
        for value in detail:
            yield from _faults(value, data, path)
    else:
        yield Fault(
            path or "body", str(data)[:SHOWN], str(detail).rstrip("."), "See /api/v1/docs/ for what it takes"
        )


def _of_body(error: exceptions.APIException) -> Iterator[Fault]:
    """A body that cannot be read as JSON."""
    if isinstance(error, exceptions.ParseError | exceptions.UnsupportedMediaType):
        why = str(error.detail).rstrip(".")
        yield Fault("body", "", why, "Send JSON, with Content-Type: application/json")


def _part(data: Any, key: Any) -> Any:
    if isinstance(data, Mapping):
        return data.get(key, "")
    return data[key] if isinstance(data, list) and isinstance(key, int) else ""


def _place(path: str, key: Any) -> str:
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else str(key)
