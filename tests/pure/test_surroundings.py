"""What others have on the node, as findings; what their firewalls do is in tests/kernel."""

from typing import Any

import pytest

from tests.documents import routed, routed6
from workers import networkd, surroundings
from workers.host import Barrier, Forwarding, Host, Link
from workers.kernel.tunnels import Way
from workers.report import PROBLEM, WARNING

TUNNEL = Way("vxlan", "10.0.0.1", "192.0.2.3")
ACCEPTS = frozenset({("iifname", "obr_*"), ("oifname", "obr_backend1")})


def _found(*networks: Any, ways: Any = (), **values: Any) -> list[tuple[str, str]]:
    host = Host(links=values.pop("links", {}), **values)
    return [(one.code, one.level) for one in surroundings.findings(networks, ways, host)]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param({}, [], id="nothing"),
        pytest.param({"rp_filter": 1}, [], id="a strict filter, and no tunnel"),
        pytest.param({"rp_filter": 1, "ways": [TUNNEL]}, [("rp-filter", PROBLEM)], id="a strict filter"),
        pytest.param({"strict": ("eth0",), "ways": [TUNNEL]}, [("rp-filter", WARNING)], id="on the underlay"),
        pytest.param({"strict": ("eth0",)}, [], id="on the underlay, and no tunnel"),
        pytest.param({"rp_filter": 2, "ways": [TUNNEL]}, [("rp-filter", PROBLEM)], id="a loose one"),
        pytest.param(
            {"networkd": ("ManageForeignRoutes",)}, [("networkd-foreign-routes", WARNING)], id="networkd"
        ),
        pytest.param({"legacy": ("ip6tables",)}, [("legacy-filter", WARNING)], id="legacy rules"),
        pytest.param({"advertised": ("eth0",)}, [], id="a learnt route, and no network of its family"),
    ],
)  # fmt: skip
def test_it_finds(values: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert _found(routed(), **values) == expected


def test_it_finds_a_learnt_default_route_that_forwarding_ends() -> None:
    assert _found(routed6(), advertised=("eth0",)) == [("accept-ra", WARNING)]


def test_ipv6_has_no_filter_for_return_paths() -> None:
    assert _found(routed6(), strict=("eth0",), ways=[TUNNEL]) == []


def test_it_offers_the_drop_in_where_it_goes() -> None:
    host = Host(links={}, networkd=networkd.SWITCHES)
    (finding,) = surroundings.findings([routed()], [], host)
    assert "/etc/systemd/networkd.conf.d/netadmin.conf" in finding.remedy
    assert "ManageForeignRoutes=no ManageForeignRoutingPolicyRules=no" in finding.remedy


def test_it_warns_of_nothing_on_a_node_without_networks() -> None:
    link = Link(3, "tunl0", "ipip", "", 1480, True)
    assert _found(networkd=networkd.SWITCHES, legacy=("iptables",)) == []
    assert _found(links={"tunl0": link}) == [("open-tunnel", PROBLEM)]


@pytest.mark.parametrize(
    ("family", "accepts", "network", "expected"),
    [
        pytest.param("ip", frozenset(), routed(), 1, id="a chain of the family"),
        pytest.param("ip6", frozenset(), routed(), 0, id="a chain of the other family"),
        pytest.param("inet", frozenset(), routed6(), 1, id="a chain of both"),
        pytest.param("inet", ACCEPTS, routed(), 0, id="one that lets the bridge through"),
        pytest.param("inet", ACCEPTS, routed6(), 1, id="one that lets it out, and nothing in"),
    ],
)
def test_a_chain_is_in_the_way(
    family: str, accepts: frozenset[tuple[str, str]], network: Any, expected: int
) -> None:
    walls = Forwarding((Barrier(family, "wall", "forth", accepts),))
    assert _found(network, forwarding=walls) == [("forward-drop", PROBLEM)] * expected
