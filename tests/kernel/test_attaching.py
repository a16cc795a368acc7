"""Attachments by real plugins: made, looked after, undone."""

import errno
import os
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from lab.namespaces import Namespace
from lab.waiting import until
from tests.documents import bridge, cni, document, routed
from tests.kernel import attaching
from tests.kernel.attaching import (
    NETWORK,
    a_keeper,
    addresses,
    an_attacher,
    attachment,
    becomes,
    held,
    is_empty,
    leases,
    remains,
    symlink,
    veths,
)
from tests.kernel.node import Node
from workers.attaching.journal import Journal
from workers.attaching.keeper import Keeper
from workers.document import Document
from workers.holdings import Attachment, Holdings
from workers.kernel import whereabouts

SHAPED = """{"cniVersion": "1.0.0", "plugins": [
    {"type": "bridge", "bridge": "br9", "isGateway": true,
     "ipam": {"type": "host-local", "subnet": "{{cidr}}", "dataDir": "{{store}}"}},
    {"type": "bandwidth", "ingressRate": 8000000, "ingressBurst": 8000000,
     "egressRate": 8000000, "egressBurst": 8000000}
]}"""


def plain_list(plugin: str) -> Document:
    """Network ``direct``, of that plugin alone."""
    how = {"bridge": '"bridge": "br9"', "macvlan": '"master": "eth0", "mode": "bridge"'}[plugin]
    ipam = '{"type": "host-local", "subnet": "{{cidr}}", "dataDir": "{{store}}"}'
    body = f'{{"type": "{plugin}", {how}, "ipam": {ipam}}}'
    text = f'{{"cniVersion": "1.0.0", "plugins": [{body}]}}'
    return document(cni(text, ranges=("10.13.0.0/24",), subnets=("10.13.0.0/24",)))


def test_a_file_that_was_to_become_a_namespace_does_not_keep_it_from_being_made(built: Node) -> None:
    """What a worker leaves that is killed between the file and the mount."""
    built.settings.netns_dir.mkdir()
    (built.settings.netns_dir / "root..svc..web1").touch()
    held(built, one := attachment())
    with a_keeper(built, NETWORK) as keeper:
        becomes(keeper, one, "attached")
        keeper.hold(Holdings("n1", 2))
        until(lambda: is_empty(built), what="nothing is left", within=5)


def test_the_own_namespace_goes_when_its_last_attachment_moves_out(built: Node, inside: Namespace) -> None:
    one, two = attachment(), attachment(number=2, service="root/svc/web1", interface="eth13")
    with an_attacher(built, NETWORK) as attacher:
        first, second = (attacher.settle(each, None, False).entry for each in (one, two))
        assert first
        attacher.settle(replace(one, netns=inside.path), first, False)
        assert len(list(built.settings.netns_dir.iterdir())) == 1
        attacher.settle(replace(two, netns=inside.path), second, False)
        assert list(built.settings.netns_dir.iterdir()) == []
    assert addresses(inside) == ["10.10.10.2/24"]


def test_the_own_namespace_goes_too_when_it_was_never_attached_there(built: Node, inside: Namespace) -> None:
    one = attachment(addresses=("192.0.2.1",))
    with an_attacher(built, NETWORK) as attacher:
        parked = attacher.settle(one, None, False).entry
        assert len(list(built.settings.netns_dir.iterdir())) == 1
        attacher.settle(replace(one, netns=inside.path, addresses=()), parked, False)
    assert list(built.settings.netns_dir.iterdir()) == []
    assert len(addresses(inside)) == 1


def test_a_failed_attachment_leaves_nothing_and_says_what_the_plugin_said(
    node: Node, inside: Namespace
) -> None:
    small = document(bridge(cidr="10.10.10.0/30"))
    node.converge(attaching.with_directories(node, small))
    first, second = attachment(inside.path), attachment(inside.path, 2, interface="eth13")
    with an_attacher(node, small) as attacher:
        assert attacher.settle(first, None, False).entry
        before = remains(node)
        outcome = attacher.settle(second, None, False)
        assert outcome.entry is None
        assert outcome.standing
        assert outcome.standing.state == "failed"
        assert "no IP addresses available" in outcome.standing.why
        assert "net ip ls --network local1 --node n1" in outcome.standing.remedy
        assert remains(node) == before


def test_a_plugin_that_is_missing_at_the_end_of_a_list_leaves_nothing(
    node: Node, inside: Namespace, tmp_path: Path
) -> None:
    """libcni's own DEL would end at the missing one."""
    plugins = tmp_path / "plugins"
    shutil.copytree("/usr/lib/cni", plugins)
    node.converge(attaching.with_directories(node, NETWORK))
    with an_attacher(node, NETWORK) as attacher:
        path = node.directory / "local1.conflist"
        path.write_text(path.read_text().replace('"portmap"', '"absent"').replace("capabilities", "x"))
        outcome = attacher.settle(attachment(inside.path), None, False)
    assert outcome.standing
    assert "absent ADD: cannot be started" in outcome.standing.why
    assert outcome.standing.remedy.startswith("Install that plugin on n1")
    assert (leases(node), veths(node)) == ({}, [])


def test_an_interface_of_others_is_not_touched(built: Node, inside: Namespace) -> None:
    inside.run(["ip", "link", "add", "eth12", "type", "bridge"])
    with an_attacher(built, NETWORK) as attacher:
        outcome = attacher.settle(attachment(inside.path), None, False)
    assert outcome.standing
    assert "has an interface eth12 already" in outcome.standing.why
    assert "eth12" in inside.run(["ip", "link"])
    assert leases(built) == {}


def test_the_namespace_of_the_node_itself_is_refused(built: Node) -> None:
    with an_attacher(built, NETWORK) as attacher:
        outcome = attacher.settle(attachment(built.namespace.path), None, False)
    assert outcome.standing
    assert (outcome.standing.state, outcome.entry) == ("failed", None)
    assert "the node's own network namespace" in outcome.standing.why


def test_a_namespace_of_another_kind_is_refused_in_words(built: Node) -> None:
    with an_attacher(built, NETWORK) as attacher:
        standing = attacher.settle(attachment("/proc/self/ns/mnt"), None, False).standing
    assert standing
    assert (standing.state, standing.remedy) == ("failed", "Let netns name a network namespace")
    assert standing.why == "/proc/self/ns/mnt is a namespace of another kind"


def test_a_fixed_address_is_given_and_one_that_is_taken_is_refused(built: Node, inside: Namespace) -> None:
    one = attachment(inside.path, addresses=("10.10.10.77",))
    other = attachment(inside.path, 2, interface="eth13", addresses=("10.10.10.77",))
    with an_attacher(built, NETWORK) as attacher:
        assert attacher.settle(one, None, False).standing.addresses == ("10.10.10.77",)  # type: ignore[union-attr]
        refused = attacher.settle(other, None, False).standing
    assert refused
    assert refused.state == "failed"
    assert "10.10.10.77" in refused.why
    assert refused.remedy.startswith("Release who has the address, or ask for another one")
    assert leases(built) == {"10.10.10.77": one.id}


def test_both_families_are_on_one_interface(node: Node, inside: Namespace) -> None:
    both = document(
        routed(ranges=("10.11.0.0/16", "fd10::/112"), subnets=("10.11.0.0/22", "fd10::/120"), peers=())
    )
    node.converge(attaching.with_directories(node, both))
    one = attachment(inside.path, network="backend1")
    with an_attacher(node, both) as attacher:
        standing = attacher.settle(one, None, False).standing
    assert standing
    assert standing.addresses == ("10.11.0.2", "fd10::2")
    assert addresses(inside) == ["10.11.0.2/22", "fd10::2/120"]


def test_an_address_that_was_given_is_kept_beside_one_that_is_fixed(
    node: Node, inside: Namespace, tmp_path: Path
) -> None:
    both = document(
        routed(ranges=("10.11.0.0/16", "fd10::/112"), subnets=("10.11.0.0/22", "fd10::/120"), peers=())
    )
    node.converge(attaching.with_directories(node, both))
    path = tmp_path / "container"
    symlink(path, inside)
    one = attachment(str(path), network="backend1", addresses=("10.11.0.77",))
    other = attachment(inside.path, 2, network="backend1", interface="eth13")
    with an_attacher(node, both) as attacher, Namespace("c2") as second:
        entry = attacher.settle(one, None, False).entry
        symlink(path, second)
        assert entry
        again = attacher.renew(one, entry)
        assert again.standing
        assert again.entry
        assert again.standing.addresses == ("10.11.0.77", "fd10::2")
        path.unlink()
        away = attacher.renew(one, again.entry).entry
        assert attacher.settle(replace(other, addresses=("fd10::2",)), None, False).entry
        symlink(path, second)
        assert attacher.settle(one, away, False).standing.addresses == ("10.11.0.77", "fd10::3")  # type: ignore[union-attr]


def test_a_network_that_is_not_built_yet_is_waited_for(node: Node, inside: Namespace) -> None:
    """The plugin would make a bridge of its own."""
    held(node, one := attachment(inside.path))
    with a_keeper(node, NETWORK) as keeper:
        assert "is not written yet" in becomes(keeper, one, "waiting").why
        node.converge(attaching.with_directories(node, NETWORK))
        keeper.built()
        becomes(keeper, one, "attached", within=1)


def test_a_namespace_that_gets_its_name_later_is_attached_at_once(built: Node) -> None:
    held(built, one := attachment("blue"))
    built.settings.netns_dir.mkdir()
    with a_keeper(built, NETWORK) as keeper:
        standing = becomes(keeper, one, "waiting")
        assert "blue is not there" in standing.why
        with Namespace("c1") as inside:
            (built.settings.netns_dir / "blue").symlink_to(inside.path)
            becomes(keeper, one, "attached", within=1)
            assert addresses(inside) == ["10.10.10.2/24"]


def test_a_container_that_was_restarted_is_attached_again_with_its_address(
    built: Node, tmp_path: Path
) -> None:
    path = tmp_path / "container"
    first, second = Namespace("c1"), Namespace("c1")
    symlink(path, first)
    held(built, one := attachment(str(path)), attachment(str(path), 2, interface="eth13"))
    with a_keeper(built, NETWORK) as keeper:
        before = becomes(keeper, one, "attached").addresses
        until(lambda: len(leases(built)) == 2, what="both", within=5)
        path.unlink()
        first.close()
        becomes(keeper, one, "waiting")
        symlink(path, second)
        assert becomes(keeper, one, "attached").addresses == before
        until(lambda: len(veths(built)) == len(leases(built)) == 2, what="two of each", within=5)
    assert addresses(second) == [f"{before[0]}/24"]
    second.close()


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        ("ip link del eth12", "is no longer in the namespace"),
        ("ip addr flush dev eth12", "has lost 10.10.10.2"),
        ("ip link set eth12 down", "is down"),
    ],
)
def test_what_is_damaged_in_the_container_is_told_and_put_right(
    built: Node, inside: Namespace, damage: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    held(built, one := attachment(inside.path))
    with a_keeper(built, NETWORK) as keeper:
        becomes(keeper, one, "attached")
        inside.run(damage.split())
        until(lambda: why in caplog.text, what=f"{why} is logged", within=5)

        def whole() -> bool:
            up = "state UP" in inside.call(["ip", "link", "show", "eth12"]).stdout
            return up and addresses(inside) == ["10.10.10.2/24"]

        until(whole, what="the interface is up, with its address", within=5)
        becomes(keeper, one, "attached")
    assert leases(built) == {"10.10.10.2": one.id}


@pytest.mark.parametrize("damage", ["set {} down", "set {} nomaster"])
def test_what_is_damaged_on_the_node_is_put_right_at_once_and_keeps_the_interface(
    built: Node, inside: Namespace, damage: str
) -> None:
    held(built, one := attachment(inside.path))
    with a_keeper(built, NETWORK) as keeper:
        mac = becomes(keeper, one, "attached").mac
        (veth,) = veths(built)
        name = veth.partition("@")[0]
        built.ip(f"link {damage.format(name)}")

        def whole() -> bool:
            link = built.link(name)
            return link.get("master") == "obr_local1" and "UP" in link["flags"]

        until(whole, what="up, and a port of the bridge", within=0.9)
        assert mac in inside.run(["ip", "link", "show", "eth12"])


def test_a_lease_that_somebody_took_away_leads_to_another_attachment(built: Node, inside: Namespace) -> None:
    held(built, one := attachment(inside.path))
    with a_keeper(built, NETWORK) as keeper:
        becomes(keeper, one, "attached")
        (built.settings.cni_store / "local1" / "10.10.10.2").unlink()
        until(lambda: leases(built) == {"10.10.10.2": one.id}, what="a lease again", within=5)
        becomes(keeper, one, "attached")


def test_a_lease_of_another_network_that_cannot_be_read_keeps_nobody_waiting(
    built: Node, inside: Namespace
) -> None:
    (built.settings.cni_store / "other" / "10.0.0.9").mkdir(parents=True)
    held(built, one := attachment(inside.path))
    with a_keeper(built, NETWORK) as keeper:
        becomes(keeper, one, "attached")


def test_what_found_no_thread_is_tried_again(
    built: Node, inside: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, refused = threading.Thread.start, [2, 1]

    def start(thread: threading.Thread) -> None:
        if thread.name.startswith("attach-") and refused:
            refused.pop()
            raise RuntimeError("can't start new thread")
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    held(built, one := attachment(inside.path))
    with a_keeper(built, NETWORK) as keeper:
        becomes(keeper, one, "attached")
    assert not refused
    assert not keeper.is_alive()


def test_the_plugins_own_check_is_heard(built: Node, inside: Namespace) -> None:
    """What only CHECK sees: the default route is gone."""
    with an_attacher(built, NETWORK) as attacher:
        entry = attacher.settle(attachment(inside.path), None, False).entry
        assert entry
        assert attacher.settle(entry.attachment, entry, True).standing.state == "attached"  # type: ignore[union-attr]
        inside.run(["ip", "route", "del", "default"])
        assert attacher.settle(entry.attachment, entry, False).standing.state == "attached"  # type: ignore[union-attr]
        broken = attacher.settle(entry.attachment, entry, True).standing
        assert broken
        assert broken.state == "broken"
        assert "bridge CHECK" in broken.why
        attacher.renew(entry.attachment, entry)
        assert "default" in inside.run(["ip", "route"])


def test_the_plugins_are_asked_from_time_to_time(built: Node, inside: Namespace) -> None:
    """Of a route in a container nobody tells."""
    held(built, one := attachment(inside.path))
    with a_keeper(built, NETWORK) as keeper:
        becomes(keeper, one, "attached")
        inside.run(["ip", "route", "del", "default"])
        until(lambda: "default" in inside.run(["ip", "route"]), what="the route is back", within=10)


def test_a_worker_that_starts_again_finds_what_is_whole_whole(built: Node, inside: Namespace) -> None:
    """A plugin is told the namespace by another name then, since it is that of a descriptor."""
    with an_attacher(built, NETWORK) as attacher:
        entry = attacher.settle(attachment(inside.path), None, False).entry
        assert entry
        with open("/dev/null"):
            standing = attacher.settle(entry.attachment, entry, True).standing
    assert standing
    assert (standing.state, standing.why) == ("attached", "")


def test_a_journal_that_cannot_be_read_yet_ends_nothing(
    built: Node, inside: Namespace, caplog: pytest.LogCaptureFixture
) -> None:
    held(built, one := attachment(inside.path))
    (in_the_way := built.settings.state_dir / "attachments").touch()
    with a_keeper(built, NETWORK) as keeper:
        until(lambda: "until the next turn" in caplog.text, what="it is logged", within=5)
        in_the_way.unlink()
        becomes(keeper, one, "attached")


def test_a_namespace_that_took_the_place_of_another_loses_nothing_of_its_own(
    built: Node, tmp_path: Path
) -> None:
    """The kernel gives the number of a namespace again, and a path may lead to the next one."""
    path = tmp_path / "container"
    with Namespace("c1") as first, an_attacher(built, NETWORK) as attacher:
        symlink(path, first)
        entry = attacher.settle(attachment(str(path)), None, False).entry
        assert entry
        first.run(["ip", "link", "del", "eth12"])
        first.run(["ip", "link", "add", "eth12", "type", "bridge"])
        attacher.release(entry.attachment.id, entry, False)
        assert "eth12" in first.run(["ip", "link"])
    assert leases(built) == {}


def test_an_interface_that_is_left_goes_with_its_lease_whatever_mac_its_other_end_has_by_now(
    built: Node, tmp_path: Path
) -> None:
    """Others on the node may change that MAC, and the namespace may be where nobody finds it."""
    path = tmp_path / "container"
    with Namespace("c1") as first, Namespace("c2") as second, an_attacher(built, NETWORK) as attacher:
        symlink(path, first)
        entry = attacher.settle(one := attachment(str(path)), None, False).entry
        assert entry
        built.ip(f"link set {entry.ends[0]} address 02:11:22:33:44:55")
        symlink(path, second)
        assert attacher.renew(one, entry).standing.addresses == ("10.10.10.2",)  # type: ignore[union-attr]
        assert (addresses(first), addresses(second)) == ([], ["10.10.10.2/24"])


@pytest.mark.parametrize("plugin", ["bridge", "macvlan"])
@pytest.mark.parametrize("interrupted", [False, True])
def test_an_interface_whose_path_leads_elsewhere_is_taken_away_where_it_is(
    node: Node, tmp_path: Path, plugin: str, interrupted: bool
) -> None:
    """Nothing on the node leads to one of ``macvlan``, nor to one whose ADD did not come to its end."""
    path = tmp_path / "container"
    plain = plain_list(plugin)
    node.converge(attaching.with_directories(node, plain))
    with Namespace("c1") as first, Namespace("c2") as second, an_attacher(node, plain) as attacher:
        symlink(path, first)
        entry = attacher.settle(one := attachment(str(path), network="direct"), None, False).entry
        assert entry
        entry = replace(entry, result="") if interrupted else entry
        symlink(path, second)
        with first.popen(["sleep", "1000"]) as process:
            standing = attacher.renew(one, entry).standing
            process.kill()
        assert standing
        [given] = standing.addresses
        assert (addresses(first), addresses(second)) == ([], [f"{given}/24"])
    assert leases(node, "direct") == {given: one.id}


def test_an_interface_that_got_another_mac_inside_is_still_ours(node: Node, inside: Namespace) -> None:
    plain = plain_list("macvlan")
    node.converge(attaching.with_directories(node, plain))
    one = attachment(inside.path, network="direct")
    with an_attacher(node, plain) as attacher:
        entry = attacher.settle(one, None, False).entry
        assert entry
        inside.run(["ip", "link", "set", "eth12", "address", "02:00:00:00:00:77"])
        broken = attacher.settle(one, entry, False).standing
        assert broken
        assert "is another one, with MAC 02:00:00:00:00:77" in broken.why
        assert attacher.renew(one, entry).standing.state == "attached"  # type: ignore[union-attr]
    assert addresses(inside) == ["10.13.0.2/24"]


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_namespace_that_got_the_number_of_another_is_not_taken_for_it(
    built: Node, tmp_path: Path, interrupted: bool
) -> None:
    """It has an interface of the same name, which others made."""
    path = tmp_path / "container"
    with Namespace("c1") as first, Namespace("c2") as other, an_attacher(built, NETWORK) as attacher:
        symlink(path, first)
        entry = attacher.settle(attachment(str(path)), None, False).entry
        assert entry
        other.run(["ip", "link", "add", "eth12", "type", "bridge"])
        other.run(["ip", "addr", "add", "10.10.10.3/24", "dev", "eth12"])
        path.unlink()
        entry = replace(entry, inode=os.fstat(other.fd).st_ino, result="" if interrupted else entry.result)
        with other.popen(["sleep", "1000"]) as process:
            attacher.release(entry.attachment.id, entry, False)
            process.kill()
        assert addresses(other) == ["10.10.10.3/24"]
    assert leases(built) == {}


def test_where_processes_cannot_be_looked_into_an_attachment_is_released_all_the_same(
    built: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "container"
    with Namespace("c1") as first, an_attacher(built, NETWORK) as attacher:
        symlink(path, first)
        entry = attacher.settle(attachment(str(path)), None, False).entry
        assert entry
        path.unlink()
        monkeypatch.setattr(whereabouts, "_inode", lambda path: 0)
        assert attacher.release(entry.attachment.id, entry, False).entry is None
        assert addresses(first) == []
    assert "cannot be looked for: /proc/1/ns/net" in caplog.text
    assert leases(built) == {}


def test_a_namespace_that_cannot_be_opened_for_a_moment_keeps_its_interface(
    built: Node, inside: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def full(path: str, *options: int) -> int:
        if str(path) == inside.path:
            raise OSError(errno.EMFILE, "Too many open files")
        return opened(path, *options)

    with an_attacher(built, NETWORK) as attacher:
        entry = attacher.settle(one := attachment(inside.path), None, False).entry
        assert entry
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", full)
            for step in (lambda: attacher.settle(one, entry, False), lambda: attacher.renew(one, entry)):
                with pytest.raises(OSError, match="Too many open files"):
                    step()
        assert attacher.settle(one, entry, False).standing.state == "attached"  # type: ignore[union-attr]
    assert addresses(inside) == ["10.10.10.2/24"]


def test_what_plugins_make_beside_the_other_end_is_left_to_them(node: Node, inside: Namespace) -> None:
    """``bandwidth`` shapes what comes out of a container in a device of its own, which is no port."""
    shaped = document(cni(SHAPED, ranges=("10.13.0.0/24",), subnets=("10.13.0.0/24",)))
    node.converge(attaching.with_directories(node, shaped))
    with an_attacher(node, shaped) as attacher:
        entry = attacher.settle(one := attachment(inside.path, network="direct"), None, False).entry
        assert entry
        end, other = entry.ends
        assert attacher.settle(one, entry, False).standing.state == "attached"  # type: ignore[union-attr]
        assert (node.link(end).get("master"), node.link(other).get("master")) == ("br9", None)
        node.ip(f"link set {end} nomaster")
        attacher.settle(one, entry, False)
        assert node.link(end).get("master") == "br9"


def test_two_of_a_service_that_leave_at_once_leave_no_namespace(built: Node) -> None:
    one, two = attachment(), attachment(number=2, service="root/svc/web1", interface="eth13")
    held(built, one, two)
    with a_keeper(built, NETWORK) as keeper:
        becomes(keeper, one, "attached")
        becomes(keeper, two, "attached")
        keeper.hold(Holdings("n1", 2))
        until(lambda: is_empty(built), what="nothing is left", within=5)


def test_one_that_could_not_be_attached_leaves_no_namespace_of_its_own(built: Node) -> None:
    held(built, one := attachment(addresses=("192.0.2.1",)))
    with a_keeper(built, NETWORK) as keeper:
        assert "192.0.2.1" in becomes(keeper, one, "failed").why
        keeper.hold(Holdings("n1", 2))
        until(lambda: is_empty(built), what="nothing is left", within=5)


def test_one_whose_journal_cannot_be_read_for_a_moment_is_tried_again(
    built: Node, inside: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    held(built, one := attachment(inside.path))
    with a_keeper(built, NETWORK) as keeper:
        becomes(keeper, one, "attached")
        moved = replace(one, interface="eth13")
        with monkeypatch.context() as broken:
            broken.setattr(Journal, "write", fail)
            broken.setattr(Journal, "read_one", fail)
            keeper.hold(Holdings("n1", 2, (moved,)))
            until(lambda: _why(keeper, moved).endswith("Input/output error"), what="it says why", within=5)
        becomes(keeper, moved, "attached")
    assert addresses(inside, "eth13") == ["10.10.10.2/24"]


def _why(keeper: Keeper, one: Attachment) -> str:
    seen = attaching.standing(keeper, one)
    return seen.why if seen else ""
