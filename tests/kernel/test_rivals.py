"""Routes of others inside our ranges, as the kernel has them; and what it costs to know of them."""

import pytest

from lab.waiting import until
from tests.documents import document, routed, routed6
from tests.kernel.node import Node
from workers.document import Document
from workers.rivals import Rivals

WANTED = document(routed(), routed6())


def _subjects(node: Node, known: Rivals, wanted: Document = WANTED) -> list[str]:
    known.look(wanted, node.look(wanted), node.settings.protocol, node.kernel)
    return [finding.subject for finding in known.findings]


def test_what_the_worker_builds_itself_is_no_rival(node: Node) -> None:
    tables = document(routed(tables=("main", "77")), routed6(tables=("main", "300")))
    node.converge(tables)
    assert _subjects(node, Rivals(), tables) == []


@pytest.mark.parametrize(
    ("command", "subject"),
    [
        ("route add 10.11.4.0/24 via 10.0.0.9", "route 10.11.4.0/24 via 10.0.0.9 dev eth0"),
        ("route add blackhole 10.11.200.0/24", "route blackhole 10.11.200.0/24"),
        ("-6 route add fd10::100/121 via fd00:aa::9", "route fd10::100/121 via fd00:aa::9 dev eth0"),
        ("-6 route add fd10::100/120 dev eth0 metric 7", "route fd10::100/120 dev eth0"),
        ("addr add 10.11.8.1/24 dev eth0", "route 10.11.8.0/24 dev eth0"),
    ],
)
def test_a_route_of_others_is_found_until_it_goes(node: Node, command: str, subject: str) -> None:
    node.converge(WANTED)
    node.ip(command)
    known = Rivals()
    assert _subjects(node, known) == [subject]
    node.ip(command.replace(" add ", " del "))
    until(lambda: _subjects(node, known) == [], what="it is seen to have gone", within=2)


def test_the_remedy_is_a_command_that_helps(node: Node) -> None:
    node.converge(WANTED)
    node.ip("-6 route add fd10::100/120 via fd00:aa::9 metric 7")
    known = Rivals()
    _subjects(node, known)
    (finding,) = known.findings
    node.ip(finding.remedy.rpartition(": ip ")[2])
    assert _subjects(node, Rivals()) == []
    assert not node.plan(WANTED)


def test_the_kernel_sends_packets_where_the_finding_says(node: Node) -> None:
    node.converge(WANTED)
    for dst in ("10.11.4.0/24", "10.11.0.0/20"):
        node.ip(f"route add {dst} via 10.0.0.9")
    assert "via 10.0.0.9 " in node.ip("route get 10.11.4.5")
    assert "via 10.0.0.3 " in node.ip("route get 10.11.8.5"), "a wider one takes nothing"


def test_nothing_is_read_again_until_it_is_time_or_something_else_is_declared(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.converge(WANTED)
    known = Rivals()
    assert _subjects(node, known) == []
    node.ip("route add 10.11.4.0/24 via 10.0.0.9")
    with monkeypatch.context() as patch:
        patch.setattr(node.kernel.netlink, "glance", lambda request: pytest.fail("a table was read"))
        assert _subjects(node, known) == []
    fewer = document(routed())
    assert _subjects(node, known, fewer) == ["route 10.11.4.0/24 via 10.0.0.9 dev eth0"]
    assert _subjects(node, known, document()) == []
