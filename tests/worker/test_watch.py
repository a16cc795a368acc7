"""What wakes the agent: real kernel events in a namespace, real files, other threads."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.namespaces import Namespace
from tests.worker.conftest import Node
from workers.watch import BURST, Watch

SOON = 2.0
"""Seconds; more than any event takes."""
NOTHING = 0.02


@pytest.fixture
def watch(node: Node) -> Iterator[Watch]:
    with node.namespace.entered():
        watch = Watch()
    with watch:
        yield watch


@pytest.fixture
def quiet() -> Iterator[Namespace]:
    """A namespace in which nothing is up, so that nothing happens by itself."""
    with Namespace("quiet") as namespace:
        yield namespace


@pytest.fixture
def calm(quiet: Namespace) -> Iterator[Watch]:
    with quiet.entered():
        watch = Watch()
    with watch:
        yield watch


@pytest.mark.parametrize(
    ("before", "change"),
    [
        ("", "route add 10.20.0.0/16 via 10.0.0.2"),
        ("route add 10.20.0.0/16 via 10.0.0.2", "route del 10.20.0.0/16"),
        ("", "addr add 10.0.0.9/24 dev eth0"),
        ("addr add 10.0.0.9/24 dev eth0", "addr del 10.0.0.9/24 dev eth0"),
        ("", "addr add fd00::1/64 dev eth0"),
        ("", "-6 route add fd01::/64 dev eth0"),
        ("", "link add obr_x type bridge"),
        ("", "link set eth0 down"),
        ("", "link set eth0 mtu 1400"),
        ("", "rule add from 10.0.0.0/8 lookup 100"),
        ("", "-6 rule add from fd00::/8 lookup 100"),
    ],
)
def test_the_kernel_says_what_anybody_changes(node: Node, watch: Watch, before: str, change: str) -> None:
    if before:
        node.ip(before)
    watch.forget()
    node.ip(change)
    assert watch.wait(SOON) == {"kernel"}


@pytest.mark.parametrize(
    ("switch", "value"),
    [
        ("net/ipv4/ip_forward", "1"),
        ("net/ipv6/conf/all/forwarding", "1"),
        ("net/ipv4/conf/all/rp_filter", "1"),
        ("net/ipv4/conf/lo/rp_filter", "2"),
    ],
)
def test_the_kernel_says_that_a_switch_of_routing_was_set(
    quiet: Namespace, calm: Watch, switch: str, value: str
) -> None:
    calm.forget()
    quiet.run(["sh", "-c", f"echo {value} > /proc/sys/{switch}"])
    assert calm.wait(SOON) == {"kernel"}


@pytest.mark.parametrize("change", ["add table inet other", "flush ruleset"])
def test_nftables_says_what_anybody_changes(node: Node, watch: Watch, change: str) -> None:
    node.namespace.run(["nft", "add", "table", "inet", "ours"])
    watch.forget()
    node.namespace.run(["nft", *change.split()])
    assert watch.wait(SOON) == {"firewall"}


@pytest.mark.parametrize(
    "change",
    [
        lambda place: (place / "new").write_text("x"),
        lambda place: (place / "there").write_text("y"),
        lambda place: (place / "there").unlink(),
        lambda place: (place / "there").rename(place / "elsewhere"),
        lambda place: (place / "there").rename(place.parent / "away"),
        lambda place: (place / "link").symlink_to("there"),
    ],
    ids=["new", "written", "deleted", "renamed", "moved away", "linked"],
)
def test_a_directory_says_what_anybody_changes(
    calm: Watch, tmp_path: Path, change: Callable[[Path], object]
) -> None:
    place = tmp_path / "net.d"
    place.mkdir()
    (place / "there").write_text("x")
    calm.follow({place: "files"})
    calm.forget()
    change(place)
    assert calm.wait(SOON) == {"files"}


def test_reading_is_no_event(calm: Watch, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("x")
    calm.follow({tmp_path: "files"})
    (tmp_path / "there").read_text()
    list(tmp_path.iterdir())
    assert calm.wait(NOTHING) == set()


def test_a_directory_that_is_made_again_is_followed_again(calm: Watch, tmp_path: Path) -> None:
    place = tmp_path / "net.d"
    calm.follow({place: "files"})
    for _ in range(2):
        place.mkdir()
        calm.follow({place: "files"})
        calm.forget()
        place.rmdir()
        assert calm.wait(SOON) == {"files"}


def test_leases_and_files_are_told_apart(calm: Watch, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    calm.follow({tmp_path / "a": "files", tmp_path / "b": "leases"})
    (tmp_path / "b" / "10.0.0.1").write_text("x")
    assert calm.wait(SOON) == {"leases"}
    (tmp_path / "a" / "x").write_text("x")
    (tmp_path / "b" / "10.0.0.2").write_text("x")
    assert calm.wait(SOON) == {"files", "leases"}


def test_a_burst_is_one(quiet: Namespace, calm: Watch) -> None:
    quiet.run(
        ["ip", "-batch", "-"],
        stdin="\n".join(f"route add blackhole 10.20.{n}.0/24" for n in range(200)),
    )
    assert calm.wait(SOON) == {"kernel"}
    assert calm.wait(NOTHING) == set()


def test_a_burst_that_does_not_end_is_looked_at_all_the_same(
    calm: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = time.monotonic()

    def endless(_: float) -> set[str]:
        assert time.monotonic() - start < BURST + 0.5
        return {"files"}

    monkeypatch.setattr(calm, "_take", endless)
    assert calm.wait(SOON) == {"files"}


def test_more_events_than_the_queue_holds_are_an_event(quiet: Namespace, calm: Watch) -> None:
    lines = [f"route {verb} blackhole 10.20.{n}.0/24" for verb in ("add", "del") for n in range(250)]
    quiet.run(["ip", "-batch", "-"], stdin="\n".join(lines * 4))
    assert calm.wait(SOON) == {"kernel"}
    calm.forget()
    quiet.run(["ip", "route", "add", "blackhole", "10.20.0.0/16"])
    assert calm.wait(SOON) == {"kernel"}


def test_what_happened_before_a_look_is_forgotten_but_not_what_other_threads_ask(
    quiet: Namespace, calm: Watch
) -> None:
    quiet.run(["ip", "route", "add", "blackhole", "10.20.0.0/16"])
    calm.wake("wake-up")
    calm.forget()
    assert calm.wait(SOON) == {"wake-up"}


def test_another_thread_wakes_it_at_once_and_reasons_coalesce(calm: Watch) -> None:
    waker = threading.Timer(0.05, lambda: calm.wake("wake-up", "document"))
    waker.start()
    start = time.monotonic()
    assert calm.wait(SOON) == {"wake-up", "document"}
    assert time.monotonic() - start < 0.5
    waker.join()
    calm.wake("a")
    calm.wake("b")
    assert calm.wait(SOON) == {"a", "b"}
    assert calm.wait(NOTHING) == set()


def test_in_a_pause_only_other_threads_are_heard(quiet: Namespace, calm: Watch) -> None:
    calm.forget()
    quiet.run(["ip", "route", "add", "blackhole", "10.20.0.0/16"])
    assert calm.pause(NOTHING) == set()
    calm.wake("stop")
    assert calm.pause(SOON) == {"stop"}
    assert calm.wait(SOON) == {"kernel"}


def test_who_wakes_it_behind_its_end_is_not_heard(quiet: Namespace) -> None:
    """The descriptor may be another one's by then."""
    with quiet.entered(), Watch() as watch:
        pass
    watch.wake("late")
