"""``KEYWORD=@FILE`` on the command line: the value is what the file holds.

Only for a template, which is a document of its own; any other value may begin with an @.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from django.core.management.base import CommandError

FROM_FILE = re.compile(r"([^=]+\.template)=@(.+)", re.DOTALL)


def read(texts: Iterable[str]) -> list[str]:
    """The assignments with the contents of their files. Raises CommandError."""
    return [
        f"{found[1]}={_content(text, found[2])}" if (found := FROM_FILE.fullmatch(text)) else text
        for text in texts
    ]


def _content(text: str, path: str) -> str:
    try:
        return Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise CommandError(
            f"{text}: cannot be read ({why}). Give the path of a file with the list"
        ) from error
