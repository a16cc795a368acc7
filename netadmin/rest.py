"""What every REST view shares: problem documents, pagination and the row version as ETag.

A resource that can change is served with ``ETag: "VERSION"``; a write with ``If-Match`` is
carried out only on that version (412 else), one without on whatever is there.
"""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import set_rollback

from netadmin.problems import Fault, Problem

MEDIA_TYPE = "application/problem+json"


class Pages(PageNumberPagination):
    page_size = 100
    page_size_query_param = "page_size"
    max_page_size = 1000


def expected_version(request: Request) -> int | None:
    """The version in ``If-Match``; None: not given, or ``*``."""
    text = request.headers.get("If-Match", "*").strip()
    if text == "*":
        return None
    version = text.removeprefix("W/").strip('"')
    if not version.isdecimal():
        raise Problem(
            Fault("If-Match", text, "is not a version of a row", 'Give the ETag that was read, like "3"')
        )
    return int(version)


def etag(version: int) -> str:
    return f'"{version}"'


def respond(error: Exception, context: dict[str, Any]) -> Response | None:
    """REST framework's exception handler: every refusal is a problem document."""
    set_rollback()
    if isinstance(error, Problem):
        return document(error.status, error.code, error.title, list(error.faults))
    if isinstance(error, exceptions.ValidationError):
        return document(400, Problem.code, Problem.title, list(_faults(error, context)))
    if isinstance(error, OperationalError | InterfaceError):
        retry = document(503, "database-away", "The database does not answer; try again in a moment", [])
        retry["Retry-After"] = "2"
        return retry
    if isinstance(error, Http404):
        error = exceptions.NotFound(str(error) or None)
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if not isinstance(error, exceptions.APIException):
        return None
    response = document(error.status_code, str(error.get_codes()), str(error.detail), [])
    if header := getattr(error, "auth_header", None):
        response["WWW-Authenticate"] = header
    if wait := getattr(error, "wait", None):
        response["Retry-After"] = str(int(wait))
    return response


def document(status: int, code: str, title: str, faults: list[Fault]) -> Response:
    """An RFC 9457 problem document."""
    body = {
        "type": f"urn:netadmin:problem:{code}",
        "title": title,
        "status": status,
        "detail": " ".join(map(str, faults)) or title,
        "errors": [asdict(fault) for fault in faults],
    }
    return Response(body, status=status, content_type=MEDIA_TYPE)


def _faults(error: exceptions.ValidationError, context: dict[str, Any]) -> Iterator[Fault]:
    """REST framework's own findings (a missing field, a wrong JSON type) in our words."""
    request = context.get("request")
    data = getattr(request, "data", {}) if request is not None else {}

    def walk(detail: Any, path: str) -> Iterator[Fault]:
        if isinstance(detail, dict):
            for key, value in detail.items():
                yield from walk(value, f"{path}.{key}" if path else str(key))
        elif isinstance(detail, list):
            for index, value in enumerate(detail):
                nested = isinstance(value, dict | list)
                yield from walk(value, f"{path}[{index}]" if nested and path else path)
        else:
            given = data.get(path, "") if isinstance(data, dict) else ""
            yield Fault(
                path or "body", str(given), str(detail).rstrip("."), "See /api/v1/docs/ for what it takes."
            )

    yield from walk(error.detail, "")
