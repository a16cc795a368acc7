"""Which tunnel joins two nodes, what it costs, who may send into it, and what the messages say."""

import dataclasses
from typing import Any

import pytest

from tests.documents import document, peer, routed, settings
from tests.pure.test_objects import host
from workers.changes import Verb
from workers.document import OVERHEADS as MODES
from workers.document import DesiredNetwork
from workers.host import Host, Link
from workers.kernel import routes
from workers.kernel.firewall import Firewall
from workers.kernel.links import Bridge
from workers.kernel.messages import INET, INET6
from workers.kernel.routes import Route
from workers.kernel.tunnels import CHOICE, Encap, Tunnel, Way, foreign, way
from workers.objects import wanted

FOUR, SIX = ("10.0.0.1", "192.0.2.2"), ("fd00:aa::1", "2001:db8::2")
OWN, THEIRS = (FOUR[0], SIX[0]), (FOUR[1], SIX[1])


@pytest.mark.parametrize(
    ("mode", "inside", "kind", "ends"),
    [
        pytest.param("ipip", INET, "ipip", FOUR, id="ipip"),
        pytest.param("ipip", INET6, "ip6tnl", SIX, id="ipip becomes ip6ip6 when the ends are IPv6"),
        pytest.param("gre", INET, "gre", FOUR, id="gre"),
        pytest.param("gre", INET6, "ip6gre", SIX, id="gre over IPv6"),
        pytest.param("ip6ip6", INET, "ip6tnl", SIX, id="IPv4 over IPv6"),
        pytest.param("ip6ip6", INET6, "ip6tnl", SIX, id="IPv6 over IPv6"),
        pytest.param("ip6gre", INET, "ip6gre", SIX, id="ip6gre"),
        pytest.param("vxlan", INET, "vxlan", FOUR, id="vxlan"),
        pytest.param("vxlan", INET6, "vxlan", SIX, id="vxlan over IPv6"),
    ],
)
def test_it_prefers_ends_of_the_family_inside(
    mode: str, inside: int, kind: str, ends: tuple[str, str]
) -> None:
    assert way(mode, OWN, THEIRS, inside) == Way(kind, *ends)


@pytest.mark.parametrize(
    ("mode", "inside", "own", "theirs", "kind"),
    [
        pytest.param("ipip", INET6, OWN, THEIRS[:1], "sit", id="IPv6 inside ipip: sit beside it"),
        pytest.param("gre", INET6, OWN[:1], THEIRS, "gre", id="IPv6 inside gre"),
        pytest.param("vxlan", INET, OWN[1:], THEIRS, "vxlan", id="IPv4 over IPv6"),
        pytest.param("ip6ip6", INET6, OWN[:1], THEIRS, None, id="ip6ip6 needs IPv6 ends"),
        pytest.param("ip6gre", INET, OWN, THEIRS[:1], None, id="so does ip6gre"),
        pytest.param("gre", INET, OWN[:1], THEIRS[1:], None, id="no family in common"),
    ],
)
def test_it_takes_the_other_family_where_it_must(
    mode: str, inside: int, own: tuple[str, ...], theirs: tuple[str, ...], kind: str | None
) -> None:
    found = way(mode, own, theirs, inside)
    assert (found.kind if found else None) == kind


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_is_known_on_both_sides(mode: str) -> None:
    """The control plane reckons with an overhead for exactly the ends that the node can use."""
    assert {over for known, over, _ in CHOICE if known == mode} == {
        {4: INET, 6: INET6}[version] for version in MODES[mode]
    }


def test_a_thousand_peers_are_one_device_and_a_thousand_routes() -> None:
    many = tuple(
        peer(
            1,
            node=f"m{n}",
            addresses=(f"10.9.{n // 250}.{n % 250 + 1}",),
            subnets=(f"10.{n // 250}.{n % 250}.0/24",),
        )
        for n in range(1000)
    )
    network = routed(tunnel="always", peers=(peer(1), *many))
    objects, findings = wanted(document(network), host(), settings())
    assert not findings
    assert [one.name for one in objects if isinstance(one, Tunnel)] == ["na_ipip0a000001"]
    assert len({one.via for one in objects if isinstance(one, Route)}) == 1000


def test_names_of_devices_fit_and_tell_every_local_end_apart() -> None:
    ways = [Way(kind, local, "192.0.2.2") for kind in ("ipip", "sit") for local in ("10.1.23.4", "10.12.3.4")]
    names = [one.device for one in ways]
    assert len(set(names)) == 4
    assert max(map(len, names)) <= 15


def test_networks_of_different_modes_do_not_share_a_device() -> None:
    networks = (routed("a", tunnel="always"), routed("b", tunnel="always", tunnel_mode="gre"))
    objects, _ = wanted(document(*networks), host(), settings())
    assert [one.name for one in objects if isinstance(one, Tunnel)] == ["na_gre", "na_ipip0a000001"]


@pytest.mark.parametrize(
    ("network", "mtu", "device"),
    [
        pytest.param(routed(tunnel="always"), 1480, 1480, id="ipip"),
        pytest.param(routed(tunnel="always", tunnel_mode="vxlan"), 1464, 1464, id="vxlan"),
        pytest.param(routed(tunnel="always", mtu=1400), 1400, 1400, id="as the document says"),
        pytest.param(routed(tunnel="always", mtu=9000), 9000, 1480, id="never more than the underlay has"),
    ],
)
def test_bridge_and_tunnel_have_the_mtu(network: DesiredNetwork, mtu: int, device: int) -> None:
    objects, _ = wanted(document(network), host(), settings())
    mtus = {one.name: one.mtu for one in objects if isinstance(one, Bridge | Tunnel)}
    assert mtus == {"obr_backend1": mtu, "na_vxlan" if "na_vxlan" in mtus else "na_ipip0a000001": device}


def test_only_peers_may_send_into_it_and_only_from_inside_the_networks() -> None:
    text = _firewall(routed(tunnel="always"))
    assert "ip daddr 10.0.0.1 ip protocol 4 ip saddr != @peers4 drop" in text
    assert "elements = { 10.0.0.1, 10.0.0.2, 10.0.0.3 }" in text
    assert 'iifname "na_*" ip saddr != @ranges4 ip saddr != @peers4 drop' in text


def test_tunnels_of_others_to_known_ends_go_on() -> None:
    theirs = Link(
        9, "gre9", "gre", "", 1476, True, ends="local 10.0.0.1 remote 192.0.2.9", remote="192.0.2.9"
    )
    assert "10.0.0.3, 192.0.2.9 }" in _firewall(routed(tunnel="always", tunnel_mode="gre"), host(theirs))


@pytest.mark.parametrize(
    ("name", "kind", "ends", "rule"),
    [
        ("na_gre", "gre", "external", "ip protocol 47 ip saddr"),
        ("na_ip6", "ip6tnl", "external", "meta l4proto { 4, 41 } ip6 saddr"),
        ("na_ip6gre", "ip6gre", "external", "meta l4proto 47 ip6 saddr"),
        ("na_vxlan", "vxlan", "port 4790 external gpe", "udp dport 4790 ip6 saddr"),
        ("na_sit0a000009", "sit", "local 10.0.0.9", "ip daddr 10.0.0.9 ip protocol 41 ip saddr"),
    ],
)
def test_a_tunnel_of_ours_is_guarded_until_it_is_gone(name: str, kind: str, ends: str, rule: str) -> None:
    left = Link(9, name, kind, "", 1476, True, ours=True, ends=ends)
    assert rule in _firewall(routed(tunnel="never"), host(left))


def test_without_tunnels_nobody_is_filtered() -> None:
    assert "prerouting" not in _firewall(routed())


@pytest.mark.parametrize(
    ("kind", "ends", "name"),
    [
        pytest.param("ipip", "local 10.0.0.1", "na_ipip0a000001", id="the same local end"),
        pytest.param("ipip", "local 10.0.0.1 remote 10.0.0.9", "", id="a fixed other end is more special"),
        pytest.param("ipip", "local any", "", id="the kernel's fallback"),
        pytest.param("gre", "external", "na_gre", id="a second external device"),
        pytest.param("gre", "local 10.0.0.1", "", id="gre with a local end"),
        pytest.param("vxlan", "port 4790", "na_vxlan", id="the same port"),
        pytest.param("vxlan", "port 4789 external", "", id="another port"),
        pytest.param("bridge", "", "", id="no tunnel"),
    ],
)
def test_a_device_of_others_is_in_the_way_when_the_kernel_says_so(kind: str, ends: str, name: str) -> None:
    found = foreign(Link(9, "theirs", kind, "", 1480, True, ends=ends))
    assert (found.key if found else None) == (("link", name) if name else None)


def test_it_warns_of_the_kernels_own_devices_only_when_they_are_up() -> None:
    for up in (True, False):
        tunl0 = Link(9, "tunl0", "ipip", "", 1480, up, ends="local any")
        _, findings = wanted(document(routed()), host(tunl0), settings())
        assert [finding.code for finding in findings] == (["open-tunnel"] if up else [])


def test_it_reports_the_return_path_filter_only_with_tunnels() -> None:
    strict = dataclasses.replace(host(), rp_filter=2)
    for tunnel, codes in (("always", ["rp-filter"]), ("never", [])):
        _, findings = wanted(document(routed(tunnel=tunnel)), strict, settings())
        assert [finding.code for finding in findings] == codes


def test_a_tunnel_without_common_ends_is_no_path() -> None:
    network = routed(tunnel="always", tunnel_mode="ip6ip6", peers=(peer(1), peer(2)))
    _, (finding,) = wanted(document(network), host(), settings())
    assert str(finding) == (
        "route to 10.11.4.0/22 on n2: "
        "no tunnel of mode ip6ip6 can join the addresses of this node (10.0.0.1) and of n2 (10.0.0.2). "
        "Declare addr@n2 and this node's addr in one family, or another tunnel_mode"
    )


ENCAPS = [
    Encap("192.0.2.3", "10.0.0.1", 0x100),
    Encap("2001:db8::3", "fd00::1", 0x1),
    Encap("2001:db8::3", "fd00::1", 0, 255, 7),
]
ROUTES: list[Any] = [
    Route("10.11.4.0/22", 254, "", "t", 0, 157, src="10.11.0.1", encap=ENCAPS[0]),
    Route("fd10::100/120", 300, "", "t", 1024, 157, src="fd10::1", encap=ENCAPS[0]),
    Route("10.11.4.0/22", 254, "", "t", 0, 157, src="10.11.0.1", encap=ENCAPS[1]),
    Route("fd10::100/120", 254, "", "t", 1024, 157, src="fd10::1", encap=ENCAPS[2]),
    Route("10.11.4.0/22", 254, "192.0.2.3", "t", 0, 157, src="10.11.0.1", onlink=True),
    Route("fd10::100/120", 254, "::c000:203", "t", 1024, 157, src="fd10::1", onlink=True),
]


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_a_route_that_was_encoded_is_decoded_again(route: Route) -> None:
    request = routes.encode(Verb.ADD, route, lambda device: 7)
    assert routes.decode(request.body, {7: "t"}) == route


def _firewall(network: DesiredNetwork, there: Host | None = None) -> str:
    objects, _ = wanted(document(network), there or host(), settings())
    (found,) = [one.text for one in objects if isinstance(one, Firewall)]
    return found
