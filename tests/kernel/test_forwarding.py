"""Other people's firewalls, made by their own tools, between a container and its peers.

container 10.11.0.2 -- obr_backend1 [n1] eth0 10.0.0.1 -- wire 10.0.0.2 [outside] 10.11.4.1 on lo
"""

from collections.abc import Callable, Iterator

import pytest

from lab.containers import Container
from lab.namespaces import Namespace
from lab.pings import ping
from lab.waiting import until
from tests.documents import document
from tests.kernel.node import Node
from tests.kernel.test_packets import BOTH, attach, outside  # noqa: F401
from workers.report import Finding

DOCUMENT = document(BOTH)
DOCKER = """
*filter
:FORWARD DROP [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A DOCKER-USER -j RETURN
COMMIT
"""
"""What docker leaves behind at its start, as far as it concerns packets of others."""
OURS = ("-A DOCKER-USER -i obr_backend1 ", "-A DOCKER-USER -o obr_backend1 ")

Attach = Callable[[], Container]


@pytest.fixture
def container(node: Node, outside: Namespace) -> Iterator[Attach]:  # noqa: F811
    """Attaches containers to the network; they are detached behind the test."""
    attached: list[Container] = []

    def new() -> Container:
        attached.append(attach(node, "backend1", f"c{len(attached) + 1}"))
        return attached[-1]

    yield new
    for one in attached:
        one.delete()


def _docker(node: Node) -> None:
    for tool in ("iptables-restore", "ip6tables-restore"):
        node.namespace.run([tool], stdin=DOCKER)


def _rules(node: Node, tool: str = "iptables") -> list[str]:
    return node.namespace.run([tool, "-S"]).splitlines()


def _crosses(container: Container, to: str) -> bool:
    return ping(container.namespace, to, count=2, within=0.5).lost == 0


def _findings(node: Node, code: str) -> list[Finding]:
    return [finding for finding in node.plan(DOCUMENT).findings if finding.code == code]


@pytest.mark.parametrize("to", ["10.11.4.1", "fd10::101"])
def test_docker_does_not_cut_a_network(node: Node, container: Attach, to: str) -> None:
    node.converge(DOCUMENT)
    attached = container()
    until(lambda: _crosses(attached, to), what="the underlay has found its neighbours", within=5)
    _docker(node)
    assert not _crosses(attached, to)
    assert any("DOCKER-USER" in change for change in node.converge(DOCUMENT))
    assert _crosses(attached, to)
    assert _findings(node, "forward-drop") == []


def test_docker_does_not_cut_containers_of_one_bridge_off_from_each_other(
    node: Node, container: Attach
) -> None:
    """With br_netfilter packets that stay on a bridge pass the same chain."""
    node.converge(DOCUMENT)
    node.namespace.run(["sh", "-c", "echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables"])
    one, other = container(), container()
    _docker(node)
    assert not _crosses(one, other.address)
    node.converge(DOCUMENT)
    assert _crosses(one, other.address)


def test_what_an_operator_drops_there_stays_dropped(node: Node, container: Attach) -> None:
    _docker(node)
    node.namespace.run(["iptables", "-I", "DOCKER-USER", "-d", "10.11.4.1", "-j", "DROP"])
    node.converge(DOCUMENT)
    assert not _crosses(container(), "10.11.4.1")


def test_the_rules_stand_before_the_last_one_and_their_tools_still_read_them(node: Node) -> None:
    _docker(node)
    node.converge(DOCUMENT)
    listed = [rule for rule in _rules(node) if rule.startswith("-A DOCKER-USER")]
    assert all(any(rule.startswith(one) for rule in listed[:-1]) for one in OURS)
    assert listed[-1] == "-A DOCKER-USER -j RETURN"
    assert any(rule.startswith(OURS[0]) for rule in _rules(node, "ip6tables"))
    node.namespace.run(["iptables-restore", "--test"], stdin=node.namespace.run(["iptables-save"]))


def test_a_rule_that_somebody_deletes_comes_back_alone(node: Node) -> None:
    _docker(node)
    node.converge(DOCUMENT)
    before = _rules(node)
    comment = ["-m", "comment", "--comment", "netadmin"]
    node.namespace.run(["iptables", "-D", "DOCKER-USER", "-i", "obr_backend1", *comment, "-j", "ACCEPT"])
    assert node.converge(DOCUMENT) == ["add rule ip filter DOCKER-USER iifname obr_backend1 accept"]
    assert sorted(_rules(node)) == sorted(before)


def test_they_go_with_the_network_and_nothing_else_does(node: Node) -> None:
    _docker(node)
    node.namespace.run(["iptables", "-I", "DOCKER-USER", "-i", "obr_other", "-j", "ACCEPT"])
    before = [_rules(node), _rules(node, "ip6tables")]
    node.converge(DOCUMENT)
    node.converge(document())
    assert [_rules(node), _rules(node, "ip6tables")] == before


def test_nothing_is_put_into_a_firewall_without_a_place_for_it(node: Node) -> None:
    node.namespace.run(["iptables", "-P", "FORWARD", "DROP"])
    node.converge(DOCUMENT)
    assert not [rule for rule in _rules(node) if "obr_backend1" in rule]


OWN = "table inet wall {{ chain forth {{ type filter hook forward priority 5; {}; }}; }}"
CHAINS = [
    pytest.param("iptables -P FORWARD DROP", "chain ip filter FORWARD", "10.11.4.1", id="iptables"),
    pytest.param("ip6tables -P FORWARD DROP", "chain ip6 filter FORWARD", "fd10::101", id="ip6tables"),
    pytest.param(f"nft {OWN.format('policy drop')}", "chain inet wall forth", "10.11.4.1", id="nft"),
    pytest.param(f"nft {OWN.format('reject')}", "chain inet wall forth", "fd10::101", id="a last rule"),
]


@pytest.mark.parametrize(("wall", "chain", "to"), CHAINS)
def test_a_chain_that_drops_is_named_with_the_command_that_helps(
    node: Node, container: Attach, wall: str, chain: str, to: str
) -> None:
    node.converge(DOCUMENT)
    node.namespace.run(wall.split())
    attached = container()
    assert not _crosses(attached, to)
    (finding,) = _findings(node, "forward-drop")
    assert (finding.subject, finding.network) == (chain, "backend1")
    for command in finding.remedy.partition(": ")[2].split("; "):
        node.namespace.run(command.split())
    until(lambda: _crosses(attached, to), what="packets cross", within=5)
    assert _findings(node, "forward-drop") == []


UFW = """
*filter
:FORWARD DROP [0:0]
:ufw-before-forward - [0:0]
:ufw-user-forward - [0:0]
-A FORWARD -j ufw-before-forward
-A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw-before-forward -j ufw-user-forward
COMMIT
"""
ZONES = """
table inet firewalld {
    chain filter_FORWARD {
        type filter hook forward priority filter + 10; policy accept
        ct state established,related accept
        jump filter_FORWARD_ZONES
        reject
    }
    chain filter_FORWARD_ZONES {
        iifname "obr_backend1" goto filter_FWD_trusted
        oifname "obr_backend1" jump filter_FWD_trusted
        goto filter_FWD_public
    }
    chain filter_FWD_trusted {
        accept
    }
    chain filter_FWD_public {
        reject
    }
}
"""


def test_ufw_is_told_in_its_own_words_and_seen_to_obey(node: Node, container: Attach) -> None:
    """What ``ufw route allow`` does is a rule in a chain that FORWARD leads to."""
    node.converge(DOCUMENT)
    node.namespace.run(["iptables-restore"], stdin=UFW)
    attached = container()
    assert not _crosses(attached, "10.11.4.1")
    (finding,) = _findings(node, "forward-drop")
    assert "ufw route allow in on obr_backend1; ufw route allow out on obr_backend1" in finding.remedy
    for way in ("-i", "-o"):
        node.namespace.run(["iptables", "-A", "ufw-user-forward", way, "obr_backend1", "-j", "ACCEPT"])
    assert _crosses(attached, "10.11.4.1")
    assert _findings(node, "forward-drop") == []


def test_zones_that_lead_a_bridge_to_an_accept_are_no_barrier(node: Node, container: Attach) -> None:
    node.converge(DOCUMENT)
    node.namespace.run(["nft", "-f", "-"], stdin=ZONES)
    attached = container()
    assert _crosses(attached, "10.11.4.1")
    assert _findings(node, "forward-drop") == []
    node.nft("flush chain inet firewalld filter_FWD_trusted")
    assert not _crosses(attached, "10.11.4.1")
    assert _findings(node, "forward-drop")


def test_an_accept_of_answers_alone_lets_nothing_through(node: Node) -> None:
    node.converge(DOCUMENT)
    node.namespace.run(["iptables", "-P", "FORWARD", "DROP"])
    for way in ("-i", "-o"):
        state = ["-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED"]
        node.namespace.run(["iptables", "-A", "FORWARD", way, "obr_backend1", *state, "-j", "ACCEPT"])
    assert _findings(node, "forward-drop")


def test_a_rule_of_ours_that_nothing_reaches_any_more_is_replaced(node: Node) -> None:
    _docker(node)
    node.converge(DOCUMENT)
    node.namespace.run(["iptables", "-I", "DOCKER-USER", "-j", "RETURN"])
    node.converge(DOCUMENT)
    listed = [rule for rule in _rules(node) if rule.startswith("-A DOCKER-USER")]
    assert [rule[: len(OURS[0])] for rule in listed[:2]] == [*OURS]
    assert listed[2:] == ["-A DOCKER-USER -j RETURN"] * 2


def test_a_firewall_that_lets_all_through_is_nothing_to_report(node: Node) -> None:
    node.namespace.run(["iptables", "-A", "FORWARD", "-s", "198.51.100.1", "-j", "DROP"])
    node.converge(DOCUMENT)
    assert _findings(node, "forward-drop") == []


def test_rules_that_nft_does_not_show_are_a_warning(node: Node) -> None:
    node.converge(DOCUMENT)
    assert _findings(node, "legacy-filter") == []
    node.namespace.run(["iptables-legacy", "-P", "FORWARD", "ACCEPT"])
    (finding,) = _findings(node, "legacy-filter")
    assert (finding.level, finding.subject) == ("warning", "iptables-legacy table filter")
