import subprocess
import sys
from pathlib import Path

import pytest

from lab import clean

HOLD = """
from pathlib import Path
from lab import clean
clean.BASE = Path({!r})
with clean.directory():
    print("ready", flush=True)
    input()
"""


@pytest.fixture(autouse=True)
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(clean, "BASE", tmp_path / "labs")
    return tmp_path / "labs"


def _owner(base: Path) -> "subprocess.Popen[str]":
    """Another process that has a directory."""
    argv = [sys.executable, "-c", HOLD.format(str(base))]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_directory_is_gone_at_the_end(base: Path) -> None:
    with clean.directory() as path:
        (path / "file").touch()
        assert list(base.iterdir()) == [path]
    assert list(base.iterdir()) == []


def test_the_next_start_removes_what_a_killed_lab_left(base: Path) -> None:
    with _owner(base) as owner:
        owner.kill()
    assert len(list(base.iterdir())) == 1
    with clean.directory() as path:
        assert list(base.iterdir()) == [path]


def test_a_directory_whose_owner_lives_is_left_alone(base: Path) -> None:
    with _owner(base) as owner:
        (theirs,) = base.iterdir()
        assert clean.sweep() == []
        assert theirs.exists()
        owner.kill()
    assert clean.sweep() == [theirs]
