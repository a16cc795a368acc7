"""Probes on real kernels: what each state and each reason takes."""

import dataclasses
import gc
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.pings import ping
from lab.waiting import until
from tests.documents import document, routed
from tests.kernel.cluster import Declared, an_underlay
from tests.kernel.probing import WITHIN, probing
from tests.pure.test_probing import HOST
from workers.document import Peer
from workers.probing import prober as probers
from workers.probing import schedule, trial
from workers.probing.echoes import Echoes, Heard


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new pair that does not answer is judged after two seconds, not six."""
    monkeypatch.setitem(trial.VOLLEYS, "pending", (0.0, 0.1, 0.6))


@pytest.mark.parametrize(
    "network", [Declared(tunnel="never"), Declared(tunnel="always")], ids=["direct", "vxlan"]
)
def test_it_is_up_when_full_packets_cross_in_both_families(tmp_path: Path, network: Declared) -> None:
    network = dataclasses.replace(network, members=(1, 2, 3))
    with an_underlay(tmp_path, 3) as underlay, probing(underlay) as n1:
        underlay.converge(network)
        n1.aim(network)
        size = 1500 if network.tunnel == "never" else 1444
        for probed, family in zip(n1.judged(), (4, 6), strict=True):
            assert (probed.family, probed.peers, probed.up, probed.size) == (family, 2, 2, size)
            assert [pair.peer for pair in probed.pairs] == ["n2", "n3"]
            for pair in probed.pairs:
                assert (pair.state, pair.largest, pair.code, pair.loss) == ("up", size, "", 0.0)
                assert 0 < pair.rtt < WITHIN * 1000


def test_small_passes_and_full_is_lost_where_a_hop_in_the_middle_is_smaller(tmp_path: Path) -> None:
    """The switch forwards what its port to n2 cannot take, and says nothing about it."""
    network = Declared(tunnel="never", inside=("4", "6"))
    with an_underlay(tmp_path) as underlay, probing(underlay) as n1:
        underlay.converge(network)
        underlay.switch.run(["ip", "link", "set", "n2", "mtu", "1333"])
        n1.aim(network)
        for pair, version in zip(n1.pairs(), (4, 6), strict=True):
            assert (pair.state, pair.code, pair.largest) == ("mtu", "mtu", 1333), version
            assert "packets of 1500 bytes are lost, the largest that passes has 1333" in pair.why
            assert "declare mtu=1333" in pair.remedy
        underlay.switch.run(["ip", "link", "set", "n2", "mtu", "1500"])
        until(lambda: n1.prober.probed[0].up, what="it is up again", within=WITHIN)


def test_a_path_mtu_that_the_kernel_remembers_does_not_hide_it(tmp_path: Path) -> None:
    """It would cut a packet in two that is to cross in one piece."""
    network = Declared(tunnel="never")
    with an_underlay(tmp_path) as underlay, probing(underlay) as n1:
        underlay.converge(network)
        underlay.switch.run(["ip", "link", "set", "n2", "mtu", "1333"])
        underlay.nodes[1].ip("route change 10.11.4.0/22 via 10.0.0.2 proto 157 mtu 1300")
        underlay.nodes[1].ip("-6 route change fd11::100/120 via fd00:aa::2 proto 157 mtu 1300")
        n1.aim(network)
        assert [(pair.state, pair.largest) for pair in n1.pairs()] == [("mtu", 1333), ("mtu", 1333)]


def test_through_a_tunnel_the_kernel_itself_names_the_limit(tmp_path: Path) -> None:
    network = Declared(tunnel="always", inside=("4",), ends=("4",))
    with an_underlay(tmp_path) as underlay, probing(underlay) as n1:
        underlay.converge(network)
        underlay.switch.run(["ip", "link", "set", "n2", "mtu", "1400"])
        n1.aim(network)
        (pair,) = n1.pairs()
        assert (pair.state, pair.largest) == ("mtu", 1400 - 36)
        assert "tunnel" in pair.remedy


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("family", [0, 1], ids=["IPv4", "IPv6"])
def test_an_underlay_that_drops_what_is_not_from_node_to_node_asks_for_tunnels(
    tmp_path: Path, family: int
) -> None:
    network = Declared(tunnel="auto")
    with an_underlay(tmp_path) as underlay, probing(underlay) as n1:
        underlay.converge(network)
        underlay.switch.run(
            ["nft", "-f", "-"],
            stdin=_DROPPED.format(what="ip saddr 10.11.0.0/16", six="ip6 saddr fd11::/112"),
        )
        n1.aim(network)
        pair = n1.pairs()[family]
        assert (pair.state, pair.code, pair.loss, pair.largest) == ("down", "blocked", 1.0, 0)
        assert pair.why.startswith(
            f"n2 answers at {('10.0.0.2', 'fd00:aa::2')[family]}, but nothing comes back"
        )
        assert "declare tunnel=always" in pair.remedy


@pytest.mark.usefixtures("impatient")
def test_a_tunnel_that_is_blocked_says_what_must_pass(tmp_path: Path) -> None:
    network = Declared(tunnel="always", inside=("4",), ends=("4",))
    with an_underlay(tmp_path) as underlay, probing(underlay) as n1:
        underlay.converge(network)
        underlay.switch.run(
            ["nft", "-f", "-"], stdin=_DROPPED.format(what="udp dport 4790", six="udp dport 4790")
        )
        n1.aim(network)
        (pair,) = n1.pairs()
        assert (pair.state, pair.code) == ("down", "blocked")
        assert "let UDP port 4790 (VXLAN-GPE) pass" in pair.remedy


_DROPPED = """
table bridge underlay {{
    chain between {{
        type filter hook forward priority 0
        {what} drop
        {six} drop
    }}
}}
"""


@pytest.mark.usefixtures("impatient")
def test_a_firewall_that_says_so_is_named(tmp_path: Path) -> None:
    network = Declared(tunnel="never")
    with an_underlay(tmp_path) as underlay, probing(underlay) as n1:
        underlay.converge(network)
        underlay.nodes[2].nft("add table inet other")
        underlay.nodes[2].nft("add chain inet other in { type filter hook input priority 0; }")
        underlay.nodes[2].nft(
            "add rule inet other in iifname eth0 ip daddr 10.11.0.0/16 reject with icmpx admin-prohibited"
        )
        underlay.nodes[2].nft(
            "add rule inet other in iifname eth0 ip6 daddr fd11::/112 reject with icmpx admin-prohibited"
        )
        n1.aim(network)
        four, six = n1.pairs()
        assert (four.code, six.code) == ("rejected", "rejected")
        assert four.why == "10.11.4.1 refuses to pass on packets to 10.11.4.1"


@pytest.mark.usefixtures("impatient")
def test_a_peer_that_has_not_built_the_network_says_so(tmp_path: Path) -> None:
    network = Declared(tunnel="never", inside=("4",))
    with an_underlay(tmp_path) as underlay, probing(underlay) as n1:
        underlay.converge_one(1, network)
        n1.aim(network)
        (pair,) = n1.pairs()
        assert (pair.state, pair.code) in {("down", "not-built"), ("down", "blocked")}
        assert "n2 has carried out the network" in pair.remedy


@pytest.mark.usefixtures("impatient")
def test_a_peer_that_is_gone_is_down(tmp_path: Path) -> None:
    network = Declared(tunnel="never")
    with an_underlay(tmp_path) as underlay, probing(underlay) as n1:
        underlay.converge(network)
        underlay.switch.run(["ip", "link", "set", "n2", "down"])
        n1.aim(network)
        four, six = n1.pairs()
        assert (four.state, four.code, six.code) == ("down", "peer-down", "peer-down")
        assert four.why == "neither 10.11.4.1 nor its own address 10.0.0.2 answers"
        underlay.switch.run(["ip", "link", "set", "n2", "up"])
        until(lambda: n1.prober.probed[0].up, what="it is up again", within=WITHIN)


@pytest.mark.usefixtures("impatient")
def test_without_a_route_of_ours_it_says_where_the_kernel_sends_instead(tmp_path: Path) -> None:
    network = Declared(tunnel="never", inside=("4",))
    with an_underlay(tmp_path) as underlay, probing(underlay) as n1:
        underlay.converge(network)
        node = underlay.nodes[1]
        node.ip("route del 10.11.4.0/22")
        n1.aim(network)
        (pair,) = n1.pairs()
        assert (pair.state, pair.code) == ("down", "no-route")
        assert pair.why == "to 10.11.4.1 the kernel has no route, declared is eth0"
        node.ip("link add elsewhere type bridge")
        node.ip("link set elsewhere up")
        node.ip("route add default dev elsewhere")
        until(
            lambda: "sends through elsewhere" in n1.prober.probed[0].pairs[0].why,
            what="the other way",
            within=WITHIN,
        )


@pytest.mark.usefixtures("impatient")
def test_without_the_bridge_address_it_says_so(tmp_path: Path) -> None:
    network = Declared(tunnel="never")
    with an_underlay(tmp_path) as underlay, probing(underlay) as n1:
        underlay.converge(network)
        node = underlay.nodes[1]
        node.ip("addr flush dev obr_net")
        n1.aim(network)
        assert [pair.code for pair in n1.pairs()] == ["no-address", "no-address"]


def test_a_peer_without_a_way_is_not_even_tried(tmp_path: Path) -> None:
    network = Declared(tunnel="always", mode="ip6ip6", inside=("4",), ends=("4",))
    with an_underlay(tmp_path) as underlay, probing(underlay) as n1:
        node = underlay.nodes[1]
        with node.namespace.entered():
            node.carry_out(node.plan(underlay.document(1, network)))
        n1.aim(network)
        (pair,) = n1.pairs(within=1)
        assert (pair.state, pair.code, pair.why) == ("down", "no-route", "there is no way to n2")


def test_a_peer_that_applies_a_little_later_makes_no_noise(tmp_path: Path) -> None:
    network = Declared(tunnel="never")
    with an_underlay(tmp_path) as underlay, probing(underlay) as n1:
        underlay.converge_one(1, network)
        n1.aim(network)
        seen = set()
        until(lambda: n1.woken, what="it follows", within=1)
        until(lambda: seen.update(one.down for one in n1.prober.probed) or len(seen), what="a look", within=1)
        underlay.converge_one(2, network)
        n1.judged()
        assert [probed.up for probed in n1.prober.probed] == [1, 1]
        assert seen == {0}


def test_without_the_right_to_raw_sockets_it_says_so(tmp_path: Path) -> None:
    with an_underlay(tmp_path) as underlay:
        underlay.converge(Declared(tunnel="never"))
        dropped = ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw", sys.executable, "-c", _PROBE]
        said = underlay.nodes[1].namespace.run(dropped)
    assert said.splitlines() == ["no-probes echo socket of IPv4: cannot be opened (Operation not permitted)"]


_PROBE = """
import dataclasses, threading
from tests.documents import document, routed
from tests.pure.test_probing import HOST
from workers.probing.prober import Prober

woken = threading.Event()
prober = Prober(lambda: prober.findings and woken.set())
prober.start()
prober.aim(document(routed(), probe_interval=30.0), HOST, True)
assert woken.wait(10)
for finding in prober.findings:
    print(finding.code, f"{finding.subject}: {finding.why}".partition(", so that")[0])
assert prober.probed[0].pending == 2
"""


def test_a_node_that_comes_back_with_another_card_is_found_by_its_own_probes(tmp_path: Path) -> None:
    """It asks for the next hop by its own address first: else the peer keeps sending to the old card."""
    network = Declared(tunnel="never", inside=("4",))
    with an_underlay(tmp_path) as underlay:
        underlay.converge(network)
        with probing(underlay, 2) as n2:
            n2.aim(network, interval=3600)
            n2.judged()
        underlay.nodes[1].ip("link set eth0 down")
        underlay.nodes[1].ip("link set eth0 address 02:00:00:00:00:99")
        underlay.nodes[1].ip("link set eth0 up")
        underlay.converge_one(1, network)
        with probing(underlay) as n1:
            n1.aim(network)
            n1.judged()
            assert n1.prober.probed[0].up == 1


def test_five_thousand_peers_cost_little_time_and_then_none(tmp_path: Path) -> None:
    """All of them are one node that has a very large segment: what counts is what the prober does."""
    count, probed = 5000, [0.0]
    peers = tuple(Peer(f"n{n}", ("10.0.0.2",), ("10.0.0.2",), (_piece(n),)) for n in range(1, count + 2))
    network = routed(ranges=("10.64.0.0/10",), subnets=(_piece(1),), peers=peers)
    wanted = document(network, probe_interval=3600.0)
    with an_underlay(tmp_path) as underlay:
        underlay.nodes[1].ip(f"addr add {_piece(1).replace('.0/26', '.1/26')} dev lo")
        underlay.nodes[1].ip("route add 10.64.0.0/10 via 10.0.0.2")
        underlay.nodes[2].ip("route add local 10.64.0.0/10 dev lo")
        underlay.nodes[2].ip(f"route add {_piece(1)} via 10.0.0.1")
        with probing(underlay) as n1:
            start = time.process_time()
            n1.prober.aim(wanted, HOST, True)
            until(lambda: n1.prober.probed[0].up == count, what="all are up", within=60)
            probed[0] = time.process_time() - start
            start = time.process_time()
            for _ in range(1000):
                n1.prober.aim(wanted, HOST, False)
            aimed = (time.process_time() - start) / 1000
            gc.collect()  # what was thrown away until here is not the cost of doing nothing
            time.sleep(0.5)  # nor is what the thread still has to do for the last aims
            woken, start = n1.woken, time.process_time()
            time.sleep(2.0)  # and not a loop, which would cost what is measured here
            assert n1.woken == woken
            assert time.process_time() - start < 0.1
    assert probed[0] < 3.0, "half a second when this was written"
    assert aimed < 0.0005, "seven microseconds when this was written"


def _piece(number: int) -> str:
    """One of 16384 subnets."""
    return f"10.{64 + (number >> 10)}.{(number >> 2) & 255}.{(number & 3) * 64}/26"


@pytest.mark.usefixtures("impatient")
def test_echoes_that_nobody_answers_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many pairs that are down some are always being tried: what they sent must not pile up."""
    monkeypatch.setattr(probers, "KEPT", 0.3)
    monkeypatch.setattr(schedule, "FIRST_PAUSE", 0.1)
    peers = tuple(Peer(f"n{n}", ("10.0.0.3",), ("10.0.0.3",), (_piece(n),)) for n in range(1, 60))
    network = routed(ranges=("10.64.0.0/10",), subnets=(_piece(1),), peers=peers)
    with an_underlay(tmp_path) as underlay, probing(underlay) as n1:
        underlay.nodes[1].ip(f"addr add {_piece(1).replace('.0/26', '.1/26')} dev lo")
        underlay.nodes[1].ip("route add 10.64.0.0/10 via 10.0.0.2")
        n1.prober.aim(document(network, probe_interval=1.0), HOST, True)
        until(lambda: n1.prober._number > 1000, what="many echoes", within=60)
        assert len(n1.prober._sent) < 600


def test_a_thread_that_wakes_up_late_reads_what_came_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a busy machine and a slow network: what is sent is not answered at once, and every sleep takes
    longer than all volleys and their patience."""
    received, last = Echoes.received, [0.0]

    def answered_later(echoes: Echoes) -> Iterator[Heard]:
        return received(echoes) if time.monotonic() - last[0] > 0.05 else iter(())

    def sleep(*_: object) -> None:
        last[0] = time.monotonic()
        time.sleep(0.4)

    monkeypatch.setitem(trial.VOLLEYS, "pending", (0.0, 0.01))
    monkeypatch.setattr(trial, "PATIENCE", 0.1)
    monkeypatch.setattr(Echoes, "received", answered_later)
    monkeypatch.setattr(Echoes, "wait", sleep)
    network = Declared(tunnel="never", inside=("4",))
    with an_underlay(tmp_path) as underlay:
        underlay.converge(network)
        assert ping(underlay.nodes[1].namespace, "10.0.0.2").lost == 0
        with probing(underlay) as n1:
            last[0] = time.monotonic() + 3600
            n1.aim(network)
            (pair,) = n1.pairs()
    assert pair.state == "up"
