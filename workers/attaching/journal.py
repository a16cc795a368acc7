"""The door to the journal: one file for each attachment that exists, or may exist.

    STATE_DIR/attachments/ID.json     a line before ADD, a second one with its result, removed behind DEL
    STATE_DIR/attachments/ID.1.unread what could not be read: set aside, told in the report, never removed

So whenever the worker is killed, the next one knows what to undo and with which words. The first line is
whole or not there; a second one that is not whole is no result, and the ADD is undone. The files are not
synced: what they guard is lost in a power cut in any case, and a sync would cost as much as the plugins.
"""

import errno
import json
import logging
import os
from dataclasses import fields, replace
from itertools import count
from pathlib import Path
from typing import Any

from workers import files, wire
from workers.attaching.entry import Entry, verify
from workers.report import Finding

FORMAT = 1
SUFFIX, UNREAD = ".json", ".unread"
OF_THE_MOMENT = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Errors that say nothing of a file: it is read later."""
log = logging.getLogger("netadmin.attaching")


class Journal:
    """For any thread; one writer for each attachment."""

    def __init__(self, state: Path) -> None:
        self.directory = state / "attachments"
        self._unread: dict[Path, str] = {}
        """Why, by what the file is called now."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Files that could not be read, as long as they are there."""
        return tuple(_finding(path, why) for path, why in sorted(self._unread.items()) if path.exists())

    def read(self) -> dict[str, Entry]:
        """Every attachment by id. A file that cannot be read is set aside; ``findings`` tell of it. Raises
        OSError while files cannot be read at all."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.sweep(self.directory)
        for path in self.directory.glob(f"*{UNREAD}"):
            self._unread[path] = "it could not be read, and was set aside by an earlier worker"
        found = {path.stem: self._entry(path) for path in sorted(self.directory.glob(f"*{SUFFIX}"))}
        return {key: entry for key, entry in found.items() if entry}

    def ids(self) -> set[str]:
        """Every attachment that exists, or may exist."""
        found = (*self.directory.glob(f"*{SUFFIX}"), *self.directory.glob(f"*{UNREAD}"))
        return {path.name.partition(".")[0] for path in found}

    def read_one(self, key: str) -> Entry | None:
        """The same of one; None: there is none."""
        path = self._path(key)
        return self._entry(path) if path.exists() else None

    def shared(self, entry: Entry) -> bool:
        """Whether another attachment is in the same namespace of the service's own, or may be."""
        others = [path for path in self.directory.glob(f"*{SUFFIX}") if path.stem != entry.attachment.id]
        found = [self._entry(path) for path in others]
        return bool(self.findings) or any(other.own == entry.own for other in found if other)

    def write(self, entry: Entry) -> None:
        """Raises OSError."""
        body = json.dumps({"format": FORMAT, **_columns(entry)}, default=_columns)
        files.swap(self._path(entry.attachment.id), f"{body}\n".encode(), 0o600)

    def finish(self, entry: Entry) -> None:
        """Add its result to what was written of it last; raises OSError. A tenth of what ``write`` costs."""
        line = f"{json.dumps({'result': entry.result})}\n".encode()
        descriptor = os.open(self._path(entry.attachment.id), os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        with open(descriptor, "ab") as file:
            file.write(line)

    def remove(self, key: str) -> None:
        """Raises OSError."""
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.directory / f"{os.path.basename(key)}{SUFFIX}"

    def _entry(self, path: Path) -> Entry | None:
        try:
            return _parsed(path.read_bytes())
        except FileNotFoundError:  # detached meanwhile
            return None
        except OSError as error:
            if error.errno in OF_THE_MOMENT:
                raise
            self._set_aside(path, str(error))
            return None
        except wire.WireError as error:
            self._set_aside(path, str(error))
            return None

    def _set_aside(self, path: Path, why: str) -> None:
        """Under a name that is not taken, so that nothing is written over it; where that fails it stays."""
        names = (path.with_suffix(f".{number}{UNREAD}") for number in count(1))
        aside = next(name for name in names if not name.exists())
        try:
            path.rename(aside)
        except OSError as error:
            aside, why = path, f"{why}; nor can it be set aside ({error.strerror})"
        self._unread[aside] = why
        log.error("%s", _finding(aside, why))


def _parsed(body: bytes) -> Entry:
    """Raises WireError."""
    head, _, result = body.partition(b"\n")
    entry: Entry = wire.load(Entry, head, FORMAT, "journal")
    if not result.endswith(b"\n"):
        return entry
    try:
        said = json.loads(result)["result"]
        verify(said)
    except (ValueError, KeyError, TypeError) as error:
        raise wire.WireError(f"result: is not whole JSON ({error})") from error
    return replace(entry, result=said)


def _columns(one: Any) -> dict[str, Any]:
    """Of a dataclass, not copied as ``asdict`` does: an attachment waits for it."""
    return {item.name: getattr(one, item.name) for item in fields(one)}


def _finding(path: Path, why: str) -> Finding:
    key = path.name.partition(".")[0]
    return Finding(
        "journal",
        "",
        str(path),
        f"{why}; attachment {key} may still be there, and the worker does not detach it",
        f"Mend the file, call it {key}{SUFFIX} and start the worker again; or take away what container id "
        f"{key} has on this node, and remove the file",
    )
