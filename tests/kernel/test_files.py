"""CNI files: whole, unchanged when nothing changes, gone when nobody wants them."""

import dataclasses
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.documents import bridge, document, loopback, routed
from tests.kernel.node import Node
from workers.cni import confs, directory


def test_an_unchanged_file_keeps_its_inode_and_time(node: Node) -> None:
    node.converge(document(bridge()))
    path = node.directory / "local1.conflist"
    before = path.stat()
    node.converge(document(bridge(), routed(), ranges=("10.10.10.0/24",)))
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_runtime_that_is_reading_a_file_when_it_changes_reads_the_old_one_to_its_end(node: Node) -> None:
    node.converge(document(bridge()))
    before = node.files()["local1.conflist"]
    with (node.directory / "local1.conflist").open("rb", buffering=0) as reader:
        start = reader.read(10)
        node.converge(document(bridge(mtu=1400)))
        assert (start + reader.read()).decode() == before
    assert node.files()["local1.conflist"] != before


def test_a_file_is_readable_for_every_runtime_and_nothing_else_is_left_beside_it(node: Node) -> None:
    node.converge(document(bridge()))
    assert [path.name for path in node.directory.iterdir()] == ["local1.conflist"]
    assert stat.S_IMODE((node.directory / "local1.conflist").stat().st_mode) & 0o444 == 0o444


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: path.unlink(), id="deleted"),
        pytest.param(lambda path: path.write_text(path.read_text().replace("1500", "9000")), id="edited"),
    ],
)
def test_it_puts_a_file_back(node: Node, damage: Callable[[Path], object]) -> None:
    wanted = document(bridge())
    node.converge(wanted)
    before = node.files()
    damage(node.directory / "local1.conflist")
    (change,) = node.converge(wanted)
    assert "local1.conflist" in change
    assert node.files() == before


def test_a_file_that_was_left_empty_by_a_power_cut_is_not_ours_and_said_so(node: Node) -> None:
    """It cannot be told whose it was; written through a rename, ours are never half there."""
    node.converge(document(bridge()))
    (node.directory / "local1.conflist").write_text("")
    (finding,) = node.plan(document(bridge())).findings
    assert finding.code == "conflict"


def test_files_follow_a_directory_that_is_declared_elsewhere(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless the node itself fixes the directory, what is left in the usual ones is taken away."""
    old, new = str(tmp_path / "old"), str(tmp_path / "new")
    monkeypatch.setattr(confs, "DIRECTORIES", (old,))
    node.settings = dataclasses.replace(node.settings, cni_config="")
    node.converge(document(bridge(), loopback(), cni_config=old))
    assert sorted(os.listdir(old)) == ["lo.conflist", "local1.conflist"]
    node.converge(document(bridge(), loopback(), cni_config=new))
    assert sorted(os.listdir(new)) == ["lo.conflist", "local1.conflist"]
    assert os.listdir(old) == []


def test_a_directory_that_is_not_there_holds_no_files(tmp_path: Path) -> None:
    assert directory.read([str(tmp_path / "nowhere")]) == {}


def test_only_what_a_runtime_looks_at_is_read(tmp_path: Path) -> None:
    for name in ("a.conflist", "b.conf", "c.json", "cni.lock", ".d.conflist.netadmin-new", "e.conflist~"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "f.conf").mkdir()
    assert sorted(Path(path).name for path in directory.read([str(tmp_path)])) == [
        "a.conflist",
        "b.conf",
        "c.json",
    ]


def test_the_mark_is_what_makes_a_file_ours() -> None:
    assert confs.decode("/x", json.dumps({"netadmin": {}, "name": "a"}))[1]
    assert not confs.decode("/x", json.dumps({"name": "netadmin"}))[1]


@pytest.mark.parametrize(
    ("name", "content", "listed"),
    [
        pytest.param(
            "87-podman.conflist", {"name": "podman", "plugins": [{"type": "bridge"}]}, "podman", id="list"
        ),
        pytest.param("theirs.conf", {"type": "ptp"}, "theirs", id="without a name"),
        pytest.param("broken.conf", "{", "broken", id="broken"),
        pytest.param("portmap.conf", {"name": "portmap", "type": "portmap"}, None, id="portmap alone"),
        pytest.param(
            "x.conflist", {"name": "x", "plugins": [{"type": "portmap"}]}, None, id="portmap in a list"
        ),
        pytest.param("ours.conflist", {"name": "ours", "netadmin": {}}, None, id="ours"),
    ],
)
def test_files_of_others_are_told_by_the_network_they_describe(
    node: Node, name: str, content: object, listed: str | None
) -> None:
    node.directory.mkdir(exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    (node.directory / name).write_text(text)
    told = node.look(document(bridge())).confs
    assert told == ({f"{node.directory}/{name}": listed} if listed else {})
    assert (node.directory / name).read_text() == text
