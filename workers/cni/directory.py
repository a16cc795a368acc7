"""The door to the directories of CNI configuration files."""

from collections.abc import Iterable
from pathlib import Path

from workers import files
from workers.cni.confs import SUFFIXES


def read(directories: Iterable[str]) -> dict[str, str]:
    """Content of every file that a CNI runtime would look at, by path."""
    found = {}
    for directory in directories:
        if not Path(directory).is_dir():
            continue
        for path in sorted(Path(directory).iterdir()):
            if path.suffix in SUFFIXES and path.is_file():
                found[str(path)] = path.read_text(errors="replace")
    return found


def write(path: str, content: str) -> None:
    """Put the file there as a whole; raises OSError. The directory is made when it is missing."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    files.replace(Path(path), content.encode())


def remove(path: str) -> None:
    """Take the file away; raises OSError."""
    files.remove(Path(path))
