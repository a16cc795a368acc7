"""What a document asks of a node: the computed cases, and what they leave open."""

import dataclasses
import ipaddress
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.documents import bridge, cni, document, loopback, peer, peers, routed, routed6, settings
from workers.changes import Owned
from workers.cni import templates
from workers.cni.confs import Conf
from workers.document import PLACEHOLDERS, DesiredNetwork, Document, Peer
from workers.host import Held, Host, Link
from workers.kernel.addresses import LINK_LOCAL, Address
from workers.kernel.firewall import Firewall
from workers.kernel.links import Bridge, Up
from workers.kernel.routes import Route
from workers.kernel.sysctls import Sysctl
from workers.kernel.tunnels import Tunnel
from workers.objects import wanted
from workers.report import Finding

CASES = json.loads((Path(__file__).parents[1] / "vectors" / "node_state.json").read_text())["cases"]
ALWAYS_THERE = {
    "default": {"type": "bridge", "network": "10.22.0.0/16"},
    "lo": {"type": "loopback", "network": "127.0.0.1/32"},
}
TABLES = {"main": 254, "custom1": 101, "custom2": 102}
VIEWPOINTS = [
    pytest.param(case, node, id=f"{case['id']}-{node}") for case in CASES for node in case["expect"]
]


# The computed cases


@pytest.mark.parametrize(("case", "node"), VIEWPOINTS)
def test_it_wants_the_bridges_of_the_reference(case: dict[str, Any], node: str) -> None:
    objects, _ = _wanted(case, node)
    macs = {one.name: one.mac or None for one in objects if isinstance(one, Bridge)}
    held = [one for one in objects if isinstance(one, Address) and one.address != LINK_LOCAL]
    addresses = {one.device: one.address for one in held}
    bridges = {device: {"address": addresses[device], "mac": macs.get(device)} for device in addresses}
    assert bridges == case["expect"][node]["bridges"]


@pytest.mark.parametrize(("case", "node"), VIEWPOINTS)
def test_it_wants_the_routes_of_the_reference(case: dict[str, Any], node: str) -> None:
    """In main the kernel adds the node's own segment."""
    objects, _ = _wanted(case, node)
    names = {number: name for name, number in TABLES.items()}
    ends = {tunnel["remote"]: tunnel["to"] for tunnel in case["expect"][node]["tunnels"]}
    routes = [one for one in objects if isinstance(one, Route)]
    built = {
        (one.dst, names[one.table], ends[_other_end(one)] if one.src else one.via or one.device, one.src)
        for one in routes
    }
    expected = {
        (
            route["dst"],
            route["table"],
            route.get("via") or route.get("tunnel_to") or route["dev"],
            route.get("src", ""),
        )
        for route in case["expect"][node]["routes"]
        if "dev" not in route or route["table"] != "main"
    }
    assert built == expected


@pytest.mark.parametrize(("case", "node"), VIEWPOINTS)
def test_it_wants_the_tunnels_of_the_reference_with_one_device_for_all_peers(
    case: dict[str, Any], node: str
) -> None:
    objects, _ = _wanted(case, node)
    modes = {"ip6tnl": "ip6ip6"}
    devices = {one.name: one for one in objects if isinstance(one, Tunnel)}
    tunnels = {
        (modes.get(device.kind, device.kind), _own_end(route, device), _other_end(route))
        for route in objects
        if isinstance(route, Route) and (device := devices.get(route.device))
    }
    expected = {(one["mode"], one["local"], one["remote"]) for one in case["expect"][node]["tunnels"]}
    assert tunnels == expected
    assert len(devices) == len({(mode, local) for mode, local, _ in expected})


@pytest.mark.parametrize(("case", "node"), VIEWPOINTS)
def test_it_names_the_peers_that_it_cannot_reach(case: dict[str, Any], node: str) -> None:
    _, findings = _wanted(case, node)
    unreached = {finding.subject.rpartition(" ")[2] for finding in findings if finding.code == "no-path"}
    assert unreached == set(case["expect"][node]["no_path_to"])


@pytest.mark.parametrize(("case", "node"), VIEWPOINTS)
def test_its_cni_files_hold_the_keys_of_the_reference(case: dict[str, Any], node: str) -> None:
    objects, _ = _wanted(case, node)
    files = {Path(one.path).stem: json.loads(one.content) for one in objects if isinstance(one, Conf)}
    expected = {content["name"]: content for content in case["expect"][node]["cni"].values()}
    assert files.keys() == expected.keys()
    for name, content in expected.items():
        first = files[name]["plugins"][0]
        held = {**files[name], **first, "cniVersion": "0.3.0"}
        if "ipam" in first:
            held["ipam"] = {key: value for key, value in first["ipam"].items() if key != "dataDir"}
        assert {key: held[key] for key in content} == content


@pytest.mark.parametrize(("case", "node"), VIEWPOINTS)
def test_it_masquerades_and_forwards_as_the_reference(case: dict[str, Any], node: str) -> None:
    objects, _ = _wanted(case, node)
    (text,) = [one.text for one in objects if isinstance(one, Firewall)]
    sets = {
        version: _collapsed(elements.split(", "))
        for version, elements in re.findall(r"set ranges(\d) \{.*?elements = \{ (.*?) \}", text, re.DOTALL)
    }
    rules = re.findall(r"(ip6?) saddr (\S+) (ip6?) daddr != @ranges(\d) masquerade comment \"(.*)\"", text)
    masquerade = {name: (source, sets[version]) for _, source, _, version, name in rules}
    expect = case["expect"][node]
    assert masquerade == {
        name: (rule["source"], _collapsed(rule["not_to"])) for name, rule in expect["masquerade"].items()
    }
    for way in ("iifname", "oifname"):
        assert set(re.findall(rf'{way} "(.*)" accept', text)) == set(expect["forward"])


# What they leave open


def test_it_switches_forwarding_on_for_the_families_it_has() -> None:
    assert _sysctls(document(routed())) == {"net/ipv4/ip_forward": "1"}
    assert _sysctls(document(routed(), routed6())) == {
        "net/ipv4/ip_forward": "1",
        "net/ipv6/conf/all/forwarding": "1",
    }


def test_it_wants_nothing_of_an_empty_document() -> None:
    objects, findings = wanted(document(), host(), settings())
    assert (list(objects), findings) == ([], [])


@pytest.mark.parametrize(
    "network",
    [pytest.param(routed(), id="IPv4 only"), pytest.param(routed6(device="br7", adopted=True), id="adopted")],
)
def test_it_wants_no_address_of_the_link(network: DesiredNetwork) -> None:
    """The operator's own bridge is his."""
    own = Link(7, "br7", "bridge", "02:00:00:00:00:07", 1500, True)
    objects, _ = wanted(document(network), host(own), settings())
    held = [one.address for one in objects if isinstance(one, Address)]
    assert held
    assert LINK_LOCAL not in held


def test_it_wants_one_bridge_with_both_families() -> None:
    both = routed(
        ranges=("10.11.0.0/16", "fd10::/112"), subnets=("10.11.0.0/22", "fd10::/120"), peers=peers(1)
    )
    objects, findings = wanted(document(both), host(), settings())
    assert not findings
    assert _kinds(objects, Bridge) == [Bridge("obr_backend1", "0a:58:0a:0b:00:01", 1500, 28257)]
    held = [one.address for one in objects if isinstance(one, Address)]
    assert held == ["10.11.0.1/22", "fd10::1/120", "fe80::1/64"]
    (conf,) = [json.loads(one.content) for one in objects if isinstance(one, Conf)]
    ipam = conf["plugins"][0]["ipam"]
    assert ipam["ranges"] == [[{"subnet": "10.11.0.0/22"}], [{"subnet": "fd10::/120"}]]
    assert ipam["routes"] == [
        {"dst": "0.0.0.0/0"},
        {"dst": "::/0"},
        {"dst": "10.11.0.0/16", "gw": "10.11.0.1"},
        {"dst": "fd10::/112", "gw": "fd10::1"},
    ]


def test_its_cni_file_is_marked_first_and_has_mtu_store_and_portmap() -> None:
    objects, _ = wanted(document(routed(mtu=1400)), host(), settings(Path("/x")))
    (conf,) = [one for one in objects if isinstance(one, Conf)]
    body = json.loads(conf.content)
    assert conf.path == "/x/net.d/backend1.conflist"
    assert next(iter(body)) == "netadmin"
    assert body["plugins"][0]["mtu"] == 1400
    assert body["plugins"][0]["ipam"]["dataDir"] == "/x/leases"
    assert body["plugins"][1] == {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}


@pytest.mark.parametrize(
    ("network", "there", "mtu"),
    [
        pytest.param(routed(mtu=1400), {}, 1400, id="as declared"),
        pytest.param(routed(), {}, 1450, id="that of the underlay"),
        pytest.param(routed(), {"addresses": ("10.9.9.9",)}, 1500, id="of no underlay: that of Ethernet"),
        pytest.param(routed(device="br0", adopted=True), {}, 9000, id="that of the operator's bridge"),
    ],
)
def test_its_mtu_is(network: DesiredNetwork, there: dict[str, Any], mtu: int) -> None:
    own = host(_link("br0", 9, kind="bridge", mtu=9000), mtu=1450)
    objects, _ = wanted(document(network, **there), own, settings())
    (conf,) = [json.loads(one.content) for one in objects if isinstance(one, Conf)]
    assert conf["plugins"][0]["mtu"] == mtu
    assert {one.mtu for one in objects if isinstance(one, Bridge)} <= {mtu}


def test_it_leaves_an_adopted_bridge_to_its_operator() -> None:
    network = bridge(device="br-prd", adopted=True)
    objects, findings = wanted(document(network), host(_link("br-prd", 9, kind="bridge")), settings())
    assert not findings
    assert not [one for one in objects if isinstance(one, Bridge | Up)]
    assert {one.name for one in objects if isinstance(one, Sysctl) and one.device} == {
        "net/ipv4/conf/br-prd/promote_secondaries"
    }
    assert _kinds(objects, Address) == [Address("br-prd", "10.10.10.1/24", 157)]


def test_it_does_not_give_up_a_bridge_it_made_when_the_network_adopts_it() -> None:
    there = _link("br-prd", 9, kind="bridge", ours=True)
    objects, _ = wanted(document(bridge(device="br-prd", adopted=True)), host(there), settings())
    assert [one.name for one in objects if isinstance(one, Bridge)] == ["br-prd"]


@pytest.mark.parametrize(
    ("links", "why"),
    [
        pytest.param([], "does not exist on this node", id="missing"),
        pytest.param([("br-prd", "dummy")], "is a dummy device and no bridge", id="no bridge"),
    ],
)
def test_it_reports_an_adopted_bridge_that_is_not_there(links: list[tuple[str, str]], why: str) -> None:
    there = host(*(_link(name, 9, kind=kind) for name, kind in links))
    objects, findings = wanted(document(bridge(device="br-prd", adopted=True), routed()), there, settings())
    (finding,) = findings_of(findings, "no-device")
    assert str(finding) == (
        f"bridge br-prd: {why}. Make it (ip link add br-prd type bridge), or declare the network without dev"
    )
    assert {one.network for one in objects} == {"backend1", ""}


def test_it_fills_a_template_with_what_this_node_has() -> None:
    template = """{"cniVersion": "0.4.0", "plugins": [
        {"type": "macvlan", "master": "{{interface}}", "mtu": {{ mtu }}, "text": "{{network}} of {{node}}",
         "ipam": {"type": "static", "cidr": "{{cidr}}", "six": "{{cidr6}}", "gateway": "{{gateway}}",
                  "gateway6": "{{gateway6}}", "own": "{{address}}", "dataDir": "{{store}}",
                  "cluster": "{{cluster}}"}}]}"""
    ranges = ("10.13.0.0/24", "fd13::/64")
    network = cni(template, ranges=ranges, subnets=ranges)
    objects, findings = wanted(document(network), host(mtu=1450), settings(Path("/x")))
    assert not findings
    (conf,) = objects
    assert isinstance(conf, Conf)
    assert conf.path == "/x/net.d/direct.conflist"
    body = json.loads(conf.content)
    assert (body["netadmin"], body["name"], body["cniVersion"]) == ({"node": "n1"}, "direct", "0.4.0")
    assert body["plugins"] == [
        {
            "type": "macvlan",
            "master": "eth0",
            "mtu": 1450,
            "text": "direct of n1",
            "ipam": {
                "type": "static",
                "cidr": "10.13.0.0/24",
                "six": "fd13::/64",
                "gateway": "10.13.0.1",
                "gateway6": "fd13::1",
                "own": "10.0.0.1",
                "dataDir": "/x/leases",
                "cluster": "c1",
            },
        }
    ]


def test_every_placeholder_that_may_be_declared_is_known_here() -> None:
    assert templates.values(cni("{}"), document(), host(), 1500, "/x").keys() == PLACEHOLDERS.keys()


@pytest.mark.parametrize(
    ("template", "why"),
    [
        pytest.param(
            '{"plugins": [{"type": "{{cidr}}"}]}', "{{cidr}} has no value on this node", id="no range"
        ),
        pytest.param('{"plugins": [{{interface}}]}', "it is no JSON with the values of", id="no quotes"),
        pytest.param("[]", "it is no configuration list", id="no list"),
    ],
)
def test_it_reports_a_template_that_cannot_be_filled_in_here(template: str, why: str) -> None:
    objects, findings = wanted(document(cni(template), bridge()), host(), settings())
    (finding,) = findings
    assert (finding.code, finding.network) == ("template", "direct")
    assert finding.why.startswith(why)
    assert [one.network for one in objects if isinstance(one, Conf)] == ["local1"]


def test_it_reports_a_table_without_a_number_and_fills_the_others() -> None:
    objects, findings = wanted(document(routed(tables=("main", "blue", "77"))), host(), settings())
    assert [finding.subject for finding in findings] == ["routing table blue"]
    assert {one.table for one in objects if isinstance(one, Route)} == {254, 77}


REACHABLE = [peer(number) for number in range(2, 6)]
TUNNELLED = [peer(number, gateways=(f"10.9.0.{number}",)) for number in range(6, 8)]
UNREACHABLE = [peer(number, addresses=("fd00:bb::1",), gateways=()) for number in range(8, 10)]


@given(
    before=st.lists(st.sampled_from(REACHABLE + TUNNELLED + UNREACHABLE), unique=True),
    after=st.lists(st.sampled_from(REACHABLE + TUNNELLED + UNREACHABLE), unique=True),
)
def test_it_wants_the_same_whatever_it_wanted_before(before: list[Peer], after: list[Peer]) -> None:
    def asked_of_it(network: DesiredNetwork) -> tuple[set[str], set[str], list[str]]:
        objects, findings = wanted(document(network), host(), settings())
        routes = {str(one) for one in objects if isinstance(one, Route)}
        tunnels = {one.name for one in objects if isinstance(one, Tunnel)}
        return routes, tunnels, [finding.subject for finding in findings]

    asked_of_it(routed(peers=(peer(1), *before)))
    followed = asked_of_it(routed(peers=(peer(1), *after)))
    asked_of_it(routed(peers=(), tables=("77",)))
    assert followed == asked_of_it(routed(peers=(peer(1), *after)))
    assert len(followed[0]) + len(followed[2]) == len(after)


def test_it_takes_the_narrowest_connected_subnet_that_is_up() -> None:
    there = host(
        _link("eth1", 3, addresses=("10.0.0.129/25",)),
        _link("eth2", 4, up=False, addresses=("10.0.0.194/26",)),
    )
    network = routed(peers=(peer(200, subnets=("10.11.4.0/22",)),))
    objects, _ = wanted(document(network), there, settings())
    assert [one.device for one in objects if isinstance(one, Route)] == ["eth1"]


def test_it_does_not_route_to_peers_through_a_bridge_of_its_own() -> None:
    there = host(_link("obr_local1", 3, kind="bridge", ours=True, addresses=("10.10.10.1/24",)))
    network = routed(tunnel="never", peers=(peer(2, gateways=("10.10.10.7",)),))
    _, findings = wanted(document(network), there, settings())
    assert [finding.code for finding in findings] == ["no-path"]


def test_it_says_what_helps_when_a_peer_is_out_of_reach() -> None:
    out_of_reach = (peer(2, gateways=("10.9.0.2",)), peer(3, gateways=("fd00:aa::3",)))
    network = routed(tunnel="never", peers=out_of_reach)
    _, findings = wanted(document(network), host(), settings())
    assert [str(finding) for finding in findings] == [
        "route to 10.11.4.0/22 on n2: "
        "the next hop 10.9.0.2 of n2 is on no subnet that this node is connected to. "
        "Declare gateway@n2 with an address that this node reaches directly, or a tunnel",
        "route to 10.11.8.0/22 on n3: n3 has no IPv4 address that could be the next hop. "
        "Declare addr@n3 or gateway@n3 with an IPv4 address",
    ]


def test_it_reports_other_peoples_addresses_on_its_bridge_but_not_its_own_old_one() -> None:
    addresses = (Held("10.99.0.1/24"), Held("10.11.4.1/22", 157), Held("fe80::1/64"))
    there = dataclasses.replace(_link("obr_backend1", 5, kind="bridge", ours=True), addresses=addresses)
    _, findings = wanted(document(routed(peers=())), host(there), settings())
    (finding,) = findings
    assert finding.subject == "address 10.99.0.1/24 dev obr_backend1"
    assert "the bridge plugin will refuse containers" in finding.why


def test_on_an_adopted_bridge_only_an_address_before_ours_is_reported() -> None:
    network = bridge(device="br-prd", adopted=True)
    behind = _link("br-prd", 5, kind="bridge", addresses=("10.10.10.1/24", "10.99.0.1/24", "fd99::1/64"))
    before = _link("br-prd", 5, kind="bridge", addresses=("10.99.0.1/24", "10.10.10.1/24"))
    assert not wanted(document(network), host(behind), settings())[1]
    assert [finding.code for finding in wanted(document(network), host(before), settings())[1]] == [
        "other-address"
    ]


def test_it_reports_a_file_of_others_with_the_same_network_name() -> None:
    there = dataclasses.replace(host(), confs={"/x/10-theirs.conf": "local1", "/x/other.conf": "other"})
    _, findings = wanted(document(bridge()), there, settings())
    assert [finding.subject for finding in findings] == ["file /x/10-theirs.conf"]


def test_it_wants_no_firewall_without_bridges_and_no_masquerading_for_public_ones() -> None:
    assert not _kinds(wanted(document(loopback()), host(), settings())[0], Firewall)
    (firewall,) = _kinds(wanted(document(bridge(public=True)), host(), settings())[0], Firewall)
    assert "masquerade" not in firewall.text


@pytest.mark.parametrize("device", ['x" accept; #', "../etc", "sixteen-letters-"])
def test_a_device_name_never_reaches_nft_or_proc_unchecked(device: str) -> None:
    with pytest.raises(ValueError, match="is no name of a device"):
        wanted(document(bridge(device=device)), host(), settings())


def test_it_wants_no_ipv6_switches_where_the_kernel_has_no_ipv6() -> None:
    there = dataclasses.replace(host(), ipv6=False)
    objects, _ = wanted(document(bridge()), there, settings())
    assert not [one for one in objects if isinstance(one, Sysctl) and "ipv6" in one.name]


# The world of a test


def host(*links: Link, mtu: int = 1500) -> Host:
    """n1 with its underlay, and ``links``."""
    underlay = _link("eth0", 2, mtu=mtu, addresses=("10.0.0.1/24", "fd00:aa::1/64"))
    return Host({link.name: link for link in (underlay, *links)})


def findings_of(findings: Iterable[Finding], code: str) -> list[Finding]:
    return [finding for finding in findings if finding.code == code]


def _link(
    name: str,
    index: int,
    kind: str = "",
    mtu: int = 1500,
    up: bool = True,
    ours: bool = False,
    addresses: Iterable[str] = (),
) -> Link:
    held = tuple(Held(address) for address in addresses)
    return Link(index=index, name=name, kind=kind, mac="", mtu=mtu, up=up, ours=ours, addresses=held)


def _kinds(objects: Iterable[Owned], kind: type) -> list[Any]:
    return [one for one in objects if isinstance(one, kind)]


def _sysctls(of: Document) -> dict[str, str]:
    """The switches of the node itself."""
    objects, _ = wanted(of, host(), settings())
    return {one.name: one.value for one in objects if isinstance(one, Sysctl) and not one.device}


def _collapsed(cidrs: Iterable[str]) -> list[str]:
    networks = [ipaddress.ip_network(cidr) for cidr in cidrs]
    return [str(net) for version in (4, 6) for net in _of_version(networks, version)]


def _of_version(networks: Iterable[Any], version: int) -> Iterable[Any]:
    return ipaddress.collapse_addresses(net for net in networks if net.version == version)


def _other_end(route: Route) -> str:
    return route.encap.remote if route.encap else route.via


def _own_end(route: Route, device: Tunnel) -> str:
    return route.encap.local if route.encap else device.ends.removeprefix("local ")


# From keywords to a document, as far as the cases need it


def _wanted(case: dict[str, Any], node: str) -> tuple[list[Owned], list[Finding]]:
    world = case["world"]
    declared = {**ALWAYS_THERE, **case["networks"]}
    networks = tuple(_network(name, keywords, world, node) for name, keywords in declared.items())
    links = {
        f"eth{number}": _link(f"eth{number}", number, addresses=(address,))
        for number, address in enumerate(world["links"][node], 1)
    }
    links |= {n.device: _link(n.device, 90, kind="bridge") for n in networks if n.adopted}
    there = Host(links, TABLES)
    return wanted(
        document(*networks, node=node, addresses=tuple(world["addresses"][node])), there, settings()
    )


def _network(name: str, keywords: dict[str, str], world: dict[str, Any], node: str) -> DesiredNetwork:
    all_peers = tuple(_peer(keywords, world, member) for member in world["nodes"])
    is_routed = keywords["type"] == "routed_bridge"
    own = next(p for p in all_peers if p.node == node).subnets if is_routed else (keywords["network"],)
    is_bridge = keywords["type"] in ("bridge", "routed_bridge")
    return DesiredNetwork(
        name=name,
        type=keywords["type"],
        ranges=(keywords["network"],),
        subnets=own,
        device=keywords.get("dev", f"obr_{name}") if is_bridge else "",
        adopted="dev" in keywords,
        public=keywords.get("public") == "true",
        mtu=0,
        tables=tuple(keywords.get("tables", "main").split()),
        tunnel=keywords.get("tunnel", "auto"),
        tunnel_mode=keywords.get("tunnel_mode", "ipip"),
        peers=all_peers if is_routed else (),
    )


def _peer(keywords: dict[str, str], world: dict[str, Any], node: str) -> Peer:
    whole = ipaddress.ip_network(keywords["network"])
    size = int(keywords.get("ips_per_node", "1024"))
    first = whole[0] + world["nodes"].index(node) * size if whole.num_addresses >= size else whole[0]
    segment = keywords.get(f"subnet@{node}", f"{first}/{whole.max_prefixlen - (size - 1).bit_length()}")
    skipped = ("127.0.0.1", "127.0.1.1", "::1")
    resolved = [
        a for a in world["addresses"][node] if (":" in a) == (whole.version == 6) and a not in skipped
    ]
    address = keywords.get(f"addr@{node}", resolved[0] if resolved else "")
    gateway = keywords.get(f"gateway@{node}", address)
    return Peer(node, (address,), (gateway,), (segment,))
