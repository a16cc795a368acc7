"""The last document on disk: whole, of this node, or not believed. And files that are whole or not there."""

from pathlib import Path

import pytest

from tests.worker import documents
from workers import files
from workers.cache import Cache, CacheError, verify
from workers.document import DocumentError

BODY = documents.body(documents.backend())


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "state", "n1")


def test_what_was_written_is_read(cache: Cache) -> None:
    cache.write(BODY, "v1")
    document = cache.read()
    assert document
    assert document.version == documents.version(BODY)
    assert cache.path.stat().st_mode & 0o777 == 0o600


def test_there_may_be_none(cache: Cache) -> None:
    assert cache.read() is None


@pytest.mark.parametrize("length", range(0, len(BODY), 97))
def test_one_that_was_cut_is_not_believed(cache: Cache, length: int) -> None:
    cache.write(BODY[:length], "v1")
    with pytest.raises(CacheError, match="ignored until the control plane answers"):
        cache.read()


@pytest.mark.parametrize(
    ("part", "altered"),
    [
        (b'"10.11.1.0/24"', b'"10.11.9.0/24"'),
        (b'"gateways":["10.0.0.2"]', b'"gateways":["10.0.0.3"]'),
        (b'"version":"', b'"version":"0'),
        (b'"networks":[', b'"networks":[],"x":['),
    ],
)
def test_one_that_was_altered_is_not_believed(cache: Cache, part: bytes, altered: bytes) -> None:
    assert part in BODY
    cache.write(BODY.replace(part, altered, 1), "v1")
    with pytest.raises(CacheError):
        cache.read()


def test_one_of_another_node_is_not_believed() -> None:
    with pytest.raises(DocumentError, match=r"it is for node 'n2', not 'n1'; set NETADMIN_NODE"):
        verify(documents.body(node="n2"), "n1")


def test_it_can_be_dropped_twice(cache: Cache) -> None:
    cache.write(BODY, "v1")
    cache.drop()
    cache.drop()
    assert cache.read() is None


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    files.replace(file, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("workers.files.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        files.replace(file, b"new")
    assert file.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_a_killed_write_left_is_swept(tmp_path: Path) -> None:
    (tmp_path / f".file{files.UNFINISHED}").write_bytes(b"ha")
    (tmp_path / ".other").write_bytes(b"not ours")
    files.sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".other"]


def test_a_lock_is_held_once(tmp_path: Path) -> None:
    assert files.lock(tmp_path / "lock") is not None
    assert files.lock(tmp_path / "lock") is None
