"""Every tunnel device that a worker may build: packets cross it, of the families it is for.

    a                        b
    10.11.0.1 fd00:11::1     10.11.4.1 fd00:11:0:4::1       on lo, as a bridge would have them
    eth0 192.0.2.1 ========= eth0 192.0.2.2
         2001:db8::1              2001:db8::2

The inner addresses can be reached through the tunnel only.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pytest

from lab.namespaces import CommandFailed, Namespace
from lab.pings import ping
from lab.waiting import until

pytestmark = pytest.mark.tunnel


@dataclass(frozen=True)
class End:
    namespace: Namespace
    underlay4: str
    underlay6: str
    inner4: str
    inner6: str

    def ip(self, *commands: str) -> None:
        self.namespace.run(["ip", "-batch", "-"], stdin="\n".join(commands) + "\n")

    def reaches(self, address: str) -> bool:
        return ping(self.namespace, address, count=3).lost == 0


Pair = tuple[End, End]


@pytest.fixture
def pair() -> Iterator[Pair]:
    with Namespace("a") as one, Namespace("b") as other:
        a = End(one, "192.0.2.1", "2001:db8::1", "10.11.0.1", "fd00:11::1")
        b = End(other, "192.0.2.2", "2001:db8::2", "10.11.4.1", "fd00:11:0:4::1")
        a.ip(f"link add eth0 type veth peer name eth0 netns {other.path}")
        for end in (a, b):
            end.ip(
                "link set lo up",
                f"address add {end.inner4}/32 dev lo",
                f"address add {end.inner6}/128 dev lo nodad",
                f"address add {end.underlay4}/24 dev eth0",
                f"address add {end.underlay6}/64 dev eth0 nodad",
                "link set eth0 up",
            )
        for source, target in ((a, b), (b, a)):  # neighbours may be found at the second attempt, after 1 s
            for address in (target.underlay4, target.underlay6):
                until(partial(source.reaches, address), what=f"{address} answers", within=10)
        yield a, b


def _build(pair: Pair, kind: str, *routes: str) -> None:
    """A device and routes at both ends; {own4}, {peer4}, {inner4}, {to4}, ... stand for addresses."""
    for own, peer in (pair, pair[::-1]):
        addresses = {
            "own4": own.underlay4,
            "peer4": peer.underlay4,
            "peer6": peer.underlay6,
            "inner4": own.inner4,
            "inner6": own.inner6,
            "to4": peer.inner4,
            "to6": peer.inner6,
        }
        commands = [f"link add tunnel type {kind}", "link set tunnel up", *routes]
        own.ip(*(command.format(**addresses) for command in commands))


def test_ipip_carries_ipv4_to_a_gateway(pair: Pair) -> None:
    _build(pair, "ipip local {own4}", "route add {to4} via {peer4} dev tunnel onlink src {inner4}")
    a, b = pair
    assert a.reaches(b.inner4)
    assert b.reaches(a.inner4)


def test_sit_carries_ipv6_to_a_gateway(pair: Pair) -> None:
    _build(pair, "sit local {own4}", "route add {to6} via ::{peer4} dev tunnel onlink src {inner6}")
    a, b = pair
    assert a.reaches(b.inner6)
    assert b.reaches(a.inner6)


@pytest.mark.parametrize(
    ("kind", "encap"),
    [
        ("gre external", "encap ip id 1 dst {peer4}"),
        ("ip6tnl external encaplimit none", "encap ip6 id 1 dst {peer6}"),
        ("ip6gre external encaplimit none", "encap ip6 id 1 dst {peer6}"),
    ],
    ids=["gre", "ip6tnl", "ip6gre"],
)
def test_an_external_device_carries_both_families_by_the_route(pair: Pair, kind: str, encap: str) -> None:
    _build(
        pair,
        kind,
        f"route add {{to4}} {encap} dev tunnel src {{inner4}}",
        f"route add {{to6}} {encap} dev tunnel src {{inner6}}",
    )
    for source, target in (pair, pair[::-1]):
        assert source.reaches(target.inner4)
        assert source.reaches(target.inner6)


def test_an_ipip_device_belongs_to_one_local_address(pair: Pair) -> None:
    """Why all networks of a node share one: the kernel refuses another with the same ends."""
    a, _ = pair
    a.ip("link add first type ipip local 192.0.2.1")
    with pytest.raises(CommandFailed, match="File exists"):
        a.ip("link add second type ipip local 192.0.2.1")
