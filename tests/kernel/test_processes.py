"""No process is started, whatever is built: as the interpreter and the kernel see it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.documents import bridge, document, loopback, routed, routed6
from tests.kernel.node import Node
from workers.document import Document

STARTING = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec", "os.system", "os.spawn"}
_watched: list[str] | None = None


def _note(event: str, _: tuple[Any, ...]) -> None:
    if _watched is not None and event in STARTING:
        _watched.append(event)


sys.addaudithook(_note)


@contextmanager
def _started() -> Iterator[list[str]]:
    """What the interpreter starts in the block."""
    global _watched
    started: list[str] = []
    _watched = started
    try:
        yield started
    finally:
        _watched = None


@pytest.mark.parametrize(
    "wanted",
    [document(loopback(), routed(tables=("main", "77")), routed6(), bridge()), document()],
    ids=["build", "remove"],
)
def test_no_process_is_started(node: Node, wanted: Document) -> None:
    node.converge(document(routed(), bridge("old", "10.20.0.0/24")))
    children = _children()
    with _started() as started:
        made = node.plan(wanted)
        node.carry_out(made)
        assert not node.plan(wanted)
    assert made
    assert started == []
    assert _children() == children


def test_a_process_that_is_started_would_be_seen() -> None:
    with _started() as started:
        os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
    assert started == ["os.posix_spawn"]


def _children() -> str:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text()
