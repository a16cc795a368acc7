"""Jobs side by side, where the system gives no more threads."""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from workers.attaching.jobs import Jobs


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    jobs = Jobs()
    yield jobs
    jobs.stop()


@contextmanager
def no_threads() -> Iterator[None]:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        yield


def test_one_that_found_no_thread_is_none_that_runs(jobs: Jobs) -> None:
    done: queue.SimpleQueue[str] = queue.SimpleQueue()
    with no_threads(), pytest.raises(RuntimeError):
        jobs.start("a", "backend1", done.put, "a")
    assert "a" not in jobs
    jobs.start("a", "backend1", done.put, "a")
    assert "a" in jobs
    assert done.get(timeout=5) == "a"


def test_one_that_found_no_thread_of_its_own_waits_for_another(jobs: Jobs) -> None:
    done: queue.SimpleQueue[str] = queue.SimpleQueue()
    begun, goes_on = threading.Event(), threading.Event()

    def first() -> None:
        begun.set()
        goes_on.wait(5)

    jobs.start("a", "backend1", first)
    assert begun.wait(5)
    with no_threads():
        jobs.start("b", "backend1", done.put, "b")
    assert "b" in jobs
    assert done.empty()
    goes_on.set()
    assert done.get(timeout=5) == "b"
