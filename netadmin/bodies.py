"""Bodies that people and programs send: JSON, as REST framework reads it.

In a module of its own: REST framework reads the settings that name it before its views, which ``rest``
imports, are there.
"""

from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser


class Json(JSONParser):
    """JSON nested deeper than Python reads it is no defect of ours, but a body that cannot be read."""

    def parse(self, stream: IO[Any], media_type: Any = None, parser_context: Any = None) -> Any:
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise ParseError("JSON parse error - it is nested too deeply") from error
