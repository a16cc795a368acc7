"""Files that are whole or not there: written beside, synced, renamed.

    .NAME.netadmin-new -> fsync -> rename to NAME -> fsync of the directory

The temporary name is fixed, hidden and has no suffix that a CNI runtime looks for: a
worker that was killed leaves at most one such file per name, which the next write of
the name replaces and ``sweep`` removes.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

UNFINISHED = ".netadmin-new"


def replace(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Put ``content`` at ``path``, over what is there; raises OSError and leaves the old file."""
    with _whole(path, mode) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    sync(path.parent)


def swap(path: Path, content: bytes, mode: int = 0o644) -> None:
    """As ``replace``, but not on the disk yet when it returns: for what means nothing to a machine that
    starts anew, or is looked at with care then. Raises OSError and leaves the old file."""
    with _whole(path, mode) as file:
        file.write(content)


def remove(path: Path) -> None:
    """Take ``path`` away for good, finished or not; nothing happens when it is not there."""
    path.unlink(missing_ok=True)
    _unfinished(path).unlink(missing_ok=True)
    sync(path.parent)


def sweep(directory: Path) -> None:
    """Remove what a killed ``replace`` left unfinished."""
    for unfinished in directory.glob(f".*{UNFINISHED}"):
        unfinished.unlink(missing_ok=True)


def lock(path: Path) -> int | None:
    """Hold ``path`` until the process ends; None when another process holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def sync(directory: Path) -> None:
    """A link, a rename or an unlink is on the disk only once its directory is. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _whole(path: Path, mode: int) -> Iterator[BinaryIO]:
    """A file that is at ``path`` behind the block. It is buffered: a full disk may take a part of what is
    written, and that is an error and not a shorter file."""
    unfinished = _unfinished(path)
    try:
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            yield file
        os.rename(unfinished, path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise


def _unfinished(path: Path) -> Path:
    return path.with_name(f".{path.name}{UNFINISHED}")
