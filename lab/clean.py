"""The lab's directory on disk, and the sweep of those whose owner died.

    python -m lab.clean

A lab keeps its database, logs and the nodes' files below ``/run/netadmin-lab/XXXX`` and
removes them when it ends. All else that it makes (namespaces, interfaces, processes) ends
with its processes in any case; a directory does not, so each start sweeps first. An owner
holds a lock (flock(2)) on its directory: the kernel lets go of it however the owner ended.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BASE = Path("/run/netadmin-lab")


@contextmanager
def directory() -> Iterator[Path]:
    """A fresh directory for one lab, removed at the end."""
    with _locked(BASE):
        _sweep()
        path = Path(tempfile.mkdtemp(dir=BASE, prefix=""))
        owner = _lock(path)
    try:
        yield path
    finally:
        shutil.rmtree(path)
        os.close(owner)


def sweep() -> list[Path]:
    """Remove what labs left that were killed; returns what was removed."""
    with _locked(BASE):
        return _sweep()


def _sweep() -> list[Path]:
    stale = [path for path in BASE.iterdir() if not _owned(path)]
    for path in stale:
        shutil.rmtree(path)
    return stale


def _owned(path: Path) -> bool:
    try:
        os.close(_lock(path))
    except BlockingIOError:
        return True
    return False


def _lock(path: Path) -> int:
    """Raises BlockingIOError when another process holds it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One lab at a time looks at what is there."""
    path.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    for removed in sweep():
        print(f"removed {removed}")
