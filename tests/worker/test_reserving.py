"""Reservations in the IPAM store, beside the real host-local plugin."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from tests import hostlocal
from workers.cni import reserving as reservings
from workers.cni import store as stores
from workers.cni.reserving import Reserving
from workers.cni.store import OURS, Store
from workers.holdings import Declined, Reservation

SMALL = "10.11.1.0/28"
"""10.11.1.2 to 10.11.1.14: 13 addresses for containers."""


def a_reservation(address: str, key: str = "", network: str = "backend1") -> Reservation:
    return Reservation(key or uuid4().hex, network, address)


def names(store: Path, network: str = "backend1") -> list[str]:
    own = {"lock", "last_reserved_ip.0"}
    return sorted(path.name for path in (store / network).iterdir() if path.name not in own)


def fill(store: Path, subnet: str = SMALL) -> list[str]:
    """Every address that the plugin hands out until it says that there is none."""
    found = []
    for number in range(100):
        try:
            found.append(hostlocal.add(store, f"c{number}", subnet))
        except hostlocal.Refused as refused:
            if "no IP addresses available" not in str(refused):
                raise
            return found
    raise AssertionError("the plugin goes on handing out")


def test_the_plugin_hands_out_all_but_what_is_reserved(tmp_path: Path) -> None:
    kept = ["10.11.1.3", "10.11.1.9", "10.11.1.14"]
    assert Reserving(tmp_path).hold(map(a_reservation, kept)).declined == ()
    given = fill(tmp_path)
    assert set(given) == {f"10.11.1.{n}" for n in range(2, 15)} - set(kept)
    assert Store(tmp_path).leases() == tuple(
        entry.lease for entry in Store(tmp_path).entries() if not entry.reserved
    )
    assert len(Store(tmp_path).leases()) == 10


def test_one_that_is_listed_no_more_is_handed_out_again(tmp_path: Path) -> None:
    kept = [a_reservation("10.11.1.14")]
    reserving = Reserving(tmp_path)
    reserving.hold(kept)
    assert len(fill(tmp_path)) == 12
    reserving.hold([])
    assert hostlocal.add(tmp_path, "late", SMALL) == "10.11.1.14"


def test_the_file_is_in_the_form_of_a_lease(tmp_path: Path) -> None:
    Reserving(tmp_path).hold([a_reservation("fd11::9", "7f" * 16)])
    assert (tmp_path / "backend1" / "fd11::9").read_bytes() == b"netadmin:reserved:" + b"7f" * 16 + b"\r\n-"
    assert not any((tmp_path / OURS).iterdir())


def test_a_second_time_writes_nothing(tmp_path: Path) -> None:
    kept = [a_reservation(f"10.11.1.{n}") for n in range(2, 12)]
    Reserving(tmp_path).hold(kept)
    before = {path.name: path.stat() for path in (tmp_path / "backend1").iterdir()}
    os.utime(tmp_path / "backend1", ns=(1, 1))
    again = Reserving(tmp_path)
    again.hold(kept)
    again.hold(reversed(kept))
    assert {path.name: path.stat() for path in (tmp_path / "backend1").iterdir()} == before
    assert (tmp_path / "backend1").stat().st_mtime_ns == 1


def test_what_somebody_deleted_is_back(tmp_path: Path) -> None:
    kept = [a_reservation("10.11.1.5"), a_reservation("10.11.1.6")]
    reserving = Reserving(tmp_path)
    reserving.hold(kept)
    (tmp_path / "backend1" / "10.11.1.5").unlink()
    reserving.hold(kept)
    assert names(tmp_path) == ["10.11.1.5", "10.11.1.6"]


def test_a_lease_that_is_there_is_declined_with_its_holder_and_left_alone(tmp_path: Path) -> None:
    assert hostlocal.add(tmp_path, "first", SMALL) == "10.11.1.2"
    taken, free = a_reservation("10.11.1.2"), a_reservation("10.11.1.3")
    reserving = Reserving(tmp_path)
    held = reserving.hold([taken, free])
    assert held.declined == (Declined(taken.id, "first"),)
    assert names(tmp_path) == ["10.11.1.2", "10.11.1.3"]
    hostlocal.delete(tmp_path, "first", SMALL)
    assert reserving.hold([taken, free]).declined == ()
    assert names(tmp_path) == ["10.11.1.2", "10.11.1.3"]


def test_a_reservation_of_another_id_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    reserving = Reserving(tmp_path)
    reserving.hold([a_reservation("10.11.1.5")])
    newer = a_reservation("10.11.1.5")
    assert reserving.hold([newer]).declined == ()
    assert Store(tmp_path).entries()[0].reserved == newer.id


def test_leases_of_others_and_other_networks_stay(tmp_path: Path) -> None:
    hostlocal.add(tmp_path, "other", "10.12.1.0/24", "backend2")
    reserving = Reserving(tmp_path)
    reserving.hold([a_reservation("10.11.1.5"), a_reservation("10.12.1.9", network="backend2")])
    reserving.hold([])
    assert (names(tmp_path), names(tmp_path, "backend2")) == ([], ["10.12.1.2"])


def test_a_plugin_waits_only_for_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While 3,000 addresses are reserved, an ADD takes no longer than it takes beside 3,000 leases."""
    kept = [a_reservation(f"10.11.{n // 250}.{n % 250 + 2}") for n in range(3000)]
    hostlocal.add(tmp_path, "first", "10.11.0.0/16")
    worst, done = [], threading.Event()

    def hold() -> None:
        Reserving(tmp_path).hold(kept)
        done.set()

    thread = threading.Thread(target=hold)
    thread.start()
    while not done.is_set():
        start = time.monotonic()
        hostlocal.add(tmp_path, uuid4().hex, "10.11.0.0/16")
        worst.append(time.monotonic() - start)
    thread.join()
    start = time.monotonic()
    hostlocal.add(tmp_path, "last", "10.11.0.0/16")
    alone = time.monotonic() - start
    assert max(worst) < max(10 * alone, 0.5)


def test_reservations_made_while_containers_start_never_share_an_address(tmp_path: Path) -> None:
    kept = [a_reservation(f"10.11.1.{n}") for n in range(2, 255, 3)]
    reserving = Reserving(tmp_path)
    with ThreadPoolExecutor(5) as pool:
        adding = [pool.submit(hostlocal.add, tmp_path, f"c{n}") for n in range(120)]
        for count in range(0, len(kept), 5):
            reserving.hold(kept[:count])
        declined = {one.id for one in reserving.hold(kept).declined}
        given = [one.result() for one in adding]
    held = {one.address for one in kept if one.id not in declined}
    assert len(set(given)) == 120
    assert not held & set(given)
    assert {one.address for one in kept} <= held | set(given)


def test_what_cannot_be_read_is_nobody_elses_trouble(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An address whose lease cannot be read is somebody's; in a network that cannot be, nothing is sure."""
    (tmp_path / "other" / "10.0.0.9").mkdir(parents=True)
    (tmp_path / "backend1" / "10.11.1.3").mkdir(parents=True)
    (tmp_path / "b2").symlink_to("b2")
    reserving, taken = Reserving(tmp_path), a_reservation("10.11.1.3")
    kept = [a_reservation("10.11.1.2"), taken, a_reservation("10.12.1.5", network="b2")]
    for _ in range(2):
        held = reserving.hold(kept)
        assert held.declined == (Declined(taken.id, ""),)
        assert list(held.troubles) == ["b2"]
    assert caplog.text.count(f"{tmp_path}/other/10.0.0.9: cannot be read") == 1
    assert fill(tmp_path) == [f"10.11.1.{n}" for n in range(4, 15)]
    (tmp_path / "b2").unlink()
    (tmp_path / "backend1" / "10.11.1.3").rmdir()
    held = reserving.hold(kept)
    assert (held.declined, held.troubles) == ((), {})
    assert names(tmp_path, "b2") == ["10.12.1.5"]


def test_a_reservation_that_cannot_be_read_any_more_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file is in the way as before. That it is dropped is tried until it is."""
    kept, reserving = [a_reservation("10.11.1.5")], Reserving(tmp_path)
    reserving.hold(kept)
    with monkeypatch.context() as patch:
        patch.setattr(stores, "read", _broken)
        patch.setattr(reservings, "read", _broken)
        os.utime(tmp_path / "backend1" / "10.11.1.5", ns=(1, 1))
        held = reserving.hold(kept)
        assert (held.declined, held.troubles) == ((), {})
        assert list(reserving.hold([]).troubles) == ["backend1"]
        assert names(tmp_path) == ["10.11.1.5"]
    assert reserving.hold([]).troubles == {}
    assert names(tmp_path) == []


def _broken(path: str, *_: object) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO), path)


def test_a_lock_that_somebody_keeps_is_said_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "PATIENCE", 0.05)
    (tmp_path / "backend1").mkdir()
    reserving, kept = (
        Reserving(tmp_path),
        [a_reservation("10.11.1.5"), a_reservation("10.12.1.5", network="b2")],
    )
    with open(tmp_path / "backend1" / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        held = reserving.hold(kept)
    assert len(held.troubles) == 1
    assert f"{tmp_path}/backend1/lock: somebody has held it" in held.troubles["backend1"]
    assert names(tmp_path, "b2") == ["10.12.1.5"]
    assert reserving.hold(kept).troubles == {}
    assert names(tmp_path) == ["10.11.1.5"]


KILLED = """
import os, signal, sys
from pathlib import Path
from workers.cni.reserving import Reserving
from workers.holdings import Reservation
calls = iter(range(10**6))
last = int(sys.argv[2])
def until(event, _):
    if event in ("open", "os.link", "os.remove", "os.mkdir") and next(calls) == last:
        os.kill(os.getpid(), signal.SIGKILL)
kept = [Reservation(f"{n:032x}", "backend1", f"10.11.1.{n}") for n in range(5, 10)]
reserving = Reserving(Path(sys.argv[1]))
reserving.hold([Reservation("a" * 32, "backend1", "10.11.1.4"), *kept[:1]])
sys.addaudithook(until)
reserving.hold(kept)
print("done")
"""


def test_a_kill_at_any_step_leaves_every_file_whole(tmp_path: Path) -> None:
    kept = [Reservation(f"{n:032x}", "backend1", f"10.11.1.{n}") for n in range(5, 10)]
    for step in range(1000):
        store = tmp_path / str(step)
        done = subprocess.run(
            [sys.executable, "-c", KILLED, store, str(step)], capture_output=True, check=False
        )
        for entry in Store(store).entries():
            assert entry.reserved in {"a" * 32, *(one.id for one in kept)}
        Reserving(store).hold(kept)
        assert {(str(entry.address), entry.reserved) for entry in Store(store).entries()} == {
            (one.address, one.id) for one in kept
        }
        if done.returncode == 0:
            assert step > 15
            return
        assert done.returncode == -signal.SIGKILL
    raise AssertionError("it never came to its end")
