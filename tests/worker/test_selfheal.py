"""What others do to a node, all at once or again and again; and the worker puts it right and says so.

Single objects are in test_process; here are the aggressors: a flushed table, a network manager of the
distribution, somebody who does not give up.
"""

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from lab.waiting import until
from tests.worker import documents
from tests.worker.conftest import Node, declare
from tests.worker.control_plane import ControlPlane
from tests.worker.test_process import BOTH, Start
from workers import networkd

NETWORKD = "/lib/systemd/systemd-networkd"
UPLINK = """
[Match]
Name=eth0
[Network]
Address=10.0.0.1/24
LinkLocalAddressing=no
IPv6AcceptRA=no
"""
PRIVATE = """
mount -t sysfs none /sys
mount -t tmpfs none /run
mkdir -p /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp /run/systemd/network
chown -R systemd-network /run/systemd/netif
cat > /run/systemd/network/10-uplink.network
mkdir -p /run/systemd/networkd.conf.d /run/udev/data
touch /run/udev/control
for index in $(cat /sys/class/net/*/ifindex); do echo I:1 > /run/udev/data/n$index; done
printf %s "$1" > /run/systemd/networkd.conf.d/netadmin.conf
exec "$0"
"""
"""systemd-networkd with directories of its own. With the records of a udev it does as on a machine:
it configures a device when it knows all addresses and routes that are there."""
MANY = 5000


def _crowd() -> dict[str, Any]:
    """A network of so many nodes, behind next hops of the underlay."""
    whole = IPv4Network("10.128.0.0/9")
    peers = [
        {
            "node": f"n{number}",
            "addresses": [f"10.0.0.{number % 250 + 1}"],
            "gateways": [f"10.0.0.{number % 250 + 1}"],
            "subnets": [str(subnet)],
        }
        for number, subnet in enumerate(islice(whole.subnets(new_prefix=22), MANY + 1))
    ]
    peers[0] |= {"node": "n1", "addresses": ["10.0.0.1"], "gateways": ["10.0.0.1"]}
    peers[1] |= {"node": "n0"}
    return {**documents.backend(), "ranges": [str(whole)], "subnets": peers[0]["subnets"], "peers": peers}


def test_a_flushed_table_of_thousands_of_routes_is_back_and_is_drift(
    node: Node, plane: ControlPlane, start: Start
) -> None:
    declare(plane, documents.body(_crowd()))
    start()
    until(lambda: len(node.routes()) == MANY, what="all routes", within=30)
    until(plane.told, what="the first report", within=30)
    node.ip("route flush proto 157")
    until(lambda: len(node.routes()) == MANY, what="all routes are back", within=5)
    until(lambda: _drifted(plane) == MANY, what="every one of them is reported as drift", within=10)


def test_a_route_of_others_that_takes_our_packets_is_told_until_it_goes(
    node: Node, plane: ControlPlane, start: Start
) -> None:
    node.ip("route add 10.11.2.128/25 via 10.0.0.9")
    start()
    until(plane.told, what="the first report", within=30)
    (finding,) = plane.reports[-1].findings
    assert (finding.code, finding.network) == ("foreign-route", "backend1")
    assert "takes packets for n2" in finding.why
    node.ip("route del 10.11.2.128/25")
    until(lambda: plane.reports[-1].findings == (), what="all is well", within=5)


def _drifted(plane: ControlPlane) -> int:
    return len({change for report in plane.reports for change in report.drift if "route" in change})


@contextmanager
def _networkd(node: Node, drop_in: str = "") -> Iterator[None]:
    """The real one, which gives the underlay its address; it is gone behind the block."""
    with node.namespace.popen(
        ["unshare", "--mount", "sh", "-ec", PRIVATE, NETWORKD, drop_in],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(UPLINK)
        process.stdin.close()
        try:
            until(lambda: _configured(node, process.pid), what="systemd-networkd is ready", within=10)
            yield
            assert process.poll() is None
        finally:
            process.kill()


def _configured(node: Node, pid: int) -> bool:
    """Whether it has done all that it does with the underlay: it says so in its own /run."""
    index = node.ip("-o link show eth0")[0].partition(":")[0]
    state = Path(f"/proc/{pid}/root/run/systemd/netif/links/{index}")
    return "ADMIN_STATE=configured" in _text(state)


@contextmanager
def _deletions(node: Node) -> Iterator[Callable[[], set[str]]]:
    """The destinations of routes that the kernel says were deleted in the block."""
    said = node.config.parent / "deletions"

    def deleted() -> set[str]:
        return set(re.findall(r"^Deleted (?:blackhole )?(\S+)", said.read_text(), re.MULTILINE))

    with (
        said.open("w") as file,
        node.namespace.popen(["stdbuf", "-oL", "ip", "monitor", "route"], stdout=file) as monitor,
    ):
        try:
            until(lambda: _blackhole(node, deleted), what="the monitor listens", within=5)
            yield deleted
        finally:
            monitor.kill()


def _blackhole(node: Node, deleted: Callable[[], set[str]]) -> bool:
    node.ip("route add blackhole 192.0.2.0/24")
    node.ip("route del blackhole 192.0.2.0/24")
    return "192.0.2.0/24" in deleted()


def test_routes_come_back_when_systemd_networkd_takes_the_address_away(
    node: Node, plane: ControlPlane, start: Start
) -> None:
    """Without carrier it takes its address off, and the kernel our routes, without a word about them."""
    declare(plane, documents.body({**documents.backend(), "tunnel": "never"}))
    with _networkd(node):
        start()
        until(lambda: node.routes() == BOTH, what="routes to both peers", within=10)
        until(plane.told, what="the first report", within=10)
        node.ip("link set wire down")
        until(lambda: not node.routes(), what="the routes are gone", within=5)
        node.ip("link set wire up")
        until(lambda: node.routes() == BOTH, what="the routes are back", within=5)
        until(lambda: _drifted(plane) == len(BOTH), what="they are reported as drift", within=5)


def test_what_a_restarted_systemd_networkd_deletes_is_back_and_is_drift(
    node: Node, plane: ControlPlane, start: Start
) -> None:
    """By default it deletes every route on its links that it did not make."""
    with _networkd(node):
        start()
        until(lambda: node.routes() == BOTH, what="routes to both peers", within=10)
        until(plane.told, what="the first report", within=10)
    with _deletions(node) as deleted, _networkd(node):
        until(lambda: deleted() >= BOTH, what="it deletes our routes", within=5)
        until(lambda: node.routes() == BOTH, what="the routes are back", within=1)
        until(lambda: _drifted(plane) == len(BOTH), what="they are reported as drift", within=5)


def test_with_the_drop_in_that_is_offered_a_restart_deletes_nothing(
    node: Node, plane: ControlPlane, start: Start
) -> None:
    with _networkd(node, networkd.OFFER):
        start()
        until(lambda: node.routes() == BOTH, what="routes to both peers", within=10)
        until(plane.told, what="the first report", within=10)
    with _deletions(node) as deleted, _networkd(node, networkd.OFFER):
        assert not deleted() & BOTH
        assert node.routes() == BOTH


@pytest.mark.parametrize(
    "damage",
    ["mv {config} {config}.gone", "sed -i s/10.11.1.0/10.11.9.0/ {config}/backend1.conflist"],
    ids=["the directory is removed", "edited"],
)
def test_a_file_is_whole_again_whatever_happened_to_it(
    node: Node, plane: ControlPlane, start: Start, damage: str
) -> None:
    start()
    until(plane.told, what="the first report", within=60)
    file = node.config / "backend1.conflist"
    written = file.read_text()
    node.namespace.run(damage.format(config=node.config).split())
    until(lambda: _text(file) == written, what="the file is as it was", within=2)
    until(lambda: plane.reports[-1].drift, what="the report of the drift", within=5)


def test_a_file_that_lost_our_mark_is_somebody_elses_and_named(
    node: Node, plane: ControlPlane, start: Start
) -> None:
    start()
    until(plane.told, what="the first report", within=60)
    file = node.config / "backend1.conflist"
    file.write_text('{"name": "mine"}')
    until(lambda: plane.reports[-1].findings, what="the conflict", within=5)
    (finding,) = plane.reports[-1].findings
    assert finding.code == "conflict"
    assert str(file) in finding.why
    assert file.read_text() == '{"name": "mine"}'


def _text(file: Path) -> str:
    return file.read_text() if file.exists() else ""


@pytest.mark.parametrize("device", ["obr_backend1", "eth0"], ids=["the bridge", "the underlay"])
def test_a_device_that_was_down_gets_back_all_that_the_kernel_dropped(
    node: Node, plane: ControlPlane, start: Start, device: str
) -> None:
    """IPv4 routes through it go without an event of their own."""
    start()
    until(lambda: node.routes() == BOTH, what="routes to both peers", within=10)
    until(plane.told, what="the first report", within=10)
    node.ip(f"link set {device} down")
    node.ip(f"link set {device} up")
    until(lambda: node.routes() == BOTH, what="routes to both peers", within=2)
    until(lambda: "UP" in node.ip("link show obr_backend1")[0], what="the bridge is up", within=2)


def test_forwarding_that_somebody_switches_off_is_on_again_and_is_drift(
    node: Node, plane: ControlPlane, start: Start
) -> None:
    """Within a second; the timer alone would take 27 to 30."""
    node.ip("link set wire addrgenmode none")
    node.ip("link set eth0 addrgenmode none")
    start()
    until(plane.told, what="the first report", within=60)
    until(lambda: not node.ip("addr show tentative"), what="addresses are settled", within=10)
    switch = "/proc/sys/net/ipv4/ip_forward"
    node.namespace.run(["sh", "-c", f"echo 0 > {switch}"])
    until(lambda: node.namespace.run(["cat", switch]) == "1\n", what="forwarding is on", within=1)
    until(lambda: plane.reports[-1].drift, what="the report of the drift", within=5)
    assert plane.reports[-1].drift == (
        "change sysctl net/ipv4/ip_forward=1 (was sysctl net/ipv4/ip_forward=0)",
    )


def test_somebody_who_does_not_give_up_is_damped_and_named(
    node: Node, plane: ControlPlane, start: Start
) -> None:
    start()
    until(plane.told, what="the first report", within=60)
    with node.namespace.popen(
        ["sh", "-c", "while :; do ip route del 10.11.2.0/24 2>/dev/null; sleep 0.01; done"]
    ) as enemy:
        try:
            until(lambda: _codes(plane) & {"damped"}, what="the report says so", within=20)
        finally:
            enemy.kill()
    (finding,) = (one for one in plane.reports[-1].findings if one.code == "damped")
    assert "10.11.2.0/24" in finding.subject
    until(lambda: node.routes() == BOTH, what="the route is back", within=10)
    until(lambda: not _codes(plane), what="the report that it is over", within=40)


def _codes(plane: ControlPlane) -> set[str]:
    return {finding.code for finding in plane.reports[-1].findings} & {"damped"}
