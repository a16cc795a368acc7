"""manage.py net: the networks as an operator looks at them."""

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from netaddr import IPAddress

from networks import reservations
from networks.models import Network
from networks.wishes import Wish
from nodes.models import Event, Node
from tests import factories
from tests.commands.conftest import Refusal, Run
from workers.report import Finding

CASES = json.loads((Path(__file__).parent.parent / "vectors" / "status.json").read_text())["cases"]


def columns(line: str, header: str, names: tuple[str, ...]) -> list[str]:
    """The cells of a line under these names of the header."""
    starts = [header.index(name) for name in names]
    ends = [*(header.index(name) for name in names[1:]), len(header) + 80]
    return [line[start:end].strip() for start, end in zip(starts, ends, strict=True)]


def declared_from(case: Mapping[str, Any]) -> None:
    """The networks of a case, and the addresses that lie in one of them."""
    for name, keywords in case["networks"].items():
        factories.a_network(name, keywords["network"], keywords["type"])
    networks = list(Network.objects.all())
    for entry in case["ips"]:
        node = Node.objects.filter(name=entry["node"]).first() or factories.a_node(
            entry["node"], addresses=[f"192.0.2.{Node.objects.count() + 1}"]
        )
        for network in networks:
            if any(IPAddress(entry["ip"]) in cidr for cidr in network.cidrs):
                factories.an_allocation(
                    network, entry["ip"], node, service=entry["path"], resource=entry["rid"]
                )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_it_prints_what_the_reference_computes(run: Run, case: dict[str, Any]) -> None:
    declared_from(case)
    header, *lines = run("net status --verbose")
    names = ("name", "type", "network", "size", "used", "free", "pct", "leases")
    seen: dict[str, dict[str, Any]] = {}
    for line in lines:
        cells = columns(line, header, names)
        if cells[0][:3] in ("|- ", "`- ") and not line.startswith(" "):
            current = seen[cells[0][3:]] = {**dict(zip(names[1:7], cells[1:], strict=False)), "rows": []}
        elif not cells[0].endswith("- ip"):
            current["rows"].append([cells[0].split()[-1], *cells[1:4]])
    expected = {name: {**entry, "used": str(entry["used"])} for name, entry in case["expect"].items()}
    assert seen == expected


def test_it_draws_the_table_as_the_reference_does(run: Run) -> None:
    declared_from(CASES[0])
    lines = run("net status")
    ours = lines[0].index("leases")
    assert [line[:ours].rstrip() for line in lines] == [
        "name         type           network       size   used  free   pct",
        "|- backend   routed_bridge  10.40.0.0/16  65536  4     65532  0.01%",
        "|- backend2  routed_bridge  10.41.0.0/16  65536  1     65535  0.00%",
        "|- default   bridge         10.22.0.0/16  65536  0     65536  0.00%",
        "`- lo        loopback       127.0.0.1/32  1      0     1      0.00%",
    ]
    assert [line[ours:] for line in lines] == [
        "leases  nodes  probes  status",
        *["0       0/4    -       new"] * 4,
    ]


def test_it_draws_the_addresses_as_the_reference_does(run: Run) -> None:
    declared_from(CASES[0])
    lines = run("net status --verbose --name backend")
    ours = lines[0].index("leases")
    assert [line[:ours].rstrip() for line in lines] == [
        "name                 type           network             size      used  free   pct",
        "`- backend           routed_bridge  10.40.0.0/16        65536     4     65532  0.01%",
        "   `- ip             node           service             resource",
        "      |- 10.40.0.10  c1n1           testbackend/svc/s1  ip#0",
        "      |- 10.40.12.7  c2n2           testbackend/svc/s4  ip#0",
        "      |- 10.40.4.9   c1n2           testbackend/svc/s2  ip#0",
        "      `- 10.40.8.7   c2n1           testbackend/svc/s3  ip#0",
    ]


def test_it_goes_on_with_the_trunk_beside_the_addresses_of_a_network(run: Run) -> None:
    declared_from(CASES[0])
    lines = [line.split("  ")[0] for line in run("net status --verbose")]
    assert "|  `- ip" in "\n".join(run("net status --verbose"))
    assert lines[-1] == "`- lo"


def test_it_counts_leases_beside_what_services_use(run: Run, nodes: list[Node]) -> None:
    factories.a_network()
    factories.reported(
        "n1", leases=(factories.a_lease(address="10.11.0.7", container="0123456789abcdef", interface="eth1"),)
    )
    header, network, _, lease = run("net status --verbose --name backend1")
    assert columns(network, header, ("used", "free", "pct", "leases", "nodes", "probes")) == [
        "0", "65536", "0.00%", "1", "1/4", "-       new",
    ]  # fmt: skip
    assert lease.split() == ["`-", "10.11.0.7", "n1", "-", "0123456789ab", "eth1"]


def test_it_shows_how_many_nodes_have_the_network_as_declared(run: Run, nodes: list[Node]) -> None:
    factories.a_network(nodes=factories.IN_SCOPE)
    for name in ("n1", "n2"):
        factories.reported(name)
    assert run("net status --name backend1")[1].split()[-3:] == ["2/3", "-", "new"]
    factories.reported("n3")
    assert run("net status --name backend1")[1].split()[-3:] == ["3/3", "-", "converged"]


CONFLICT = Finding(
    code="conflict",
    network="backend1",
    subject="route 10.11.4.0/22",
    why="somebody else's route is in the way",
    remedy="Remove it",
)


def test_it_shows_problems_below_the_table_with_the_remedy(run: Run, nodes: list[Node]) -> None:
    factories.a_network()
    factories.reported("n1", findings=(CONFLICT,))
    lines = run("net status")
    assert lines[-2:] == [
        "problems",
        "n1  backend1  route 10.11.4.0/22: somebody else's route is in the way. Remove it",
    ]
    assert "problems" in run("net status --name backend1")
    assert "problems" not in run("net status --name default")


def test_it_names_a_node_that_is_not_heard_of(run: Run, nodes: list[Node]) -> None:
    factories.reported("n1")
    Node.objects.filter(name="n1").update(last_seen=timezone.now() - timedelta(hours=1))
    assert "n1  -  is not heard of any more. See whether it is up" in run("net status")[-1]


def test_it_names_a_segment_in_which_there_is_no_room(run: Run, nodes: list[Node]) -> None:
    factories.a_network(ips_per_node=4)
    factories.reported("n1", leases=(factories.a_lease(address="10.11.0.2"),))
    problem = "n1  backend1  1 of the 1 addresses of 10.11.0.0/30 are in use, it is full: "
    problem += "10.11.0.2 (c1 on n1)."
    assert run("net status")[-1].startswith(problem)
    assert run("net status --name backend1")[-1].startswith(problem)
    assert "problems" not in run("net status --name default")


def test_a_full_segment_names_whoever_has_its_addresses(run: Run, nodes: list[Node]) -> None:
    network = factories.a_network(ips_per_node=8)
    for number in (2, 3):
        factories.an_allocation(network, f"10.11.0.{number}", nodes[0], service=f"root/svc/web{number}")
    reservations.reserve("backend1", [Wish(node="n1", hostname="nas", count=2)], by="ada")
    assert "it is full" not in "\n".join(run("net status"))
    reservations.reserve("backend1", [Wish(node="n1", hostname="tape")], by="ada")
    [problem] = [line for line in run("net status") if "it is full" in line]
    assert "5 of the 5 addresses of 10.11.0.0/29 are in use" in problem
    for holder in ("root/svc/web2 on n1", "root/svc/web3 on n1", "reserved for "):
        assert holder in problem


def test_what_a_node_has_outside_its_segment_does_not_fill_it(run: Run, nodes: list[Node]) -> None:
    network = factories.a_network(ips_per_node=8)
    for address in ("10.11.0.2", "10.11.0.3", "10.11.0.4", "10.11.0.5", "10.11.9.9"):
        factories.an_allocation(network, address, nodes[0], service=f"root/svc/{address[-1]}")
    assert "addresses of" not in "\n".join(run("net status"))
    factories.an_allocation(network, "10.11.0.6", nodes[0])
    assert "5 of the 5 addresses of 10.11.0.0/29 are in use" in "\n".join(run("net status"))


def test_it_prints_json_with_the_names_of_the_rest_api(run: Run, nodes: list[Node]) -> None:
    network = factories.a_network("six", "fd12:3456::/64", mask_per_node="80")
    factories.an_allocation(network, "fd12:3456::7", nodes[0])
    factories.reported("n1", findings=(CONFLICT,))
    (entry,) = json.loads("\n".join(run("net status --verbose --name six --format json")))
    assert entry == {
        "name": "six",
        "type": "routed_bridge",
        "network": "fd12:3456::/64",
        "effective_mtu": None,
        "size": "18446744073709551616",
        "used": 1,
        "free": "18446744073709551615",
        "pct": "0.00%",
        "leases": 0,
        "convergence": {"nodes": 4, "converged": 1},
        "status": "new",
        "probes": {"peers": 0, "up": 0, "mtu": 0, "down": 0, "pending": 0},
        "pairs": [],
        "problems": [],
        "allocations": [
            {
                "address": "fd12:3456::7",
                "node": "n1",
                "service": "root/svc/web",
                "resource": "ip#0",
                "container": "",
                "interface": "",
                "state": "attached",
                "learnt": "request",
            }
        ],
    }


def test_it_shows_what_crosses_and_why_the_rest_does_not(run: Run, nodes: list[Node]) -> None:
    factories.a_network(nodes=factories.IN_SCOPE)
    factories.reported(
        "n1", probes=(factories.probed(factories.a_pair("n2"), factories.a_pair("n3", "mtu")),)
    )
    down = factories.probed(factories.a_pair("n1", "pending"), factories.a_pair("n3", "down"))
    factories.reported("n2", probes=(down,))
    lines = run("net status --verbose --name backend1")
    assert lines[1].split()[-3:] == ["0/3", "1/4", "cut"]
    start = lines.index("probes of backend1")
    assert lines[start + 1 : start + 5] == [
        "from \\ to  n1       n2        n3",
        "n1         -        0.125 ms  mtu 1364",
        "n2         pending  -         DOWN blocked",
        "n3         ?        ?         -",
    ]
    assert lines[-2:] == [
        "n1  backend1  packets to n3 over IPv4: 1500 are lost (n3 is new). Declare mtu=1364",
        "n2  backend1  packets to n3 over IPv4: nothing comes back (n3 is new). Declare tunnel=always",
    ]


def test_many_nodes_are_no_table(run: Run) -> None:
    names = [f"n{number}" for number in range(1, 14)]
    for name in names:
        factories.a_node(name)
    factories.a_network()
    factories.reported("n1", probes=(factories.probed(*(factories.a_pair(name) for name in names[1:])),))
    said = "\n".join(run("net status --verbose --name backend1"))
    assert "13 nodes are too many for a table; those that fail are below" in said
    assert "from \\ to" not in said


def test_it_shows_in_json_what_the_rest_api_shows(run: Run, nodes: list[Node], ada: Any) -> None:
    factories.a_network()
    (shown,) = json.loads("\n".join(run("net show --name backend1 --format json")))
    assert shown == ada.get("/api/v1/networks/backend1/").json()


def test_it_shows_what_is_declared_and_what_follows(run: Run, nodes: list[Node]) -> None:
    factories.a_network(per_node={"n2": {"addr": "192.0.2.22"}})
    lines = run("net show --name backend1")
    assert "network        10.11.0.0/16" in lines
    assert "nodes          every node" in lines
    assert lines[lines.index("segments") + 3].split() == [
        "n2", "10.11.4.0/22", "10.11.4.1/22", "192.0.2.22", "-",
    ]  # fmt: skip


def test_it_lists_the_names(run: Run) -> None:
    factories.a_network()
    assert run("net ls") == ["backend1", "default", "lo"]


def test_it_withdraws_a_network(run: Run) -> None:
    factories.a_network()
    assert run("net rm backend1") == ["withdrew backend1"]
    assert not Network.objects.filter(name="backend1").exists()
    event = Event.objects.first()
    assert event is not None
    assert (event.verb, event.name, event.actor[:4]) == ("withdrew", "backend1", "cli:")


def test_it_withdraws_a_network_in_use_only_by_force(run: Run, refusal: Refusal, nodes: list[Node]) -> None:
    factories.an_allocation(factories.a_network(), "10.11.0.7", nodes[0])
    assert "1 address is in use: 10.11.0.7 (root/svc/web on n1)" in refusal("net rm backend1")
    run("net rm backend1 --force")


def test_it_says_which_network_is_unknown(refusal: Refusal) -> None:
    said = "network=defalt: is not declared. Did you mean default? Known: default, lo"
    assert {
        refusal(f"net {verb} defalt") for verb in ("status --name", "show --name", "setup --name", "rm")
    } == {said}


def test_it_says_when_nodes_look_although_the_broker_is_away(refusal: Refusal, nodes: list[Node]) -> None:
    said = refusal("net setup --name default")
    assert said.startswith("broker: ")
    assert said.endswith("The nodes look by themselves every 30 s")


def test_files_of_others_are_listed_as_undefined(run: Run, nodes: list[Node]) -> None:
    for name in ("n1", "n2"):
        factories.reported(name, foreign={"/etc/cni/net.d/87-podman.conflist": "podman"})
    assert run("net ls") == ["default", "lo", "podman"]
    header, *lines = run("net status")
    names = ("name", "type", "network", "size", "used", "free", "pct", "leases", "nodes")
    (line,) = [line for line in lines if "podman" in line]
    assert columns(line, header, names)[:8] == ["`- podman", "undef", "undef", "1", "0", "1", "0.00%", "-"]
    shown = json.loads("\n".join(run("net status --format json")))
    assert shown[-1]["files"] == [
        {"node": "n1", "path": "/etc/cni/net.d/87-podman.conflist"},
        {"node": "n2", "path": "/etc/cni/net.d/87-podman.conflist"},
    ]
    assert not any("podman" in line for line in run("net status --name lo"))
