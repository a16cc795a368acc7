"""What somebody else has is named and left alone, and the rest is built all the same."""

import dataclasses
import json

import pytest

from tests.documents import bridge, document, peers, routed, routed6
from tests.kernel.node import Node
from workers.document import DesiredNetwork
from workers.kernel.messages import Request, Type


def test_a_link_of_others_with_the_name_of_the_bridge(node: Node) -> None:
    node.ip("link add obr_backend1 type veth peer name other")
    before = node.state()
    made = node.plan(document(routed(peers=())))
    (finding,) = made.findings
    assert finding.code == "conflict"
    assert finding.network == "backend1"
    assert str(finding) == (
        "bridge obr_backend1 mtu 1500 mac 0a:58:0a:0b:00:01: "
        "veth device obr_backend1 is in the way and not ours; it was left alone. "
        "Remove it if nobody needs it, or declare the network otherwise"
    )
    node.converge(document(routed(peers=())))
    after = node.state()
    assert (after["links"], after["addresses"]) == (before["links"], before["addresses"])
    assert node.files() == {}


def test_a_bridge_of_others_with_the_same_name_is_not_taken_over(node: Node) -> None:
    node.ip("link add obr_backend1 address 02:00:00:00:00:01 type bridge")
    assert [finding.code for finding in node.plan(document(routed(peers=()))).findings] == ["conflict"]
    node.converge(document(routed(peers=())))
    link = node.link("obr_backend1")
    assert (link["address"], link["group"]) == ("02:00:00:00:00:01", "default")
    assert node.addresses("obr_backend1") == []


def test_a_conflict_of_one_network_does_not_hold_up_the_others(node: Node) -> None:
    node.ip("link add obr_backend1 type veth peer name other")
    node.converge(document(routed(), routed6(), bridge()))
    assert node.addresses("obr_local1") == ["10.10.10.1/24"]
    assert set(node.files()) == {"six.conflist", "local1.conflist"}
    assert len(node.routes()) == 4


FOREIGN = [
    pytest.param("route add 10.11.4.0/22 via 10.0.0.9 proto static", routed(), id="IPv4"),
    pytest.param("route add 10.11.4.0/22 via 10.0.0.2", routed(), id="IPv4, the same next hop"),
    pytest.param("route add blackhole 10.11.4.0/22", routed(), id="IPv4 blackhole"),
    pytest.param("-6 route add fd10::100/120 via fd00:aa::9", routed6(), id="IPv6"),
    pytest.param(
        "route add 10.11.4.0/22 via 10.0.0.9 table 77", routed(tables=("77",)), id="IPv4, other table"
    ),
    pytest.param(
        "-6 route add fd10::100/120 via fd00:aa::9 table 300",
        routed6(tables=("300",)),
        id="IPv6, other table",
    ),
]


@pytest.mark.parametrize(("foreign", "network"), FOREIGN)
def test_a_route_of_others_to_the_same_destination(node: Node, foreign: str, network: DesiredNetwork) -> None:
    wanted = document(network)
    node.ip(foreign)
    before = [node.ip(f"-{kind} route show table all").splitlines() for kind in (4, 6)]
    (finding,) = node.plan(wanted).findings
    assert finding.code == "conflict"
    assert "is in the way and not ours" in finding.why
    node.converge(wanted)
    after = [node.ip(f"-{kind} route show table all").splitlines() for kind in (4, 6)]
    theirs = [line for lines in before for line in lines if "10.11." in line or "fd10:" in line]
    assert theirs
    assert set(theirs) <= {line for lines in after for line in lines}
    assert node.look(wanted).routes == (1 if network.tables == ("main",) else 2), "the rest is there"


def test_a_route_of_others_with_another_metric_is_no_conflict(node: Node) -> None:
    node.ip("route add 10.11.4.0/22 via 10.0.0.9 metric 50")
    node.converge(document(routed()))
    assert not node.plan(document(routed())).findings
    assert "10.11.4.0/22 10.0.0.9 eth0" in node.routes(proto="boot")


def test_a_route_that_comes_between_look_and_apply_is_not_taken_either(node: Node) -> None:
    made = node.plan(document(routed(peers=peers(1, 2))))
    node.ip("route add 10.11.4.0/22 via 10.0.0.9")
    (finding,) = node.carry_out(made)
    assert finding.code == "conflict"
    assert finding.why == "File exists"
    assert node.routes(proto="boot") == ["10.11.4.0/22 10.0.0.9 eth0"]


def test_a_route_of_others_that_goes_away_makes_room(node: Node) -> None:
    wanted = document(routed(peers=peers(1, 2)))
    node.ip("route add 10.11.4.0/22 via 10.0.0.9")
    node.converge(wanted)
    node.ip("route del 10.11.4.0/22")
    assert node.converge(wanted) == ["add route 10.11.4.0/22 via 10.0.0.2 dev eth0 proto 157"]


def test_thousands_of_routes_of_others_are_not_read(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (f"route add 10.{200 + n // 256}.{n % 256}.0/24 via 10.0.0.9" for n in range(2000))
    node.namespace.run(["ip", "-batch", "-"], stdin="\n".join(lines))
    read: list[int] = []
    dump = node.kernel.netlink.dump

    def counted(request: Request) -> list[bytes]:
        bodies = dump(request)
        if request.type is Type.GETROUTE:
            read.append(len(bodies))
        return bodies

    monkeypatch.setattr(node.kernel.netlink, "dump", counted)
    node.converge(document(routed(), routed6()))
    assert max(read) < 100
    assert len(node.routes(proto="boot")) == 2000


def test_a_file_of_others_with_our_name_stays_as_it_is(node: Node) -> None:
    node.directory.mkdir()
    path = node.directory / "local1.conflist"
    path.write_text('{"cniVersion": "0.4.0", "name": "theirs", "plugins": []}')
    before = path.stat()
    wanted = document(bridge())
    (finding,) = node.plan(wanted).findings
    assert finding.code == "conflict"
    assert finding.subject == f"file {path}"
    node.converge(wanted)
    node.converge(document())
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("content", ["", "no json", "[]", '{"name": 7}', "\xff\xfe"])
def test_a_file_that_cannot_be_read_is_not_ours(node: Node, content: str) -> None:
    node.directory.mkdir()
    (node.directory / "local1.conflist").write_bytes(content.encode("latin-1"))
    assert [finding.code for finding in node.plan(document(bridge())).findings] == ["conflict"]


def test_a_file_of_others_that_names_the_same_network_is_reported(node: Node) -> None:
    node.directory.mkdir()
    path = node.directory / "local1.conf"
    path.write_text(json.dumps({"cniVersion": "0.4.0", "name": "local1", "type": "bridge"}))
    (finding,) = node.plan(document(bridge())).findings
    assert (finding.code, finding.subject) == ("same-name", f"file {path}")
    node.converge(document(bridge()))
    assert set(node.files()) == {"local1.conf", "local1.conflist"}


def test_tables_and_rules_of_others_survive(node: Node) -> None:
    chain = "chain c { type filter hook forward priority 0; policy accept; tcp dport 22 accept; }"
    node.nft(f"table inet theirs {{ {chain}; }}")
    node.nft(f"table ip netadmin {{ {chain}; }}")
    before = [node.nft("list table inet theirs"), node.nft("list table ip netadmin")]
    node.converge(document(routed()))
    node.converge(document())
    assert [node.nft("list table inet theirs"), node.nft("list table ip netadmin")] == before
    assert "table inet netadmin" not in node.nft("list tables")


def test_an_address_of_others_on_our_bridge_is_reported_and_stays(node: Node) -> None:
    wanted = document(routed(peers=()))
    node.converge(wanted)
    node.ip("addr add 10.99.0.1/24 dev obr_backend1")
    made = node.plan(wanted)
    assert not made
    (finding,) = made.findings
    assert (finding.code, finding.subject) == ("other-address", "address 10.99.0.1/24 dev obr_backend1")
    node.converge(document(routed(peers=(), subnets=("10.11.16.0/22",))))
    assert node.addresses("obr_backend1") == ["10.99.0.1/24", "10.11.16.1/22"]


def test_a_worker_with_other_marks_is_somebody_else(node: Node) -> None:
    """Two of them on one machine: each sees the other's as foreign."""
    node.converge(document(routed(tables=("77",)), bridge()))
    before = node.state()
    node.settings = dataclasses.replace(
        node.settings, protocol=158, group=28258, nft_table="other", cni_config="/nowhere"
    )
    node.converge(document())
    assert node.state() | {"files": {}} == before | {"files": {}}
