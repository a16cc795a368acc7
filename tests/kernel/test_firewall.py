"""The firewall on the real nftables: whole, compared as nft itself writes it, atomic."""

import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.pings import Pinging
from tests.documents import bridge, document, routed, routed6
from tests.kernel.cluster import Declared, Underlay, an_underlay
from tests.kernel.node import Node
from workers.document import Document
from workers.kernel.firewall import Firewall
from workers.kernel.nft import Nft, NftError

WANTED = document(routed(), routed6(), bridge(public=True))


def test_it_writes_one_table_for_all_networks(node: Node) -> None:
    node.converge(WANTED)
    text = " ".join(node.nft("list table inet netadmin").split())
    assert 'ip saddr 10.11.0.0/22 ip daddr != @ranges4 masquerade comment "backend1"' in text
    assert 'ip6 saddr fd10::/120 ip6 daddr != @ranges6 masquerade comment "six"' in text
    assert "elements = { 10.10.10.0/24, 10.11.0.0/16, 224.0.0.0/4 }" in text
    assert "elements = { fd10::/112, ff00::/8 }" in text
    for device in ("obr_backend1", "obr_six", "obr_local1"):
        assert f'iifname "{device}" accept' in text
        assert f'oifname "{device}" accept' in text
    assert "10.10.10.0/24 ip daddr" not in text, "a public network is not masqueraded"


def test_ranges_that_touch_or_overlap_are_no_change(node: Node) -> None:
    """nft merges them when it lists them."""
    ranges = ("10.10.10.0/24", "10.11.0.0/16", "10.10.0.0/16", "10.8.0.0/15", "127.0.0.1/32")
    node.converge(document(routed(), ranges=ranges))


TAMPERING = [
    pytest.param("flush ruleset", id="ruleset flushed"),
    pytest.param("delete table inet netadmin", id="table deleted"),
    pytest.param("flush chain inet netadmin postrouting", id="rules flushed"),
    pytest.param("add element inet netadmin ranges4 { 8.8.8.8 }", id="an element too many"),
    pytest.param("delete element inet netadmin ranges4 { 10.11.0.0/16 }", id="an element missing"),
    pytest.param("insert rule inet netadmin forward drop", id="a rule too many"),
    pytest.param("add chain inet netadmin more", id="a chain too many"),
    pytest.param(
        "delete chain inet netadmin forward; add chain inet netadmin forward "
        '{ type filter hook forward priority 0; policy accept; comment "mine"; }',
        id="a chain with a comment",
    ),
    pytest.param(
        "flush chain inet netadmin postrouting; delete set inet netadmin ranges4; "
        "add set inet netadmin ranges4 { type ipv4_addr; flags interval; elements = { 10.11.0.0/16, * }; }",
        id="an element for all others",
    ),
    pytest.param(
        "add chain inet netadmin more; add map inet netadmin verdicts { type ipv4_addr : verdict; }; "
        "add element inet netadmin verdicts { 10.0.0.7 : jump more }",
        id="a map that leads to a chain",
    ),
    pytest.param(
        "add chain inet netadmin forward { type filter hook forward priority 0; policy drop; }", id="policy"
    ),
]


@pytest.mark.parametrize("tampering", TAMPERING)
def test_it_repairs_its_table(node: Node, tampering: str) -> None:
    node.converge(WANTED)
    before = node.nft("list ruleset")
    node.nft(tampering)
    (change,) = node.converge(WANTED)
    assert change.split(" ", 1)[1].startswith("firewall table inet netadmin")
    assert node.nft("list ruleset") == before
    number = node.kernel.nft.generation()
    assert node.converge(WANTED) == []
    assert node.kernel.nft.generation() == number


def test_counters_that_somebody_added_elsewhere_or_that_ran_are_no_change(node: Node) -> None:
    node.converge(WANTED)
    node.nft("add table inet theirs")
    node.nft("add chain inet theirs c")
    node.nft("add rule inet theirs c counter")
    assert not node.plan(WANTED)


def test_it_removes_the_table_when_no_network_needs_it(node: Node) -> None:
    node.converge(WANTED)
    assert node.converge(document())
    assert node.nft("list ruleset") == ""


def test_a_refused_table_leaves_the_old_one(node: Node) -> None:
    node.converge(WANTED)
    before = node.nft("list ruleset")
    with pytest.raises(NftError, match="No such file or directory"):
        node.kernel.nft.replace("netadmin", "table inet netadmin {\n chain c {\n jump nowhere\n }\n}\n")
    assert node.nft("list ruleset") == before


def test_the_words_of_a_refusal_are_those_of_nft(node: Node) -> None:
    with pytest.raises(NftError) as refused:
        node.kernel.nft.replace("netadmin", "table inet netadmin { chain c { nonsense; } }")
    assert str(refused.value).startswith("syntax error")
    assert "\n" not in str(refused.value)


def test_there_is_never_a_moment_without_the_rules(node: Node) -> None:
    """Another context looks all the time while the table changes to and fro."""
    texts = [_converged(node, wanted) for wanted in (document(routed()), WANTED)]
    seen: list[int] = []
    stop = threading.Event()

    def watch() -> None:
        with Nft() as nft:
            while not stop.is_set():
                seen.append(nft.listing("netadmin").count("masquerade comment"))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        for text in texts * 100:
            node.kernel.nft.replace("netadmin", text)
    finally:
        stop.set()
        thread.join()
    assert set(seen) == {1, 2}


def _converged(node: Node, wanted: Document) -> str:
    node.converge(wanted)
    (text,) = [one.text for one in node.look(wanted).ours if isinstance(one, Firewall)]
    return text


ROUNDS, PINGS = 40, 5
"""Of changes, and at a time to each address. A gap of 0.1 ms is met by a packet now and then."""


def _another_network(underlay: Underlay) -> None:
    for networks in ((TUNNELLED, ANOTHER), (TUNNELLED,)):
        assert any("firewall" in change for change in underlay.converge_one(2, *networks))


def _somebody_flushes(underlay: Underlay) -> None:
    underlay.nodes[2].nft("flush ruleset")
    (change,) = underlay.converge_one(2, TUNNELLED)
    assert change.startswith("add firewall")


TUNNELLED = Declared(tunnel="always", ends=("4",))
ANOTHER = Declared("another", tunnel="always", ends=("4",), prefix=12)


@pytest.mark.parametrize("changing", [_another_network, _somebody_flushes])
def test_what_comes_through_a_tunnel_is_not_dropped_while_the_table_changes(
    tmp_path: Path, changing: Callable[[Underlay], None]
) -> None:
    """A set of intervals that comes with its rules is empty at first, and who is not in it is dropped."""
    with an_underlay(tmp_path) as underlay:
        underlay.converge(TUNNELLED)
        source = underlay.nodes[1].namespace
        targets = TUNNELLED.bridge_addresses(2) * PINGS
        pinging = [Pinging(source, address, interval=0.001) for address in targets]
        try:
            for _ in range(ROUNDS):
                changing(underlay)
        finally:
            pings = [one.stop() for one in pinging]
        assert [one.lost for one in pings] == [0] * len(pings)
        assert min(one.sent for one in pings) > ROUNDS


ASKED = """table inet asked {
	set ranges4 {
		type ipv4_addr
		flags interval
		elements = { %s }
	}
	chain lost {
		counter drop
	}
	chain input {
		type filter hook input priority filter; policy accept;
		%s
	}
}
"""


def test_no_rule_is_there_without_what_it_asks(node: Node) -> None:
    """Under a flood from 127.0.0.1, which the rule lets pass as long as the set is whole: both come, and
    both go."""
    rule = "icmp type echo-request ip saddr != @ranges4 jump lost"
    neither, both = ASKED % ("10.0.0.0/8", ""), ASKED % ("10.0.0.0/8, 127.0.0.0/16", rule)
    node.namespace.run(["ip", "link", "set", "lo", "up"])
    with node.namespace.popen(["ping", "-q", "-f", "127.0.0.1"], stdout=subprocess.DEVNULL) as flood:
        try:
            for _ in range(300):
                node.kernel.nft.replace("asked", both)
                node.kernel.nft.replace("asked", neither)
            assert flood.poll() is None
        finally:
            flood.terminate()
    assert "counter packets 0 bytes 0 drop" in node.nft("list chain inet asked lost")


def test_elements_that_cannot_be_told_apart_are_no_obstacle(node: Node) -> None:
    """A comment with a comma: the listing is then no list of elements that nft takes."""
    node.converge(WANTED)
    before = node.nft("list ruleset")
    node.nft('add element inet netadmin ranges4 { 8.8.8.8 comment "mine, 1 of 2" }')
    (change,) = node.converge(WANTED)
    assert change.startswith("change firewall")
    assert node.nft("list ruleset") == before


def test_trying_a_text_out_leaves_no_trace_here(node: Node) -> None:
    text = "table inet elsewhere {\n\tchain c {\n\t\tcounter accept\n\t}\n}\n"
    assert "chain c" in node.kernel.nft.canonical("elsewhere", text)
    assert node.nft("list ruleset") == ""
    assert [thread.name for thread in threading.enumerate() if "nft" in thread.name] == []
