"""Bodies that only a node sends: read by the module that both sides share, not by REST framework."""

from collections.abc import Callable
from typing import IO, Any

from rest_framework import exceptions, status
from rest_framework.parsers import BaseParser

from netadmin.problems import Fault, Problem
from workers.wire import WireError


class TooLarge(exceptions.APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "too-large"


def parser(read: Callable[[bytes], Any], most: int) -> type[BaseParser]:
    """A parser of JSON bodies of at most so many bytes; ``read`` raises WireError."""

    class Parser(BaseParser):
        media_type = "application/json"

        def parse(self, stream: IO[Any], media_type: Any = None, parser_context: Any = None) -> Any:
            body = stream.read(most + 1)
            if len(body) > most:
                raise TooLarge(f"It has at most {most} bytes")
            try:
                return read(body)
            except WireError as error:
                raise unreadable(error) from error

    return Parser


def unreadable(error: object) -> Problem:
    """``outcome=x: is none of ...`` and ``body: is not whole JSON`` as a fault."""
    subject, _, why = str(error).partition(": ")
    field, _, value = subject.partition("=")
    return Problem(
        Fault(field, value, why, "Send it again, or run the worker of the control plane's release")
    )
