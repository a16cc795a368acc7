"""The door to the journal: one file for each attachment that exists, or may exist.

    STATE_DIR/attachments/ID.json    written before ADD, again with its result, removed behind DEL

So whenever the worker is killed, the next one knows what to undo and with which words. The files
are whole or not there, but not synced: what they guard is lost in a power cut in any case, and
a sync would cost as much as the plugins.
"""

import json
import logging
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

from workers import files, wire
from workers.attaching.entry import Entry

FORMAT = 1
SUFFIX = ".json"
log = logging.getLogger("netadmin.attaching")


class Journal:
    """For any thread; one writer for each attachment."""

    def __init__(self, state: Path) -> None:
        self.directory = state / "attachments"

    def read(self) -> dict[str, Entry]:
        """Every attachment by id. A file that cannot be read is logged and left alone."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.sweep(self.directory)
        found = {path.stem: _entry(path) for path in sorted(self.directory.glob(f"*{SUFFIX}"))}
        return {key: entry for key, entry in found.items() if entry}

    def ids(self) -> set[str]:
        """Every attachment that exists, or may exist."""
        return {path.stem for path in self.directory.glob(f"*{SUFFIX}")}

    def read_one(self, key: str) -> Entry | None:
        path = self._path(key)
        return _entry(path) if path.exists() else None

    def shared(self, entry: Entry) -> bool:
        """Whether another attachment is in the same namespace of the service's own."""
        others = (
            _entry(path) for path in self.directory.glob(f"*{SUFFIX}") if path.stem != entry.attachment.id
        )
        return any(other.own == entry.own for other in others if other)

    def write(self, entry: Entry) -> None:
        """Raises OSError."""
        body = json.dumps({"format": FORMAT, **_columns(entry)}, default=_columns).encode()
        files.swap(self._path(entry.attachment.id), body, 0o600)

    def remove(self, key: str) -> None:
        """Raises OSError."""
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.directory / f"{os.path.basename(key)}{SUFFIX}"


def _columns(one: Any) -> dict[str, Any]:
    """Of a dataclass, not copied as ``asdict`` does: an attachment waits for it twice."""
    return {item.name: getattr(one, item.name) for item in fields(one)}


def _entry(path: Path) -> Entry | None:
    try:
        entry: Entry = wire.load(Entry, path.read_bytes(), FORMAT, "journal")
    except (OSError, wire.WireError) as error:
        log.error("%s: %s; what it tells of is not detached", path, error)
        return None
    return entry
