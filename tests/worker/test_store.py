"""The host-local store as it is read, in the plugin's own format and by the plugin itself."""

import errno
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import hostlocal
from workers.cni import plugins
from workers.cni.store import Store
from workers.config import Settings
from workers.config import load as settings_of
from workers.report import Lease

NODE = {"NETADMIN_NODE": "n1", "NETADMIN_URL": "http://192.0.2.1", "NETADMIN_TOKEN": "x"}


def test_it_reads_what_the_plugin_wrote(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for container in ("aaa", "bbb"):
        hostlocal.add(tmp_path, container)
    assert store.leases() == (
        Lease("backend1", "10.11.1.2", "aaa", "eth0"),
        Lease("backend1", "10.11.1.3", "bbb", "eth0"),
    )
    hostlocal.delete(tmp_path, "aaa")
    assert store.leases() == (Lease("backend1", "10.11.1.3", "bbb", "eth0"),)


def test_it_orders_by_network_and_number_and_takes_nothing_else_for_a_lease(tmp_path: Path) -> None:
    _write(tmp_path / "b" / "10.1.0.10", b"x\r\neth0")
    _write(tmp_path / "b" / "10.1.0.9", b"y\r\neth0")
    _write(tmp_path / "b" / "fd00::2", b"y\r\neth1")
    _write(tmp_path / "a" / "10.2.0.1", b"old")
    _write(tmp_path / "a" / "10.2.0.2", b"\0\0\0\0")
    _write(tmp_path / "a" / "10.2.0.3", b"netadmin:reserved:7f\r\n-")
    _write(tmp_path / "a" / "lock", b"")
    _write(tmp_path / "a" / "last_reserved_ip.0", b"10.2.0.2")
    (tmp_path / "stray").write_bytes(b"")
    assert Store(tmp_path).leases() == (
        Lease("a", "10.2.0.1", "old", ""),
        Lease("a", "10.2.0.2", "", ""),
        Lease("b", "10.1.0.9", "y", "eth0"),
        Lease("b", "10.1.0.10", "x", "eth0"),
        Lease("b", "fd00::2", "y", "eth1"),
    )


def test_it_sees_that_an_address_has_another_owner(tmp_path: Path) -> None:
    store = Store(tmp_path)
    _write(tmp_path / "a" / "10.2.0.1", b"first\r\neth0")
    assert store.leases()[0].container == "first"
    (tmp_path / "a" / "10.2.0.1").unlink()
    _write(tmp_path / "a" / "10.2.0.1", b"second\r\neth0")
    assert store.leases()[0].container == "second"


def test_one_that_was_seen_empty_is_read_again_whatever_its_time_says(tmp_path: Path) -> None:
    """A plugin makes the file and then writes it, within one tick of a file system's clock."""
    (tmp_path / "backend1").mkdir()
    file, store = tmp_path / "backend1" / "10.11.1.2", Store(tmp_path)
    file.touch()
    status = file.stat()
    assert [one.container for one in store.leases()] == [""]
    file.write_bytes(b"abc\r\neth0")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert [one.container for one in store.leases()] == ["abc"]


def test_a_lease_is_settled_once_its_owner_is_written_or_will_not_be(tmp_path: Path) -> None:
    (tmp_path / "backend1").mkdir()
    writing, given_up = (tmp_path / "backend1" / address for address in ("10.11.1.2", "10.11.1.3"))
    writing.touch()
    given_up.touch()
    os.utime(given_up, (before := time.time() - 2, before))
    store = Store(tmp_path)
    assert [one.address for one in store.settled()] == ["10.11.1.3"]
    writing.write_bytes(b"abc\r\neth0")
    assert [one.container for one in store.settled()] == ["abc", ""]


def test_a_store_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert Store(tmp_path / "none").leases() == ()


def test_what_cannot_be_read_is_taken_and_hides_nothing_else(tmp_path: Path) -> None:
    _write(tmp_path / "a" / "10.2.0.1", b"abc\r\neth0")
    (tmp_path / "a" / "10.2.0.2").mkdir()
    os.mkfifo(tmp_path / "a" / "10.2.0.3")
    for path in (tmp_path / "a" / "10.2.0.4", tmp_path / "b"):
        path.symlink_to(path)
    store = Store(tmp_path)
    nobody = [Lease("a", f"10.2.0.{last}", "", "") for last in (2, 3, 4)]
    assert store.leases() == store.settled() == (Lease("a", "10.2.0.1", "abc", "eth0"), *nobody)
    assert [one.container for one in store.entries()] == ["abc"]
    assert store.networks() == [tmp_path / "a"]
    assert list(store.unread) == [
        str(tmp_path / path) for path in ("a/10.2.0.2", "a/10.2.0.3", "a/10.2.0.4", "b")
    ]
    (tmp_path / "a" / "10.2.0.2").rmdir()
    _write(tmp_path / "a" / "10.2.0.2", b"def\r\neth0")
    assert [one.container for one in store.entries()] == ["abc", "def"]


@pytest.mark.parametrize("failing", ["a", "a/10.2.0.1"])
def test_what_was_read_before_counts_while_it_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    _write(tmp_path / "a" / "10.2.0.1", b"abc\r\neth0")
    _write(tmp_path / "b" / "10.3.0.1", b"def\r\neth0")
    store = Store(tmp_path)
    before = store.leases()
    with monkeypatch.context() as patch:
        _fail(patch, tmp_path / failing)
        os.utime(tmp_path / "a" / "10.2.0.1", ns=(1, 1))
        assert store.leases() == before
        assert [one.network for one in store.entries()] == ["b"]
        assert store.unread == {str(tmp_path / failing): os.strerror(errno.EIO)}
    assert [one.network for one in store.entries()] == ["a", "b"]


def _fail(patch: pytest.MonkeyPatch, failing: Path) -> None:
    """As a disk that is broken there."""

    def door(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, *args: Any, **options: Any) -> Any:
            if Path(path) == failing:
                raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
            return real(path, *args, **options)

        return call

    patch.setattr(os, "scandir", door(os.scandir))
    patch.setattr("builtins.open", door(open))


@pytest.mark.parametrize("name", [b"half\xff/10.2.0.1", b"a/fe80::1%\xff"])
def test_a_name_that_is_no_text_is_none(tmp_path: Path, name: bytes) -> None:
    """The control plane would take no report that tells of it."""
    _write(Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)), b"abc\r\neth0")
    assert Store(tmp_path).leases() == ()


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A configured plugin directory and the one that takes its place, both empty."""
    configured, packaged = tmp_path / "configured", tmp_path / "packaged"
    configured.mkdir()
    packaged.mkdir()
    monkeypatch.setattr(plugins, "FALLBACK", (tmp_path / "none", packaged))
    return configured, packaged


def _settings(place: Path) -> Settings:
    return settings_of({**NODE, "NETADMIN_CNI_PLUGINS": str(place)})


def test_a_plugin_directory_with_a_bridge_is_taken(places: tuple[Path, Path]) -> None:
    for place in places:
        _program(place / "bridge")
    assert plugins.directory(_settings(places[0]), None) == places[0]


def test_one_without_is_replaced_by_the_packages(places: tuple[Path, Path]) -> None:
    _program(places[1] / "bridge")
    (places[0] / "bridge").write_text("not a program")
    _program(places[1] / "loopback")
    place = plugins.directory(_settings(places[0]), None)
    assert place == places[1]
    assert plugins.names(place) == ("bridge", "loopback")
    assert plugins.missing(place) == ()


def test_none_at_all_is_a_finding_with_the_package_to_install(places: tuple[Path, Path]) -> None:
    place = plugins.directory(_settings(places[0]), None)
    assert place == places[0]
    (finding,) = plugins.missing(place)
    assert finding.code == "no-plugin"
    assert "containernetworking-plugins" in finding.remedy
    assert plugins.names(places[0] / "none") == ()


def test_a_plugin_that_a_file_calls_and_that_is_not_there_is_a_finding_of_its_network() -> None:
    content = json.dumps({"plugins": [{"type": "ptp", "ipam": {"type": "dhcp"}}, {"type": "portmap"}]})
    files = {"direct": content, "lo": json.dumps({"type": "loopback"}), "broken": "{"}
    findings = plugins.not_there(files, Path("/usr/lib/cni"), ("loopback", "portmap", "ptp"))
    assert [(one.code, one.network, one.subject) for one in findings] == [
        ("no-plugin", "direct", "plugin dhcp in /usr/lib/cni")
    ]


def _program(path: Path) -> None:
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
