"""What the worker keeps of attachments: read by the next one, and nothing of it is lost."""

import resource
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.waiting import until
from tests.worker.attachments import attachment
from tests.worker.conftest import Node
from tests.worker.control_plane import ControlPlane
from workers.agent import Agent
from workers.attaching.entry import Entry
from workers.attaching.journal import Journal

RESULT = '{"ips": [{"address": "10.11.1.2/24"}]}'


def an_entry(number: int = 1, **values: Any) -> Entry:
    conf = '{"plugins": [{"type": "bridge", "bridge": "obr_backend1"}]}'
    return replace(Entry(attachment(number), conf, "/usr/lib/cni", "/run/netns/c1", "c1", 7), **values)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    journal = Journal(tmp_path)
    assert journal.read() == {}
    return journal


def test_what_was_written_is_read_by_the_next_worker(journal: Journal, tmp_path: Path) -> None:
    first, second = an_entry(1), an_entry(2, own="root..svc..web2", result=RESULT)
    journal.write(first)
    journal.write(second)
    journal.finish(finished := replace(first, result=RESULT))
    assert Journal(tmp_path).read() == {first.attachment.id: finished, second.attachment.id: second}


def test_what_is_written_again_has_no_result_of_before(journal: Journal) -> None:
    journal.write(entry := an_entry())
    journal.finish(replace(entry, result=RESULT))
    journal.write(entry)
    assert journal.read_one(entry.attachment.id) == entry


@pytest.mark.parametrize("length", [1, 20, -1])
def test_a_result_that_is_not_whole_is_none(journal: Journal, length: int) -> None:
    journal.write(entry := an_entry())
    (path,) = journal.directory.iterdir()
    before = path.read_bytes()
    journal.finish(replace(entry, result=RESULT))
    added = path.read_bytes()[len(before) :]
    path.write_bytes(before + added[:length])
    assert journal.read() == {entry.attachment.id: entry}
    assert journal.findings == ()


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Journal]:
    """On a disk that has room for two pages."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "none", tmp_path], check=True)
    try:
        journal = Journal(tmp_path)
        journal.read()
        yield journal
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_disk_that_takes_a_part_only_costs_nothing_of_what_was_written(full: Journal) -> None:
    full.write(entry := an_entry())
    with pytest.raises(OSError, match="No space left"):
        full.write(replace(entry, conf=entry.conf + " " * 6000))
    with pytest.raises(OSError, match="No space left"):
        full.finish(replace(entry, result=RESULT[:-1] + " " * 10_000 + "}"))
    assert full.read() == {entry.attachment.id: entry}
    assert full.findings == ()


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (b"", "body: is not whole JSON"),
        (b'{"format": 1, "attachm', "body: is not whole JSON"),
        (b'{"format": 9}\n', "format: only 1 is read"),
        (b'{"format": 1}\n', "is missing in journal"),
    ],
)
def test_a_file_that_cannot_be_read_is_set_aside_and_told(
    journal: Journal, tmp_path: Path, damage: bytes, why: str
) -> None:
    journal.write(whole := an_entry(1))
    key = an_entry(2).attachment.id
    (journal.directory / f"{key}.json").write_bytes(damage)
    assert journal.read() == {whole.attachment.id: whole}
    aside = journal.directory / f"{key}.1.unread"
    assert aside.read_bytes() == damage
    (finding,) = journal.findings
    assert (finding.code, finding.subject, finding.level) == ("journal", str(aside), "problem")
    assert why in finding.why
    assert f"attachment {key} may still be there" in finding.why
    assert f"call it {key}.json" in finding.remedy
    assert key in journal.ids(), "its leases are not taken for leaks"
    assert [one.subject for one in _read_again(tmp_path).findings] == [str(aside)]
    aside.unlink()
    assert journal.findings == ()


def test_one_that_cannot_be_read_for_want_of_descriptors_stays_and_is_read_later(journal: Journal) -> None:
    journal.write(entry := an_entry())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            journal.read_one(entry.attachment.id)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (journal.read(), journal.findings) == ({entry.attachment.id: entry}, ())


def _read_again(state: Path) -> Journal:
    journal = Journal(state)
    journal.read()
    return journal


def test_each_file_that_was_set_aside_is_kept(journal: Journal) -> None:
    path = journal.directory / f"{an_entry().attachment.id}.json"
    for damage in (b"first", b"second"):
        path.write_bytes(damage)
        journal.read()
    assert sorted(one.read_bytes() for one in journal.directory.iterdir()) == [b"first", b"second"]
    assert len(journal.findings) == 2


def test_one_that_was_mended_and_renamed_is_read(journal: Journal, tmp_path: Path) -> None:
    journal.write(entry := an_entry())
    path = journal.directory / f"{entry.attachment.id}.json"
    whole = path.read_bytes()
    path.write_bytes(whole[:30])
    journal.read()
    (aside,) = journal.directory.iterdir()
    aside.write_bytes(whole)
    aside.rename(path)
    again = Journal(tmp_path)
    assert again.read() == {entry.attachment.id: entry}
    assert again.findings == ()


def test_one_that_may_be_in_a_services_own_namespace_keeps_it(journal: Journal) -> None:
    journal.write(entry := an_entry(own="root..svc..web1"))
    assert not journal.shared(entry)
    (journal.directory / f"{an_entry(2).attachment.id}.json").write_bytes(b"{")
    assert journal.shared(entry)


@pytest.fixture
def damaged(node: Node) -> Path:
    """Before the worker starts."""
    path = node.state / "attachments" / f"{an_entry().attachment.id}.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(b'{"format": 1, "atta')
    return path


def test_the_control_plane_is_told(damaged: Path, node: Node, plane: ControlPlane, agent: Agent) -> None:
    def told() -> bool:
        newest = plane.reports[-1].findings if plane.reports else ()
        return [finding.code for finding in newest] == ["journal"]

    until(told, what="the problem is reported", within=40)
    assert not damaged.exists()
