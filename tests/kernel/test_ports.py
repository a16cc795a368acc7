"""Host ports: who reaches a container through the node, whoever moves or meddles.

client (wire) 10.0.0.9, fd00:aa::9  --  eth0 10.0.0.1, fd00:aa::1  node  obr_backend1  --  container
"""

import errno
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from lab.namespaces import Namespace
from lab.waiting import until
from tests.documents import cni, document, routed
from tests.kernel import attaching
from tests.kernel.attaching import (
    a_keeper,
    addresses,
    an_attacher,
    attachment,
    becomes,
    exposed,
    held,
    is_empty,
    leases,
    standing,
    symlink,
)
from tests.kernel.node import Node
from workers.attaching.hostports import HostPorts
from workers.attaching.keeper import KEEP_PAUSE, Keeper
from workers.holdings import Attachment, Holdings
from workers.kernel import conntrack
from workers.kernel.messages import INET

BOTH = document(
    routed(ranges=("10.11.0.0/16", "fd10::/112"), subnets=("10.11.0.0/22", "fd10::/120"), peers=()),
    look_interval=1.0,
)
PTP = (
    '{"type": "ptp", "ipMasq": false, "mtu": {{mtu}}, "ipam": {"type": "host-local", "subnet": "{{cidr}}", '
    '"dataDir": "{{store}}", "routes": [{"dst": "0.0.0.0/0"}]}}'
)
PORTMAP = '{"type": "portmap", "snat": true, "capabilities": {"portMappings": true}}'
"""Of Debian's containernetworking-plugins; host ports are rules of iptables."""
PORTS = exposed((80, 8001, "tcp"), (53, 5353, "udp"))
CLIENT = """
link set lo up
link set wire up
addr add 10.0.0.9/24 dev wire
addr add fd00:aa::9/64 dev wire nodad
"""


def web(netns: str, number: int = 1, **values: object) -> Attachment:
    return attachment(netns, number, network="backend1", **{"expose": PORTS, **values})


@pytest.fixture
def client(node: Node) -> Iterator[Namespace]:
    """A machine on the other end of the node's wire."""
    with Namespace("client") as outside:
        node.ip(f"link set wire netns {outside.path}")
        outside.run(["ip", "-batch", "-"], stdin=CLIENT)
        node.converge(attaching.with_directories(node, BOTH))
        yield outside


@contextmanager
def a_server(name: str) -> Iterator[Namespace]:
    """A container that tells on TCP 80 and UDP 53, both families, its name and who asks."""
    with Namespace(name) as inside:
        stop = threading.Event()
        threads = [threading.Thread(target=serve, args=(inside, name, stop)) for serve in (_tcp, _udp)]
        for thread in threads:
            thread.start()
        try:
            yield inside
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def _tcp(inside: Namespace, name: str, stop: threading.Event) -> None:
    with inside.entered():
        listener = socket.create_server(("::", 80), family=socket.AF_INET6, dualstack_ipv6=True)
    with listener:
        listener.settimeout(0.05)
        while not stop.is_set():
            try:
                connection, peer = listener.accept()
            except TimeoutError:
                continue
            with connection:
                connection.sendall(f"{name} {peer[0].removeprefix('::ffff:')}".encode())


def _udp(inside: Namespace, name: str, stop: threading.Event) -> None:
    with inside.entered():
        bound = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    with bound:
        bound.bind(("::", 53))
        bound.settimeout(0.05)
        while not stop.is_set():
            try:
                _, peer = bound.recvfrom(100)
                bound.sendto(f"{name} {peer[0].removeprefix('::ffff:')}".encode(), peer)
            except TimeoutError:
                continue


def ask(source: Namespace, address: str, protocol: str = "tcp", within: float = 2) -> str:
    """What the server behind the host port says; empty when nobody answers."""
    kind = socket.AF_INET6 if ":" in address else socket.AF_INET
    with source.entered():
        asking = socket.socket(kind, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
    with asking:
        asking.settimeout(within)
        try:
            asking.connect((address, 8001 if protocol == "tcp" else 5353))
            if protocol == "udp":
                asking.send(b"?")
            return asking.recv(100).decode()
        except OSError:
            return ""


def test_every_address_of_the_node_leads_to_the_container(node: Node, client: Namespace) -> None:
    with a_server("c1") as inside, Namespace("c2") as neighbour, an_attacher(node, BOTH) as attacher:
        attacher.settle(web(inside.path), None, False)
        attacher.settle(web(neighbour.path, 2, expose=()), None, False)
        for protocol in ("tcp", "udp"):
            assert ask(client, "10.0.0.1", protocol) == "c1 10.0.0.9"
            assert ask(client, "fd00:aa::1", protocol) == "c1 fd00:aa::9"
            assert ask(node.namespace, "10.0.0.1", protocol).startswith("c1 ")
            assert ask(node.namespace, "fd00:aa::1", protocol).startswith("c1 ")
            assert ask(node.namespace, "127.0.0.1", protocol) == "c1 10.11.0.1"
            assert ask(node.namespace, "10.11.0.1", protocol).startswith("c1 ")
            assert ask(neighbour, "10.0.0.1", protocol) == "c1 10.11.0.1"
            assert ask(neighbour, "fd00:aa::1", protocol) == "c1 fd10::1"
            assert ask(inside, "10.0.0.1", protocol) == "c1 10.11.0.1"
            assert ask(node.namespace, "::1", protocol, within=0.2) == ""  # the kernel does not route it


def test_an_address_that_the_node_gets_later_leads_to_the_container_too(
    node: Node, client: Namespace
) -> None:
    with a_server("c1") as inside, an_attacher(node, BOTH) as attacher:
        attacher.settle(web(inside.path), None, False)
        node.ip("addr add 10.0.0.77/24 dev eth0")
        node.ip("addr add fd00:aa::77/64 dev eth0 nodad")
        node.ip(f"link add second type veth peer name far netns {client.path}")
        node.ip("addr add 10.9.0.1/24 dev second")
        node.ip("link set second up")
        client.run(["ip", "-batch", "-"], stdin="addr add 10.9.0.9/24 dev far\nlink set far up\n")
        for protocol in ("tcp", "udp"):
            assert ask(client, "10.0.0.77", protocol) == "c1 10.0.0.9"
            assert ask(client, "fd00:aa::77", protocol) == "c1 fd00:aa::9"
            assert ask(client, "10.9.0.1", protocol) == "c1 10.9.0.9"
            assert ask(node.namespace, "fd10::1", protocol).startswith("c1 ")


@pytest.mark.parametrize("plugins", [[PTP], [PTP, PORTMAP]], ids=["our table", "portmap"])
def test_a_list_of_an_operator_attaches_is_checked_reached_by_host_ports_and_leaves_nothing(
    node: Node, client: Namespace, plugins: list[str]
) -> None:
    template = f'{{"cniVersion": "1.0.0", "plugins": [{", ".join(plugins)}]}}'
    network = cni(template, ranges=("10.13.0.0/24",), subnets=("10.13.0.0/24",))
    node.converge(attaching.with_directories(node, direct := document(network)))
    with a_server("c1") as inside, an_attacher(node, direct) as attacher:
        one = attachment(inside.path, network="direct", expose=PORTS)
        other = attachment(number=2, network="direct", expose=exposed((80, 8002, "tcp")))
        made, beside = attacher.settle(one, None, False), attacher.settle(other, None, False)
        assert made.entry
        assert made.standing
        assert made.standing.addresses == ("10.13.0.2",)
        assert addresses(inside) == ["10.13.0.2/24"]
        assert leases(node, "direct") == {"10.13.0.2": one.id, "10.13.0.3": other.id}
        assert ("netadmin_ports" in node.nft("list tables")) == (PORTMAP not in plugins)
        _lead_to_it(node, client, inside)
        assert attacher.settle(one, made.entry, True).standing == made.standing
        inside.run(["ip", "route", "del", "default"])
        broken = attacher.settle(one, made.entry, True).standing
        assert broken
        assert broken.state == "broken"
        assert "ptp CHECK" in broken.why
        again = attacher.renew(one, made.entry).entry
        _lead_to_it(node, client, inside)
        if PORTMAP not in plugins:
            again = attacher.settle(replace(one, expose=()), again, False).entry
            assert again
            assert node.sysctl(f"net/ipv4/conf/{again.device}/route_localnet") == "0"
        for each, entry in ((one, again), (other, beside.entry)):
            assert attacher.release(each.id, entry, False).entry is None
        assert addresses(inside) == []
    assert is_empty(node)
    assert leases(node, "direct") == {}
    assert not any(word in node.nft("list ruleset") for word in ("10.13.0.", one.id, "CNI-DN"))


def _lead_to_it(node: Node, client: Namespace, inside: Namespace) -> None:
    """Its address, and its ports of the node."""
    assert _connects(node.namespace, "10.13.0.2", 80)
    for protocol in ("tcp", "udp"):
        assert ask(client, "10.0.0.1", protocol) == "c1 10.0.0.9"
        assert ask(node.namespace, "10.0.0.1", protocol).startswith("c1 ")
        assert ask(node.namespace, "127.0.0.1", protocol) == "c1 10.13.0.1"
        assert ask(inside, "10.0.0.1", protocol).startswith("c1 ")


def test_a_container_does_not_reach_what_listens_on_the_nodes_loopback(node: Node, client: Namespace) -> None:
    """route_localnet would let it; the guard does not, and goes behind it."""
    with (
        a_server("c1") as inside,
        Namespace("c2") as neighbour,
        an_attacher(node, BOTH) as attacher,
        _on_loopback(node.namespace),
    ):
        entry = attacher.settle(web(inside.path), None, False).entry
        attacher.settle(web(neighbour.path, 2, expose=()), None, False)
        assert node.sysctl("net/ipv4/conf/obr_backend1/route_localnet") == "1"
        neighbour.run(["ip", "route", "replace", "127.0.0.0/8", "via", "10.11.0.1", "table", "local"])
        neighbour.run(["sh", "-c", "echo 1 >/proc/sys/net/ipv4/conf/eth12/route_localnet"])
        assert not _connects(neighbour, "127.0.0.1", 8002)
        node.nft("flush chain inet netadmin_ports guard")
        assert _connects(neighbour, "127.0.0.1", 8002)
        attacher.release(web("").id, entry, False)
        assert not _connects(neighbour, "127.0.0.1", 8002)


@contextmanager
def _on_loopback(inside: Namespace) -> Iterator[None]:
    """A program that listens there alone, on TCP 8002."""
    with inside.entered():
        listener = socket.create_server(("127.0.0.1", 8002))
    with listener:
        yield


def _connects(source: Namespace, address: str, port: int) -> bool:
    with source.entered():
        asking = socket.socket()
    with asking:
        asking.settimeout(0.5)
        return asking.connect_ex((address, port)) == 0


def test_a_port_that_another_attachment_has_is_refused_with_its_name_and_free_behind_it(
    node: Node, client: Namespace
) -> None:
    with a_server("c1") as first, a_server("c2") as second:
        one, two = web(first.path), web(second.path, 2)
        held(node, one)
        with a_keeper(node, BOTH) as keeper:
            becomes(keeper, one, "attached")
            keeper.hold(_holdings(2, one, two))
            said = becomes(keeper, two, "failed")
            assert said.why == "host port 8001/tcp of this node belongs to root/svc/web1 ip#0"
            assert ask(client, "10.0.0.1") == "c1 10.0.0.9"
            keeper.hold(_holdings(3, two))
            becomes(keeper, two, "attached", within=2)
            assert ask(client, "10.0.0.1") == "c2 10.0.0.9"


def test_host_ports_change_without_a_new_attachment(node: Node, client: Namespace) -> None:
    with a_server("c1") as inside:
        one = web(inside.path, expose=())
        held(node, one)
        with a_keeper(node, BOTH) as keeper:
            mac = becomes(keeper, one, "attached").mac
            assert ask(client, "10.0.0.1", within=0.3) == ""
            keeper.hold(_holdings(2, web(inside.path)))
            until(lambda: ask(client, "10.0.0.1") == "c1 10.0.0.9", what="the port is mapped", within=2)
            assert becomes(keeper, one, "attached").mac == mac
            keeper.hold(_holdings(3, one))
            until(lambda: not ask(client, "10.0.0.1", within=0.3), what="it is not any more", within=2)


def test_who_gets_a_host_port_later_reaches_it_too(node: Node, client: Namespace) -> None:
    with a_server("c1") as inside, an_attacher(node, BOTH) as attacher:
        entry = attacher.settle(web(inside.path, expose=()), None, False).entry
        assert not ask(inside, "10.0.0.1", within=0.3)
        attacher.settle(web(inside.path), entry, False)
        assert ask(inside, "10.0.0.1") == "c1 10.11.0.1"


def test_host_ports_have_their_reach_again_when_the_bridge_was_made_anew(
    node: Node, client: Namespace
) -> None:
    with a_server("c1") as inside:
        held(node, one := web(inside.path))
        with a_keeper(node, BOTH) as keeper:
            becomes(keeper, one, "attached")
            node.ip("link del obr_backend1")
            node.converge(attaching.with_directories(node, BOTH))
            keeper.built()
            until(lambda: ask(client, "10.0.0.1") == "c1 10.0.0.9", what="from outside", within=5)
            until(lambda: ask(node.namespace, "127.0.0.1"), what="from loopback", within=5)
            until(lambda: ask(inside, "10.0.0.1"), what="from the container itself", within=5)


def test_until_host_ports_are_changed_the_node_says_that_it_tells_of_before(
    node: Node, client: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    with a_server("c1") as inside:
        held(node, one := web(inside.path, expose=()))
        with a_keeper(node, BOTH) as keeper:
            assert not becomes(keeper, one, "attached").pending
            real = HostPorts.put
            monkeypatch.setattr(HostPorts, "put", lambda *args: go_on.wait(10) and real(*args))
            keeper.hold(_holdings(2, web(inside.path)))
            until(lambda: _version(keeper) == 2, what="it tells of the new version", within=2)
            said = standing(keeper, one)
            assert said
            assert (said.state, said.pending) == ("attached", True)
            go_on.set()
            until(lambda: not becomes(keeper, one, "attached").pending, what="it is carried out", within=2)
            assert ask(client, "10.0.0.1") == "c1 10.0.0.9"


def _version(keeper: Keeper) -> int:
    said = keeper.statement()
    return said.version if said else 0


@pytest.mark.parametrize(
    "damage",
    [
        "flush ruleset",
        "delete table inet netadmin_ports",
        "flush map inet netadmin_ports dnat4",
        "flush chain inet netadmin_ports mapped",
    ],
)
def test_a_table_that_somebody_emptied_is_whole_again_within_a_second(
    node: Node, client: Namespace, damage: str
) -> None:
    with a_server("c1") as inside:
        held(node, one := web(inside.path))
        with a_keeper(node, BOTH) as keeper:
            becomes(keeper, one, "attached")
            node.nft(damage)
            until(lambda: ask(client, "10.0.0.1", within=0.1), what="the port answers", within=1)


def test_nothing_is_done_while_nothing_changes(node: Node, client: Namespace) -> None:
    """Nor for what we did ourselves: the ruleset's number stands still."""
    with a_server("c1") as inside:
        held(node, one := web(inside.path))
        with a_keeper(node, BOTH) as keeper:
            becomes(keeper, one, "attached")
            time.sleep(0.2)
            number = node.kernel.nft.generation()
            time.sleep(1.5)
            assert node.kernel.nft.generation() == number


def test_without_host_ports_there_is_no_table(node: Node, client: Namespace) -> None:
    with a_server("c1") as inside, an_attacher(node, BOTH) as attacher:
        before = node.nft("list tables")
        entry = attacher.settle(web(inside.path), None, False).entry
        assert "netadmin_ports" in node.nft("list tables")
        attacher.release(web("").id, entry, False)
        assert node.nft("list tables") == before


@pytest.mark.parametrize(("address", "source"), [("10.0.0.1", "10.0.0.9"), ("fd00:aa::1", "fd00:aa::9")])
def test_clients_follow_a_container_that_moves(
    node: Node, client: Namespace, tmp_path: Path, address: str, source: str
) -> None:
    """One UDP client sends from one port all the time; a TCP client connects again and again. Where it is
    now it has another address, to which no connection of before leads."""
    path = tmp_path / "container"
    with a_server("c1") as first, a_server("c2") as second:
        symlink(path, first)
        held(node, one := web(str(path)), web("", 2, expose=()))
        with a_keeper(node, BOTH) as keeper, client.entered(), _udp_client(address) as talking:
            becomes(keeper, one, "attached")
            until(lambda: _said(talking).startswith("c1"), what="the first one answers", within=5)
            path.unlink()
            first.run(["ip", "link", "del", "eth12"])
            becomes(keeper, one, "waiting")
            _said(talking)  # a packet while nobody is there
            symlink(path, second)
            moved = replace(one, addresses=("10.11.0.9", "fd10::9"))
            keeper.hold(_holdings(2, moved, web("", 2, expose=())))
            becomes(keeper, moved, "attached")
            until(lambda: _said(talking).startswith("c2"), what="the second one answers", within=1)
            assert ask(client, address) == f"c2 {source}"


@pytest.mark.parametrize(("address", "other"), [("10.0.0.1", "10.11.0.9"), ("fd00:aa::1", "fd10::9")])
def test_clients_follow_although_the_worker_was_killed_before_they_did(
    node: Node, client: Namespace, tmp_path: Path, address: str, other: str
) -> None:
    path = tmp_path / "container"
    with ExitStack() as outside, a_server("c1") as first, a_server("c2") as second:
        with client.entered():
            talking = outside.enter_context(_udp_client(address))
        symlink(path, first)
        moved = replace(one := web(str(path)), addresses=(other,))
        held(node, moved)
        with an_attacher(node, BOTH) as attacher:
            entry = attacher.settle(one, None, False).entry
            assert entry
            assert _said(talking).startswith("c1")
            path.unlink()
            parked = attacher.renew(moved, entry).entry
            assert _said(talking) == "", "a packet while nobody is there"
            symlink(path, second)
            assert attacher.settle(moved, parked, False).entry
        assert _said(talking) == ""
        with a_keeper(node, BOTH):
            until(lambda: _said(talking).startswith("c2"), what="the second one answers", within=5)


def test_clients_do_not_reach_who_has_the_address_next(node: Node, client: Namespace) -> None:
    """Also when the worker is killed right behind the release."""
    with a_server("c1") as first, a_server("c2") as second, ExitStack() as outside:
        with client.entered():
            talking = outside.enter_context(_udp_client("10.0.0.1"))
        one = web(first.path, addresses=("10.11.0.9",))
        other = web(second.path, 2, addresses=("10.11.0.9",), expose=())
        with an_attacher(node, BOTH) as attacher:
            made = attacher.settle(one, None, False)
            assert made.entry, made.standing
            until(lambda: _said(talking).startswith("c1"), what="it answers", within=5)
            attacher.release(one.id, made.entry, False)
            assert attacher.settle(other, None, False).entry
        assert [_said(talking) for _ in range(3)] == [""] * 3


def test_a_kernel_that_tells_of_no_connections_keeps_nothing_from_going(
    node: Node, client: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EPROTONOSUPPORT, "Protocol not supported")

    with a_server("c1") as inside, an_attacher(node, BOTH) as attacher:
        entry = attacher.settle(one := web(inside.path), None, False).entry
        monkeypatch.setattr(conntrack, "forget", refuse)
        attacher.settle_connections(None, entry)
        assert attacher.release(one.id, entry, False).standing is None
    assert leases(node, "backend1") == {}


def test_a_client_loses_a_port_that_is_exposed_no_more(node: Node, client: Namespace) -> None:
    with a_server("c1") as inside, ExitStack() as outside:
        with client.entered():
            talking = outside.enter_context(_udp_client("10.0.0.1"))
        with an_attacher(node, BOTH) as attacher:
            entry = attacher.settle(one := web(inside.path), None, False).entry
            until(lambda: _said(talking).startswith("c1"), what="it answers", within=5)
            attacher.settle(replace(one, expose=exposed((80, 8001, "tcp"))), entry, False)
        assert [_said(talking) for _ in range(3)] == [""] * 3
        assert ask(client, "10.0.0.1") == "c1 10.0.0.9"


def test_only_connections_to_the_node_are_forgotten(node: Node, client: Namespace) -> None:
    """What a program of the node sends to the same port of another machine goes on."""
    node.nft("add table inet watch")
    node.nft("add chain inet watch out { type filter hook output priority 0 ; }")
    node.nft("add rule inet watch out ct state new accept")
    with node.namespace.entered(), _udp_client("10.0.0.9") as talking:
        talking.send(b"?")
        assert conntrack.forget(INET, "udp", 5353, ("", 0), {"10.0.0.1"}) == 0
        assert conntrack.forget(INET, "udp", 5353, ("", 0), {"10.0.0.9"}) == 1
        assert conntrack.forget(INET, "udp", 5353, ("", 0), {"10.0.0.9"}) == 0


@contextmanager
def _udp_client(address: str) -> Iterator[socket.socket]:
    """It sends to the host port at this address, always from the same port."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as talking:
        talking.settimeout(0.1)
        talking.connect((address, 5353))
        yield talking


def _said(talking: socket.socket) -> str:
    try:
        talking.send(b"?")
        return talking.recv(100).decode()
    except OSError:
        return ""


def _holdings(version: int, *attachments: Attachment) -> Holdings:
    return Holdings("n1", version, attachments)


def test_rulesets_that_others_change_all_the_time_cost_few_looks_and_hide_nothing(
    node: Node, client: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, keep = list[float](), HostPorts.keep

    def counted(ports: HostPorts) -> bool:
        looks.append(time.monotonic())
        return keep(ports)

    monkeypatch.setattr(HostPorts, "keep", counted)
    with a_server("c1") as inside:
        held(node, one := web(inside.path))
        with a_keeper(node, BOTH) as keeper:
            becomes(keeper, one, "attached")
            node.nft("add table inet busy; add set inet busy s { type inet_service; }")
            looks.clear()
            begun = time.monotonic()
            for number in range(1000):
                node.kernel.nft.carry_out(f"add element inet busy s {{ {number + 1} }}")
                if number == 500:
                    node.nft("delete table inet netadmin_ports")
            assert 1 <= len(looks) <= (time.monotonic() - begun) / KEEP_PAUSE + 1
            until(lambda: ask(client, "10.0.0.1", within=0.1), what="the port answers", within=1)
