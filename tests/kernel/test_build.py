"""A network comes up, changes and goes, and nothing else moves: seen with iproute2 and nft."""

import dataclasses
import json

import pytest

from tests.documents import bridge, document, loopback, peer, peers, routed, routed6
from tests.kernel.events import changes_of_links_addresses_and_routes
from tests.kernel.node import Node
from workers.document import DesiredNetwork

BOTH = document(loopback(), routed(), routed6(), bridge())


def test_it_builds_the_bridge_with_mac_mtu_address_and_marks(node: Node) -> None:
    node.converge(document(routed(mtu=1400)))
    link = node.link("obr_backend1")
    assert link["linkinfo"]["info_kind"] == "bridge"
    assert link["address"] == "0a:58:0a:0b:00:01"
    assert link["mtu"] == 1400
    assert link["group"] == "28257"
    assert link["ifalias"] == "netadmin backend1"
    assert "UP" in link["flags"]
    assert node.addresses("obr_backend1") == ["10.11.0.1/22"]


def test_its_ipv6_address_is_usable_at_once_although_no_port_is_up(node: Node) -> None:
    both = routed(ranges=("10.11.0.0/16", "fd10::/112"), subnets=("10.11.0.0/22", "fd10::/120"))
    node.converge(document(both))
    (address,) = [
        one
        for one in node.ip_json("addr show dev obr_backend1")[0]["addr_info"]
        if one["family"] == "inet6" and one["scope"] == "global"
    ]
    assert address["local"] == "fd10::1"
    assert address["nodad"]
    assert "tentative" not in address


def test_it_leaves_the_mac_of_an_ipv6_bridge_alone(node: Node) -> None:
    node.converge(document(routed6()))
    mac = "02:00:00:00:00:99"
    node.ip(f"link set obr_six address {mac}")
    assert not node.plan(document(routed6()))
    assert node.link("obr_six")["address"] == mac


@pytest.mark.parametrize("device", ["obr_backend1", "obr_six"])
def test_it_sets_the_switches_of_node_and_bridge(node: Node, device: str) -> None:
    node.converge(BOTH)
    assert node.sysctl("net/ipv4/ip_forward") == "1"
    assert node.sysctl("net/ipv6/conf/all/forwarding") == "1"
    assert node.sysctl(f"net/ipv6/conf/{device}/accept_ra") == "0"
    assert node.sysctl(f"net/ipv6/conf/{device}/keep_addr_on_down") == "1"


def test_it_routes_to_every_peer_and_leaves_the_own_segment_to_the_kernel(node: Node) -> None:
    node.converge(BOTH)
    assert node.routes() == [
        "10.11.4.0/22 10.0.0.2 eth0",
        "10.11.8.0/22 10.0.0.3 eth0",
        "fd10::100/120 fd00:aa::2 eth0",
        "fd10::200/120 fd00:aa::3 eth0",
    ]
    assert "10.11.0.0/22 obr_backend1" in node.routes(proto="kernel")


@pytest.mark.parametrize(
    "network", [routed(tables=("main", "77", "300")), routed6(tables=("main", "77", "300"))]
)
def test_it_fills_every_table_of_the_network(node: Node, network: DesiredNetwork) -> None:
    node.converge(document(network))
    in_main = node.routes()
    own = f"{network.subnets[0]} {network.device}"
    for table in ("77", "300"):
        assert node.routes(table) == sorted([own, *in_main])


def test_it_knows_tables_by_the_names_of_the_node(node: Node) -> None:
    assert node.look(None).host.tables["main"] == 254
    assert node.look(None).host.tables["local"] == 255


def test_a_second_look_finds_nothing_to_do(node: Node) -> None:
    node.converge(BOTH)
    before = node.state()
    with changes_of_links_addresses_and_routes() as events:
        assert not node.converge(BOTH)
    assert events == []
    assert node.state() == before


def test_an_empty_document_removes_everything_of_ours_and_nothing_else(node: Node) -> None:
    before = node.state()
    node.converge(document(loopback(), routed(tables=("main", "77")), routed6(), bridge()))
    assert node.state() != before
    node.converge(document())
    assert node.state() == before


def test_without_a_document_it_still_sees_what_is_ours(node: Node) -> None:
    node.converge(BOTH)
    observed = node.look(None)
    assert observed.routes == 4
    assert set(observed.files) == {"lo.conflist", "backend1.conflist", "six.conflist", "local1.conflist"}
    assert observed.foreign == []


CHANGES = [
    pytest.param(
        routed(),
        routed(mtu=1400),
        [
            "change bridge obr_backend1 mtu 1400 mac 0a:58:0a:0b:00:01 "
            "(was bridge obr_backend1 mtu 1500 mac 0a:58:0a:0b:00:01)",
            "change file {net.d}/backend1.conflist (was file {net.d}/backend1.conflist)",
        ],
        id="mtu",
    ),
    pytest.param(
        routed(peers=peers(1, 2)),
        routed(peers=(peer(1), peer(2, gateways=("10.0.0.22",)))),
        [
            "change route 10.11.4.0/22 via 10.0.0.22 dev eth0 proto 157 "
            "(was route 10.11.4.0/22 via 10.0.0.2 dev eth0 proto 157)"
        ],
        id="next hop of a peer",
    ),
    pytest.param(
        routed6(tables=("77",)),
        routed6(subnets=("fd10::/124",), tables=("77",)),
        [
            "change address fd10::1/124 dev obr_six (was address fd10::1/120 dev obr_six)",
            "change firewall table inet netadmin (was firewall table inet netadmin)",
            "add route fd10::/124 dev obr_six table 77 proto 157",
            "change file {net.d}/six.conflist (was file {net.d}/six.conflist)",
            "remove route fd10::/120 dev obr_six table 77 proto 157",
        ],
        id="prefix length of an IPv6 segment",
    ),
    pytest.param(
        routed(peers=peers(1, 2)),
        routed(peers=peers(1, 3)),
        [
            "add route 10.11.8.0/22 via 10.0.0.3 dev eth0 proto 157",
            "remove route 10.11.4.0/22 via 10.0.0.2 dev eth0 proto 157",
        ],
        id="a peer comes and another goes",
    ),
    pytest.param(
        routed(tables=("77", "78"), peers=()),
        routed(tables=("78", "79"), peers=()),
        [
            "add route 10.11.0.0/22 dev obr_backend1 table 79 proto 157",
            "remove route 10.11.0.0/22 dev obr_backend1 table 77 proto 157",
        ],
        id="another table",
    ),
    pytest.param(
        routed(),
        routed(public=True),
        ["change firewall table inet netadmin (was firewall table inet netadmin)"],
        id="public",
    ),
]


@pytest.mark.parametrize(("before", "after", "changes"), CHANGES)
def test_it_follows_a_change_of(
    node: Node, before: DesiredNetwork, after: DesiredNetwork, changes: list[str]
) -> None:
    node.converge(document(before, ranges=("10.11.0.0/16",)))
    done = node.converge(document(after, ranges=("10.11.0.0/16",)))
    assert done == [change.replace("{net.d}", str(node.directory)) for change in changes]


def test_a_segment_that_moves_takes_address_mac_routes_and_file_along(node: Node) -> None:
    node.converge(document(routed(tables=("main", "77"))))
    moved = routed(tables=("main", "77"), subnets=("10.11.16.0/22",))
    node.converge(document(moved))
    assert node.addresses("obr_backend1") == ["10.11.16.1/22"]
    assert node.link("obr_backend1")["address"] == "0a:58:0a:0b:10:01"
    assert "10.11.16.0/22 obr_backend1" in node.routes("77")
    assert "10.11.0.0/22 obr_backend1" not in node.routes("77")
    conf = json.loads(node.files()["backend1.conflist"])
    assert conf["plugins"][0]["ipam"]["subnet"] == "10.11.16.0/22"


def test_removing_one_network_does_not_touch_the_others(node: Node) -> None:
    node.converge(BOTH)
    file = node.directory / "backend1.conflist"
    before = file.stat()
    kept = {node.link(name)["ifindex"] for name in ("obr_backend1", "obr_six", "eth0")}
    with changes_of_links_addresses_and_routes() as events:
        node.converge(document(loopback(), routed(), routed6(), ranges=BOTH.ranges))
    assert events
    assert {event.device for event in events} & kept == set()
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert "obr_local1" not in node.ip("link show")


def test_adding_a_peer_does_not_touch_the_routes_to_the_others(node: Node) -> None:
    node.converge(document(routed(peers=peers(1, 2))))
    with changes_of_links_addresses_and_routes() as events:
        node.converge(document(routed(peers=peers(1, 2, 3))))
    assert [event.name for event in events] == ["NEWROUTE"]


def test_a_renamed_device_takes_over_while_the_old_one_is_still_there(node: Node) -> None:
    node.converge(document(routed()))
    done = node.converge(document(routed(device="obr_new")))
    assert done[0].startswith("add bridge obr_new")
    assert done[-1].startswith("remove bridge obr_backend1")
    assert node.addresses("obr_new") == ["10.11.0.1/22"]
    assert "10.11.0.0/22 obr_new" in node.routes(proto="kernel")


DAMAGES = [
    pytest.param("link del obr_backend1", id="bridge deleted"),
    pytest.param("link set obr_backend1 down", id="bridge down"),
    pytest.param("link set obr_backend1 mtu 1280", id="mtu"),
    pytest.param("link set obr_backend1 address 02:00:00:00:00:01", id="mac"),
    pytest.param("addr flush dev obr_backend1", id="addresses flushed"),
    pytest.param("route flush proto 157", id="routes flushed"),
    pytest.param("route del 10.11.4.0/22", id="a route deleted"),
    pytest.param("route replace 10.11.4.0/22 via 10.0.0.9 proto 157", id="a route turned elsewhere"),
    pytest.param("route replace blackhole 10.11.4.0/22 proto 157", id="a route turned into a blackhole"),
    pytest.param("route add 10.99.0.0/24 via 10.0.0.9 proto 157", id="a route too many with our mark"),
    pytest.param("-6 route append fd10::100/120 via fd00:aa::9 proto 157", id="a second next hop"),
    pytest.param("-6 route flush proto 157", id="IPv6 routes flushed"),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_it_repairs(node: Node, damage: str) -> None:
    wanted = document(routed(tables=("main", "77")), routed6())
    node.converge(wanted)
    before = node.state()
    node.ip(damage)
    assert node.converge(wanted)
    assert node.state() == before


def test_it_builds_on_the_operators_bridge_and_leaves_that_when_it_goes(node: Node) -> None:
    node.ip("link add br-prd address 02:00:00:00:00:07 mtu 1450 type bridge")
    node.ip("link set br-prd up")
    node.ip("addr add 192.168.7.1/24 dev br-prd")
    before = node.state()
    adopted = bridge(device="br-prd", adopted=True)
    node.converge(document(adopted))
    link = node.link("br-prd")
    assert (link["address"], link["mtu"], link["group"]) == ("02:00:00:00:00:07", 1450, "default")
    assert node.addresses("br-prd") == ["192.168.7.1/24", "10.10.10.1/24"]
    node.converge(document())
    assert node.state() == before


def test_an_address_that_the_operator_gave_his_bridge_is_used_and_stays(node: Node) -> None:
    node.ip("link add br-prd type bridge")
    node.ip("link set br-prd up")
    node.ip("addr add 10.10.10.1/24 dev br-prd")
    node.ip("addr add 10.10.10.9/24 dev br-prd")
    adopted = document(bridge(device="br-prd", adopted=True))
    assert not [change for change in node.converge(adopted) if change.startswith("add address")]
    node.converge(document())
    assert node.addresses("br-prd") == ["10.10.10.1/24", "10.10.10.9/24"]


def test_taking_our_address_away_leaves_the_operators_in_the_same_subnet(node: Node) -> None:
    node.ip("link add br-prd type bridge")
    node.ip("link set br-prd up")
    node.converge(document(bridge(device="br-prd", adopted=True)))
    node.ip("addr add 10.10.10.9/24 dev br-prd")
    node.converge(document())
    assert node.addresses("br-prd") == ["10.10.10.9/24"]


def test_the_report_tells_every_interface(node: Node) -> None:
    node.converge(BOTH)
    interfaces = {one.name: one for one in node.look(BOTH).interfaces}
    assert set(interfaces) == {"lo", "eth0", "wire", "obr_backend1", "obr_six", "obr_local1"}
    bridge_ = interfaces["obr_backend1"]
    assert (bridge_.kind, bridge_.mac, bridge_.mtu) == ("bridge", "0a:58:0a:0b:00:01", 1500)
    assert (bridge_.up, bridge_.ours) == (True, True)
    assert bridge_.addresses[0] == "10.11.0.1/22"
    assert (interfaces["eth0"].kind, interfaces["eth0"].ours) == ("veth", False)
    assert interfaces["lo"].kind == "loopback"


def test_the_report_counts_bytes_and_packets_of_an_interface(node: Node) -> None:
    node.namespace.run(["ping", "-q", "-c", "3", "-i", "0.01", "127.0.0.1"])
    (lo,) = [one for one in node.look(None).interfaces if one.name == "lo"]
    witness = node.ip_json("-s link show dev lo")[0]["stats64"]
    assert lo.rx_packets == witness["rx"]["packets"] >= 6
    assert lo.tx_packets == witness["tx"]["packets"]
    assert lo.rx_bytes == witness["rx"]["bytes"]
    assert lo.tx_bytes == witness["tx"]["bytes"]


def test_an_mtu_that_it_was_told_stays_when_a_port_with_a_smaller_one_comes(node: Node) -> None:
    wanted = document(routed(mtu=9000))
    node.converge(wanted)
    node.ip("link add port type veth peer name end")
    node.ip("link set port mtu 1400 master obr_backend1")
    assert not node.plan(wanted)
    assert dataclasses.asdict(node.look(wanted).host.links["obr_backend1"])["mtu"] == 9000
