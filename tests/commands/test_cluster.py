"""manage.py cluster: the reference's keywords for all nodes."""

import configparser
from pathlib import Path

import pytest

from networks import conflist
from networks.models import Network, Segment
from nodes.models import Cluster, Event, Node
from tests import factories
from tests.commands.conftest import Refusal, Run

BACKEND1 = "--kw network#backend1.type=routed_bridge --kw network#backend1.network=10.11.0.0/16"


def segments(name: str) -> dict[str, str]:
    rows = Segment.objects.filter(network__name=name).exclude(node=None).select_related("node")
    return {row.node.name: row.subnet for row in rows if row.node}


def test_it_declares_a_network_by_several_keywords(run: Run, nodes: list[Node]) -> None:
    assert run(f"cluster set {BACKEND1} --kw network#backend1.ips_per_node=1024") == ["set: backend1"]
    assert segments("backend1") == {
        "n1": "10.11.0.0/22", "n2": "10.11.4.0/22", "n3": "10.11.8.0/22", "n4": "10.11.12.0/22",
    }  # fmt: skip


def test_it_declares_with_the_default_range_of_the_type(run: Run) -> None:
    run("cluster set --kw network#weave1.type=weave")
    assert Network.objects.get(name="weave1").network == "10.32.0.0/12"


def test_it_writes_one_event_for_each_network(run: Run, nodes: list[Node]) -> None:
    Event.objects.all().delete()
    run(
        f"cluster set {BACKEND1} --kw network#backend1.mtu=1400 --kw network#local1.network=10.10.10.0/24 "
        "--kw cluster.dns=10.0.0.53"
    )
    found = Event.objects.order_by("id").values_list("verb", "kind", "name")
    assert list(found) == [
        ("changed", "cluster", "cluster1"),
        ("declared", "network", "backend1"),
        ("declared", "network", "local1"),
    ]


def test_it_changes_nothing_when_one_keyword_is_refused(
    run: Run, refusal: Refusal, nodes: list[Node]
) -> None:
    run(f"cluster set {BACKEND1}")
    said = refusal(
        "cluster set --kw cluster.dns=10.0.0.53 --kw network#backend1.mtu=1400 "
        "--kw network#other.network=10.12.0.1/16"
    )
    assert said == "network#other.network=10.12.0.1/16: has host bits set. Declare 10.12.0.0/16"
    assert Network.objects.get(name="backend1").mtu is None
    assert Cluster.current().dns == []


def test_it_says_everything_that_is_misspelt_at_once(refusal: Refusal) -> None:
    said = refusal("cluster set --kw network#a.typ=bridge --kw clustr.dns=1.1.1.1 --kw network#a")
    assert [line.split(":")[0] for line in said.splitlines()] == [
        "kw=network#a.typ", "kw=clustr.dns", "kw=network#a",
    ]  # fmt: skip


def test_it_does_not_make_a_network_of_a_misspelt_name(run: Run, refusal: Refusal) -> None:
    run(f"cluster set {BACKEND1}")
    said = refusal("cluster set --kw network#bakend1.tunnel=always")
    assert "is not declared. Did you mean backend1? Known: backend1, default, lo." in said


def test_it_scopes_keywords_to_nodes(run: Run, nodes: list[Node]) -> None:
    run(
        f"cluster set {BACKEND1} --kw network#backend1.addr@n1=192.0.2.11 "
        "--kw network#backend1.gateway@n2=192.0.2.22 --kw network#backend1.subnet@n3=10.11.64.0/22"
    )
    assert run("cluster get --kw network#backend1.addr@n1") == ["192.0.2.11"]
    assert run("cluster get --kw network#backend1.gateway@n2") == ["192.0.2.22"]
    assert segments("backend1")["n3"] == "10.11.64.0/22"


@pytest.mark.parametrize(
    ("kw", "said"),
    [
        ("addr=192.0.2.1", "addr=192.0.2.1: differs from node to node. Give network#backend1.addr@NODE"),
        ("mtu@n1=1400", "mtu@n1=1400: is the same on every node. Give network#backend1.mtu; per node"),
        ("addr@nx=192.0.2.1", "addr=nx: is no node of the cluster."),
        ("addr@n1=0.0.0.0", "addr=0.0.0.0: of n1 cannot be reached from other nodes."),
        ("nodes=n1 nx", "nodes=nx: is no node of the cluster."),
        ("public=perhaps", "public=perhaps: cannot be read. Give true or false"),
    ],
)
def test_it_refuses_what_cannot_be(run: Run, refusal: Refusal, nodes: list[Node], kw: str, said: str) -> None:
    run(f"cluster set {BACKEND1}")
    assert refusal(f"cluster set --kw 'network#backend1.{kw}'").startswith(f"network#backend1.{said}")


def test_it_limits_a_network_to_nodes_and_frees_it_again(run: Run, nodes: list[Node]) -> None:
    run(f"cluster set {BACKEND1} --kw 'network#backend1.nodes=n3 n1'")
    assert run("cluster get --kw network#backend1.nodes") == ["n1 n3"]
    run("cluster set --kw 'network#backend1.nodes=*'")
    assert run("cluster get --kw network#backend1.nodes") == ["*"]
    assert set(segments("backend1")) == {"n1", "n2", "n3", "n4"}


def test_it_takes_clusternodes_for_the_nodes_of_today(run: Run, nodes: list[Node]) -> None:
    run(f"cluster set {BACKEND1} --kw network#backend1.nodes={{clusternodes}}")
    factories.a_node("n5")
    assert run("cluster get --kw network#backend1.nodes") == ["n1 n2 n3 n4"]


def test_it_switches_default_off_so_that_its_range_is_free_in_one_go(run: Run) -> None:
    run("cluster set --kw network#all1.network=10.22.0.0/16 --kw network#default.network=none")
    assert run("cluster get --kw network#default.network") == ["none"]
    assert run("cluster get --kw network#all1.network") == ["10.22.0.0/16"]


def test_it_sets_what_holds_for_the_cluster(run: Run) -> None:
    run(
        "cluster set --kw cni.plugins=/usr/libexec/cni --kw cni.config=/var/lib/cni/net.d "
        "--kw cluster.dns=10.0.0.53,10.0.0.54 --kw 'node.allowed_networks=10.0.0.0/8 172.16.0.0/24' "
        "--kw cluster.name=paris --kw cluster.look_interval=10 "
        "--kw cluster.probe_interval=0 --kw cluster.confirm=60 --kw cluster.lease_grace=90"
    )
    cluster = Cluster.current()
    assert (cluster.cni_plugins, cluster.cni_config) == ("/usr/libexec/cni", "/var/lib/cni/net.d")
    assert cluster.dns == ["10.0.0.53", "10.0.0.54"]
    assert cluster.allowed_networks == ["10.0.0.0/8", "172.16.0.0/24"]
    assert (cluster.name, cluster.look_interval) == ("paris", 10)
    assert (cluster.probe_interval, cluster.confirm_seconds) == (0, 60)
    assert cluster.lease_grace == 90


def test_it_refuses_to_set_the_list_of_nodes(refusal: Refusal) -> None:
    said = refusal("cluster set --kw 'cluster.nodes=n1 n2'")
    assert said == "cluster.nodes=n1 n2: follows from the nodes. Use manage.py node add and node rm"


def test_it_gives_addresses_anew_only_by_force(run: Run, refusal: Refusal, nodes: list[Node]) -> None:
    factories.an_allocation(factories.a_network(), "10.11.0.7", nodes[0])
    change = "cluster set --kw network#backend1.network=10.12.0.0/16"
    assert "10.11.0.7 (root/svc/web on n1)" in refusal(change)
    run(f"{change} --force")
    assert segments("backend1")["n1"] == "10.12.0.0/22"


def test_it_prints_values_and_defaults(run: Run, nodes: list[Node]) -> None:
    run(f"cluster set {BACKEND1} --kw 'network#backend1.tables=main 100'")
    options = ("type", "ips_per_node", "tunnel", "tunnel_mode", "tables", "public", "mtu", "nodes")
    asked = " ".join(f"--kw network#backend1.{option}" for option in options)
    assert run(f"cluster get {asked}") == [
        "routed_bridge", "1024", "auto", "ipip", "main 100", "false", "", "*",
    ]  # fmt: skip
    assert run("cluster get --kw cluster.nodes") == ["n1 n2 n3 n4"]
    assert run("cluster get --kw network#backend1.subnet@n2") == ["10.11.4.0/22"]
    assert run("cluster get --kw network#backend1.addr@n2") == ["192.0.2.2"]
    assert run("cluster get --kw network#backend1.gateway@n2") == ["192.0.2.2"]


def test_it_says_which_keyword_has_no_value_for_all_nodes(run: Run, refusal: Refusal) -> None:
    run(f"cluster set {BACKEND1}")
    assert "differs from node to node" in refusal("cluster get --kw network#backend1.subnet")
    assert "is not declared" in refusal("cluster get --kw network#backend2.type")


def test_it_gives_defaults_back(run: Run, nodes: list[Node]) -> None:
    run(
        f"cluster set {BACKEND1} --kw network#backend1.mtu=1400 --kw network#backend1.public=yes "
        "--kw network#backend1.addr@n1=192.0.2.11 --kw network#backend1.nodes=n1 --kw cluster.dns=10.0.0.53"
    )
    run(
        "cluster unset --kw network#backend1.mtu --kw network#backend1.public "
        "--kw network#backend1.addr@n1 --kw network#backend1.nodes --kw cluster.dns"
    )
    network = Network.objects.get(name="backend1")
    assert (network.mtu, network.public, network.every_node) == (None, False, True)
    assert run("cluster get --kw network#backend1.addr@n1") == ["192.0.2.1"]
    assert Cluster.current().dns == []


def test_it_switches_default_on_again(run: Run) -> None:
    run("cluster set --kw network#default.network=none")
    run("cluster unset --kw network#default.network")
    assert run("cluster get --kw network#default.network") == ["10.22.0.0/16"]


def test_it_prints_everything_as_the_reference_writes_it(run: Run, nodes: list[Node]) -> None:
    run(f"cluster set {BACKEND1} --kw network#backend1.addr@n1=192.0.2.11 --kw network#backend1.nodes=n1,n2")
    printed = run("cluster print-config")
    assert printed == run("cluster get")
    assert printed[printed.index("[network#backend1]") :][:8] == [
        "[network#backend1]",
        "type = routed_bridge",
        "network = 10.11.0.0/16",
        "nodes = n1 n2",
        "subnet@n1 = 10.11.0.0/22",
        "addr@n1 = 192.0.2.11",
        "subnet@n2 = 10.11.4.0/22",
        "",
    ]
    parsed = configparser.ConfigParser(interpolation=None)
    parsed.read_string("\n".join(printed))
    assert parsed["cluster"]["nodes"] == "n1 n2 n3 n4"
    assert parsed.sections() == [
        "cluster", "cni", "network#backend1", "network#default", "network#lo",
    ]  # fmt: skip


def test_a_template_is_read_from_a_file_and_printed_as_one_value(
    run: Run, refusal: Refusal, tmp_path: Path
) -> None:
    file = tmp_path / "direct.conflist"
    file.write_text(conflist.EXAMPLE + "\n")
    run(
        "cluster set --kw network#direct.type=cni --kw network#direct.network=10.13.0.0/24 "
        f"--kw network#direct.template=@{file}"
    )
    assert Network.objects.get(name="direct").template == conflist.EXAMPLE
    assert run("cluster get --kw network#direct.template") == conflist.EXAMPLE.splitlines()
    printed = configparser.ConfigParser(interpolation=None)
    printed.read_string("\n".join(run("cluster print-config")))
    again = "\n".join(line.strip() for line in printed["network#direct"]["template"].splitlines())
    assert again == "\n".join(line.strip() for line in conflist.EXAMPLE.splitlines())
    shown = run("net show --name direct")
    assert shown[shown.index("template") + 1] == '  {"cniVersion": "1.0.0",'
    assert refusal("cluster set --kw network#direct.template=@/nowhere") == (
        "network#direct.template=@/nowhere: cannot be read (No such file or directory). "
        "Give the path of a file with the list"
    )
