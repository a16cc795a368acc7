"""What routes of others mean to our networks: which take packets, which would, which do no harm."""

from collections.abc import Iterable
from typing import Any

import pytest

from tests.documents import bridge, document, peer, peers, routed, routed6, settings
from workers.document import DesiredNetwork
from workers.host import Held, Host, Link
from workers.kernel.lookup import Match
from workers.kernel.routes import Route
from workers.objects import wanted
from workers.report import PROBLEM, WARNING, Finding
from workers.rivals import MOST, Ground, judged

ADDRESSES = (Held("10.0.0.1/24"), Held("fd00:aa::1/64"))
HOST = Host(
    links={"eth0": Link(2, "eth0", "", "02:00:00:00:00:01", 1500, True, addresses=ADDRESSES)},
    tables={"main": 254, "blue": 77},
)


def _route(dst: str, **values: Any) -> Match:
    kind = values.pop("kind", "unicast")
    default = {"table": 254, "via": "10.0.0.9", "device": "eth0", "metric": 0, "protocol": 4}
    return Match(Route(**{"dst": dst, **default, **values}), kind)


def _findings(network: DesiredNetwork, *others: Match, tables: Iterable[int] = (254,)) -> list[Finding]:
    objects, problems = wanted(document(network), HOST, settings())
    assert not problems
    return list(judged([Ground(network, frozenset(tables))], others, objects.by_key))


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        pytest.param(_route("10.11.4.0/24"), PROBLEM, id="narrower than the segment of a peer"),
        pytest.param(_route("10.11.7.9/32"), PROBLEM, id="one address of it"),
        pytest.param(_route("10.11.4.0/22", metric=50), None, id="as wide as it, and not preferred"),
        pytest.param(_route("10.11.4.0/22"), None, id="as wide as it: a conflict of the plan"),
        pytest.param(_route("10.11.1.0/24"), PROBLEM, id="a part of the own segment"),
        pytest.param(_route("10.11.1.0/24", device="obr_backend1"), None, id="a part of it by the bridge"),
        pytest.param(_route("10.11.0.0/22", device="obr_backend1", protocol=2), None, id="the bridge's own"),
        pytest.param(_route("10.11.5.0/24", device="obr_backend1"), PROBLEM, id="a peer's, by the bridge"),
        pytest.param(_route("10.11.128.0/22"), WARNING, id="a part of the range that no node has"),
        pytest.param(_route("10.11.0.0/20"), WARNING, id="wider than segments"),
        pytest.param(_route("10.11.0.0/16", kind="blackhole"), None, id="the range as a whole"),
        pytest.param(_route("0.0.0.0/0"), None, id="the default route"),
        pytest.param(_route("10.12.4.0/24"), None, id="outside the range"),
        pytest.param(_route("fd10::100/124"), None, id="of the other family"),
        pytest.param(_route("10.11.4.0/24", table=77), None, id="in a table that the network does not use"),
    ],
)  # fmt: skip
def test_a_route_of_others_is(other: Match, expected: str | None) -> None:
    found = _findings(routed(), other)
    assert [(one.code, one.network, one.level) for one in found] == (
        [("foreign-route", "backend1", expected)] if expected else []
    )


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        pytest.param(_route("fd10::100/120", metric=512), [PROBLEM], id="preferred to ours"),
        pytest.param(_route("fd10::100/120", metric=2048), [], id="not preferred"),
        pytest.param(_route("fd10::104/126", metric=2048), [PROBLEM], id="narrower, whatever its metric"),
    ],
)
def test_of_ipv6_the_metric_decides_between_equals(other: Match, expected: list[str]) -> None:
    assert [one.level for one in _findings(routed6(), other)] == expected


def test_a_table_of_a_network_is_looked_at_too() -> None:
    (found,) = _findings(routed(tables=("blue",)), _route("10.11.4.0/24", table=77), tables=[77])
    assert found.subject == "route 10.11.4.0/24 via 10.0.0.9 dev eth0 table 77"
    assert found.remedy == "Remove it if nobody needs it: ip route del 10.11.4.0/24 table 77"


def test_it_names_the_route_the_peer_and_the_remedy() -> None:
    (found,) = _findings(routed(peers=peers(1, 2)), _route("10.11.5.0/24", metric=9))
    assert str(found) == (
        "route 10.11.5.0/24 via 10.0.0.9 dev eth0: is of somebody else (proto static) and takes packets for "
        "n2, whose segment is 10.11.4.0/22. Remove it if nobody needs it: ip route del 10.11.5.0/24 metric 9"
    )


def test_a_route_that_only_drops_is_called_what_it_is() -> None:
    (found,) = _findings(routed(), _route("10.11.4.7/32", via="", device="", kind="blackhole"))
    assert found.subject == "route blackhole 10.11.4.7/32"


def test_the_route_of_an_address_goes_with_the_address() -> None:
    (found,) = _findings(routed(), _route("10.11.4.0/24", via="", device="eth1", protocol=2))
    assert found.remedy == "Take the address off eth1, or declare the network with another range"


def test_a_bridge_on_one_node_is_looked_after_as_well() -> None:
    (found,) = _findings(bridge(), _route("10.10.10.128/25"))
    assert (found.level, found.network) == (PROBLEM, "local1")
    assert "takes packets for the containers of this node" in found.why


def test_thousands_are_told_in_a_few_words() -> None:
    one = _route("10.11.128.0/24")
    found = _findings(routed(peers=(peer(1), peer(2))), *[one] * (MOST + 5), _route("10.11.4.0/24"))
    assert len(found) == MOST + 1
    assert (found[-1].subject, found[-1].level) == ("6 more routes inside 10.11.0.0/16", PROBLEM)
