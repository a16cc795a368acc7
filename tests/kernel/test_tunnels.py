"""Tunnels on the machine's own kernel: VXLAN, over both families. Conflicts, guard, devices in general."""

import socket
from pathlib import Path

import pytest

from lab.pings import ping
from tests.kernel import tunnels
from tests.kernel.cluster import Declared, an_underlay
from tests.kernel.node import Node
from workers.kernel.routes import Route
from workers.kernel.tunnels import Tunnel

OVER = [pytest.param(("4",), id="over IPv4"), pytest.param(("6",), id="over IPv6")]


@pytest.mark.parametrize("ends", OVER)
def test_packets_cross_up_to_the_full_size(tmp_path: Path, ends: tuple[str, ...]) -> None:
    tunnels.packets_cross(tmp_path, "vxlan", ends)


@pytest.mark.parametrize("ends", OVER)
def test_packets_of_strangers_are_dropped(tmp_path: Path, ends: tuple[str, ...]) -> None:
    tunnels.strangers_are_refused(tmp_path, "vxlan", ends)


@pytest.mark.parametrize("ends", OVER)
def test_a_switch_between_direct_and_tunnel_loses_nothing(tmp_path: Path, ends: tuple[str, ...]) -> None:
    tunnels.a_switch_loses_nothing(tmp_path, "vxlan", ends)


@pytest.mark.parametrize("ends", OVER)
def test_workers_that_switch_by_themselves_lose_nothing(
    tmp_path: Path, ends: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    tunnels.workers_switch_together(tmp_path, "vxlan", ends, monkeypatch)


@pytest.mark.parametrize("ends", OVER)
def test_what_is_not_needed_any_more_goes(tmp_path: Path, ends: tuple[str, ...]) -> None:
    tunnels.nothing_is_left(tmp_path, "vxlan", ends)


@pytest.mark.parametrize("ends", OVER)
def test_the_way_through_it_is_explained(tmp_path: Path, ends: tuple[str, ...]) -> None:
    tunnels.the_way_is_explained(tmp_path, "vxlan", ends)


@pytest.mark.parametrize("ends", OVER)
def test_it_repairs_its_device_and_the_routes(tmp_path: Path, ends: tuple[str, ...]) -> None:
    tunnels.tampering_is_repaired(tmp_path, "vxlan", ends)


def test_ipv6_crosses_an_underlay_that_has_only_ipv4(tmp_path: Path) -> None:
    with an_underlay(tmp_path) as underlay:
        network = Declared(inside=("6",), ends=("4",))
        underlay.converge(network)
        (address,) = network.bridge_addresses(2)
        assert ping(underlay.nodes[1].namespace, address, count=2).lost == 0


def test_two_networks_share_a_device_and_each_has_its_mtu(tmp_path: Path) -> None:
    with an_underlay(tmp_path, 2) as underlay:
        large, small = Declared("large", mtu=1450), Declared("small", prefix=12, mtu=1300)
        underlay.converge(large, small)
        node = underlay.nodes[1]
        mtus = {device: node.link(device)["mtu"] for device in ("obr_large", "obr_small", "na_vxlan")}
        assert mtus == {"obr_large": 1450, "obr_small": 1300, "na_vxlan": 1450}
        assert len(node.routes()) == 4


def test_a_smaller_underlay_makes_smaller_bridges_tunnels_and_files(tmp_path: Path) -> None:
    with an_underlay(tmp_path) as underlay:
        node, network = underlay.nodes[1], Declared(ends=("4",))
        underlay.converge(network)
        node.ip("link set eth0 mtu 1400")
        underlay.converge_one(1, network)
        assert [node.link(device)["mtu"] for device in ("obr_net", "na_vxlan")] == [1364, 1364]
        assert '"mtu": 1364' in node.files()["net.conflist"]


def test_a_hop_in_the_middle_with_a_smaller_mtu_is_not_hidden(tmp_path: Path) -> None:
    """n1 -- n3 -- n2: with DF in the encapsulation n1 learns it, without, n3 would cut packets in two."""
    with an_underlay(tmp_path, 3) as underlay:
        network = Declared(ends=("4",), inside=("4",))
        for number in (1, 2):
            underlay.converge_one(number, network)
        node, hop, (address,) = underlay.nodes[1], underlay.nodes[3], network.bridge_addresses(2)
        with hop.namespace.entered():
            for switch in ("ip_forward=1", "conf/all/send_redirects=0", "conf/eth0/send_redirects=0"):
                name, _, value = switch.partition("=")
                hop.kernel.procfs.write(f"net/ipv4/{name}", value)
        hop.ip("route add 10.0.0.2/32 dev eth0 mtu lock 1400")
        node.ip("route add 10.0.0.2/32 via 10.0.0.3")
        assert ping(node.namespace, address, size=1300).received == 1
        assert ping(node.namespace, address, count=3, size=1464 - 28, within=0.3).received == 0
        assert "mtu 1400" in node.ip("route get 10.0.0.2"), "the node has learned it"
        assert ping(node.namespace, address, size=1364 - 28).received == 1


def test_a_device_of_others_in_the_place_of_ours_is_a_conflict(tmp_path: Path) -> None:
    with an_underlay(tmp_path) as underlay:
        node, network = underlay.nodes[1], Declared()
        node.ip("link add theirs up type vxlan external gpe dstport 4790")
        with node.namespace.entered():
            made = node.plan(underlay.document(1, network))
        (finding,) = [finding for finding in made.findings if finding.code == "conflict"]
        assert "vxlan device theirs port 4790 external gpe is in the way and not ours" in finding.why
        needed = [one.object for one in made.changes if isinstance(one.object, Tunnel | Route)]
        assert needed == []


def test_vxlan_of_others_on_another_port_is_no_matter(tmp_path: Path) -> None:
    with an_underlay(tmp_path) as underlay:
        underlay.nodes[1].ip("link add theirs up type vxlan id 7 remote 10.0.0.9 dev eth0 dstport 4789")
        underlay.converge(Declared())
        assert underlay.nodes[1].link("theirs")["operstate"] == "UNKNOWN"


@pytest.mark.parametrize(("value", "arrives"), [("0", True), ("1", False), ("2", False)])
def test_a_filter_of_others_for_return_paths_is_reported(tmp_path: Path, value: str, arrives: bool) -> None:
    """n2 sends through the tunnel while n1 answers directly: a loose filter drops that as well."""
    with an_underlay(tmp_path) as underlay:
        network, node = Declared(inside=("4",)), underlay.nodes[1]
        underlay.converge(network)
        (near,), (far,) = network.bridge_addresses(1), network.bridge_addresses(2)
        node.ip(f"route add {far}/32 via 10.0.0.2")
        with node.namespace.entered():
            node.kernel.procfs.write("net/ipv4/conf/all/rp_filter", value)
            findings = node.plan(underlay.document(1, network)).findings
            direct = node.plan(underlay.document(1, Declared(tunnel="never"))).findings
        assert _sent(underlay.nodes[2], far, near, node) is arrives
        problems = [finding.code for finding in findings if finding.level == "problem"]
        assert problems == ([] if arrives else ["rp-filter"])
        assert not direct


def test_a_strict_filter_on_the_underlay_is_named_where_it_drops(tmp_path: Path) -> None:
    """n2 sends directly while n1 answers through the tunnel, as during a switch."""
    with an_underlay(tmp_path) as underlay:
        tunnelled, direct = Declared(inside=("4",)), Declared(inside=("4",), tunnel="never")
        node, peer = underlay.nodes[1], underlay.nodes[2]
        underlay.converge_one(1, tunnelled)
        underlay.converge_one(2, direct)
        (near,), (far,) = direct.bridge_addresses(1), direct.bridge_addresses(2)
        assert _sent(peer, far, near, node)
        with node.namespace.entered():
            node.kernel.procfs.write("net/ipv4/conf/eth0/rp_filter", "1")
            (finding,) = node.plan(underlay.document(1, tunnelled)).findings
        assert not _sent(peer, far, near, node)
        assert (finding.level, finding.subject) == ("warning", "sysctl net/ipv4/conf/eth0/rp_filter")
        _, setting = finding.remedy.partition(",")[0].split()
        node.namespace.run(["sysctl", "-q", "-w", setting])
        assert _sent(peer, far, near, node)
        with node.namespace.entered():
            assert not node.plan(underlay.document(1, tunnelled)).findings


def _sent(sender: Node, source: str, target: str, receiver: Node) -> bool:
    """Whether a datagram arrives; the answer does not matter."""
    with receiver.namespace.entered():
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sender.namespace.entered():
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with server, client:
        server.bind((target, 0))
        server.settimeout(0.5)
        client.bind((source, 0))
        client.sendto(b"hello", server.getsockname())
        try:
            return server.recv(16) == b"hello"
        except TimeoutError:
            return False


def test_a_changed_address_of_a_node_is_a_changed_route(tmp_path: Path) -> None:
    with an_underlay(tmp_path) as underlay:
        underlay.converge(Declared(ends=("4",)))
        changes = underlay.converge_one(1, Declared(ends=("6",)))
        assert [change.split()[:2] for change in changes if "route" in change] == [["change", "route"]] * 2
        assert not [change for change in changes if change.startswith("remove")]


def test_the_node_itself_speaks_with_its_bridge_address(tmp_path: Path) -> None:
    with an_underlay(tmp_path) as underlay:
        network = Declared()
        underlay.converge(network)
        for own, address in zip(network.bridge_addresses(1), network.bridge_addresses(2), strict=True):
            assert f"src {own}" in underlay.nodes[1].ip(f"route get {address}")
