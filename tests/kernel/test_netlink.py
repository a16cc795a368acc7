"""The netlink door: batches that are exact per message, dumps that are whole, sockets that hear."""

import errno
import threading
from collections.abc import Callable

import pytest

from tests.kernel.node import Node
from workers.changes import Verb
from workers.host import Host
from workers.kernel import addresses, links, routes
from workers.kernel.messages import INET, INET6, Request, attribute, number, packed
from workers.kernel.netlink import BATCH, NETLINK_ROUTE, NLM_F_DUMP_INTR, Netlink, NetlinkError, listen
from workers.kernel.routes import Route


def _route(number: int, via: str = "10.0.0.9", protocol: int = 157) -> Route:
    return Route(f"10.{100 + number // 256}.{number % 256}.0/24", 254, via, "eth0", 0, protocol)


def _add(node: Node, *wanted: Route) -> list[NetlinkError | None]:
    return node.kernel.netlink.send(
        [routes.encode(Verb.ADD, one, node.kernel.netlink.index) for one in wanted]
    )


def _dumped(node: Node, protocol: int = 157) -> list[Route]:
    names = {link.index: link.name for link in node.look(None).host.links.values()}
    bodies = node.kernel.netlink.dump(routes.dump(INET, protocol))
    return [routes.decode(body, names) for body in bodies]


def test_a_batch_of_thousands_is_carried_out_and_read_back_as_it_was_wanted(node: Node) -> None:
    wanted = [_route(number) for number in range(3 * BATCH + 7)]
    assert _add(node, *wanted) == [None] * len(wanted)
    assert sorted(_dumped(node), key=str) == sorted(wanted, key=str)
    assert len(node.routes()) == len(wanted)


def test_an_error_is_that_of_its_message_and_the_others_are_carried_out(node: Node) -> None:
    assert _add(node, _route(3)) == [None]
    outcome = _add(node, *(_route(n, via="10.0.0.255" if n == 5 else "10.0.0.9") for n in range(8)))
    assert [error.errno if error else 0 for error in outcome] == [
        0,
        0,
        0,
        errno.EEXIST,
        0,
        errno.EINVAL,
        0,
        0,
    ]
    assert len(_dumped(node)) == 7


def test_as_many_errors_as_a_batch_has_messages_all_arrive(node: Node) -> None:
    wanted = [_route(number) for number in range(2 * BATCH)]
    _add(node, *wanted)
    outcome = _add(node, *wanted)
    assert [error.errno if error else 0 for error in outcome] == [errno.EEXIST] * len(wanted)
    assert _add(node, _route(9000)) == [None], "nothing of the old answers is left"


def test_the_error_has_the_kernels_own_sentence(node: Node) -> None:
    (error,) = _add(node, _route(1, via="10.0.0.255"))
    assert error is not None
    assert (error.errno, error.strerror) == (errno.EINVAL, "Nexthop has invalid gateway")


def test_a_dump_by_protocol_returns_nothing_of_others(node: Node) -> None:
    _add(node, _route(1), _route(2, protocol=4))
    assert [route.protocol for route in _dumped(node)] == [157]


def test_a_removal_never_hits_a_route_of_others(node: Node) -> None:
    _add(node, _route(1, protocol=4))
    request = routes.encode(Verb.REMOVE, _route(1), node.kernel.netlink.index)
    (error,) = node.kernel.netlink.send([request])
    assert error is not None
    assert error.errno == errno.ESRCH
    assert len(_dumped(node, protocol=4)) == 1


def test_asking_whether_a_destination_is_taken_changes_nothing(node: Node) -> None:
    _add(node, _route(1, protocol=4))
    before = node.state()
    taken, free = node.kernel.netlink.send([routes.is_taken(_route(1)), routes.is_taken(_route(2))])
    assert taken is not None
    assert free is not None
    assert (taken.errno, free.errno) == (errno.EEXIST, errno.ENOENT)
    assert node.state() == before


def test_the_number_of_a_device_is_that_of_iproute2(node: Node) -> None:
    assert node.kernel.netlink.index("eth0") == node.link("eth0")["ifindex"]


def test_a_device_that_is_not_there_has_no_number(node: Node) -> None:
    with pytest.raises(NetlinkError) as refused:
        node.kernel.netlink.index("nope")
    assert refused.value.errno == errno.ENODEV


def test_a_socket_stays_in_the_namespace_it_was_made_in(node: Node) -> None:
    """The thread that uses it may be elsewhere."""
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(node.kernel.netlink.index("eth0")))
    thread.start()
    thread.join()
    assert seen == [node.link("eth0")["ifindex"]]


def test_an_interrupted_dump_is_taken_again(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted = _InterruptedOnce(node.kernel.netlink)
    monkeypatch.setattr(node.kernel.netlink, "_socket", interrupted)
    found = node.kernel.netlink.dump(links.DUMP)
    assert {links.decode(body, 0)[0].name for body in found} == {"lo", "eth0", "wire"}
    assert interrupted.dumps == 2


class _InterruptedOnce:
    """The real socket, but the kernel marks the first dump as interrupted (nlmsghdr, flags)."""

    def __init__(self, netlink: Netlink) -> None:
        self._real = netlink._socket
        self.dumps = 0

    def send(self, data: bytes) -> int:
        self.dumps += 1
        return self._real.send(data)

    def recv(self, size: int) -> bytes:
        data = bytearray(self._real.recv(size))
        if self.dumps == 1:
            data[6] |= NLM_F_DUMP_INTR
        return bytes(data)

    def close(self) -> None:
        self._real.close()


def test_dumps_are_whole_while_others_change_the_table(node: Node) -> None:
    wanted = [_route(number) for number in range(1500)]
    _add(node, *wanted)
    stop = threading.Event()

    def change() -> None:
        with Netlink() as other:
            index = other.index("eth0")
            while not stop.is_set():
                for verb in (Verb.ADD, Verb.REMOVE):
                    other.send(
                        [
                            routes.encode(verb, _route(9000 + n, protocol=4), lambda _: index)
                            for n in range(50)
                        ]
                    )

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(20):
            assert len(_dumped(node)) == len(wanted)
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize(
    ("command", "groups"),
    [
        pytest.param("link set eth0 mtu 1400", (1,), id="link"),
        pytest.param("addr add 10.5.0.1/24 dev eth0", (5,), id="IPv4 address"),
        pytest.param("route add 10.6.0.0/24 via 10.0.0.9", (7,), id="IPv4 route"),
        pytest.param("-6 route add fd66::/64 via fd00:aa::9", (11,), id="IPv6 route"),
    ],
)
def test_a_listener_hears_what_others_change(node: Node, command: str, groups: tuple[int, ...]) -> None:
    with listen(NETLINK_ROUTE, groups) as listener:
        with pytest.raises(BlockingIOError):
            listener.recv(4096)
        node.ip(command)
        assert listener.recv(4096)


# Every kind, to the kernel and back, as iproute2 understands it


@pytest.mark.parametrize(
    "route",
    [
        Route("10.50.0.0/22", 254, "10.0.0.9", "eth0", 0, 157),
        Route("10.50.0.0/22", 254, "10.0.0.9", "eth0", 77, 157),
        Route("10.50.0.0/22", 254, "", "eth0", 0, 157),
        Route("10.50.0.0/22", 100000, "10.0.0.9", "eth0", 0, 157),
        Route("0.0.0.0/0", 99, "10.0.0.9", "eth0", 0, 157),
        Route("fd50::/64", 254, "fd00:aa::9", "eth0", 1024, 157),
        Route("fd50::/64", 254, "", "eth0", 5, 157),
        Route("fd50::/64", 100000, "fd00:aa::9", "eth0", 1024, 157),
        Route("::/0", 99, "fd00:aa::9", "eth0", 1024, 157),
    ],
    ids=str,
)
def test_a_route_comes_back_as_it_went(node: Node, route: Route) -> None:
    index = node.kernel.netlink.index
    assert node.kernel.netlink.send([routes.encode(Verb.ADD, route, index)]) == [None]
    names = {link.index: link.name for link in node.look(None).host.links.values()}
    dumped = [node.kernel.netlink.dump(routes.dump(kind, 157)) for kind in (INET, INET6)]
    assert [routes.decode(body, names) for bodies in dumped for body in bodies] == [route]
    assert node.kernel.netlink.send([routes.encode(Verb.REMOVE, route, index)]) == [None]
    assert not any(node.kernel.netlink.dump(routes.dump(kind, 157)) for kind in (INET, INET6))


@pytest.mark.parametrize("text", ["10.5.0.1/24", "10.5.0.1/32", "fd05::1/64", "fd05::1/128"])
def test_an_address_comes_back_as_it_went(node: Node, text: str) -> None:
    address = addresses.Address("wire", text, 157)
    send: Callable[[list[Request]], list[NetlinkError | None]] = node.kernel.netlink.send
    assert send(addresses.encode(Verb.ADD, address, None, node.kernel.netlink.index)) == [None]
    assert node.addresses("wire") == [text]
    assert _of_wire(node.look(None).host) == [address]
    assert send(addresses.encode(Verb.REMOVE, address, None, node.kernel.netlink.index)) == [None]
    assert node.addresses("wire") == []


def _of_wire(host: Host) -> list[addresses.Address]:
    held = [one for one in host.links["wire"].addresses if not one.address.startswith("fe80")]
    return [addresses.Address("wire", one.address, one.protocol) for one in held]


def test_the_short_way_to_encode_a_route_says_what_the_long_one_says() -> None:
    plain = _route(1)
    body = routes.encode(Verb.ADD, plain, lambda _: 7).body
    hop = attribute(routes.GATEWAY, packed(plain.via)) + number(routes.OIF, 7)
    assert body == routes._body(plain, routes._scope(plain), routes.UNICAST, hop)
