import os
import threading

import pytest

from lab.namespaces import CommandFailed, Namespace
from lab.waiting import until


def _inode() -> int:
    return os.stat("/proc/thread-self/ns/net").st_ino


def test_a_program_runs_inside_and_the_thread_stays_where_it_was() -> None:
    before = _inode()
    with Namespace("n1") as namespace:
        assert "LOOPBACK" in namespace.run(["ip", "-brief", "link"])
        seen = int(namespace.run(["stat", "-Lc", "%i", "/proc/self/ns/net"]))
        assert seen == os.fstat(namespace.fd).st_ino
        assert seen != before
    assert _inode() == before


def test_only_the_thread_that_enters_is_inside() -> None:
    before = _inode()
    seen: list[int] = []

    def enter() -> None:
        with Namespace("n1") as namespace, namespace.entered():
            seen.append(_inode())
            looked.wait()

    looked = threading.Event()
    thread = threading.Thread(target=enter)
    thread.start()
    until(lambda: seen, what="the other thread is inside", within=5)
    assert _inode() == before != seen[0]
    looked.set()
    thread.join()


def test_a_failure_tells_the_program_and_what_it_wrote() -> None:
    with (
        Namespace("n1") as namespace,
        pytest.raises(CommandFailed, match=r"n1: ip link set lo mtu none: .*none"),
    ):
        namespace.run(["ip", "link", "set", "lo", "mtu", "none"])


def test_it_ends_with_its_last_descriptor() -> None:
    with Namespace("here") as here:

        def interfaces() -> str:
            return here.run(["ip", "-brief", "link"])

        with Namespace("n1") as inside:
            pair = [
                "ip",
                "link",
                "add",
                "na-peer",
                "type",
                "veth",
                "peer",
                "name",
                "eth0",
                "netns",
                inside.path,
            ]
            here.run(pair)
            assert "na-peer" in interfaces()
        until(lambda: "na-peer" not in interfaces(), what="its interfaces are gone", within=5)
