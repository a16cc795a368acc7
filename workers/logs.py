"""Log lines to read: time, level, part, what happened, and its fields.

2026-11-24 06:41:10 INFO  agent: applied version=3fa9c21b changes=12 ms=8.1
"""

import logging
import sys

STANDARD = set(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class Lines(logging.Formatter):
    """Puts the ``extra`` fields of a record behind its message."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%Y-%m-%d %H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        fields = [f"{name}={value}" for name, value in record.__dict__.items() if name not in STANDARD]
        return " ".join([super().formatMessage(record), *fields])


def start() -> None:
    """Log to stderr: ours from INFO, the libraries' from WARNING."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("netadmin").setLevel(logging.INFO)
