"""manage.py node set: keywords of one node only."""

import pytest

from networks.models import Network
from nodes.models import Event, Node
from tests import factories
from tests.commands.conftest import Refusal, Run

pytestmark = pytest.mark.usefixtures("nodes")

LOCAL1 = "--kw network#local1.type=bridge --kw network#local1.network"


def scope(name: str) -> list[str]:
    return [node.name for node in Network.objects.get(name=name).scope()]


def test_it_declares_a_network_on_this_node_only(run: Run) -> None:
    assert run(f"node set --node n2 {LOCAL1}=10.10.10.0/24") == ["set: local1"]
    assert scope("local1") == ["n2"]


def test_the_node_joins_a_network_that_is_limited_to_named_nodes(run: Run) -> None:
    run(f"node set --node n2 {LOCAL1}=10.10.10.0/24")
    run(f"node set --node n1 {LOCAL1}=10.10.10.0/24")
    assert scope("local1") == ["n1", "n2"]
    assert run("cluster get --kw network#local1.network@n1") == ["10.10.10.0/24"]


def test_the_node_joins_with_a_range_of_its_own(run: Run) -> None:
    run(f"node set --node n2 {LOCAL1}=10.10.10.0/24")
    run(f"node set --node n1 {LOCAL1}=10.10.11.0/24")
    assert run("node get --node n1 --kw network#local1.network") == ["10.10.11.0/24"]
    assert run("node get --node n2 --kw network#local1.network") == ["10.10.10.0/24"]


def test_the_range_follows_the_others_again(run: Run) -> None:
    run(f"node set --node n2 {LOCAL1}=10.10.10.0/24")
    run(f"node set --node n1 {LOCAL1}=10.10.11.0/24")
    run("node set --node n1 --kw network#local1.network=10.10.10.0/24")
    assert "network@n1" not in "\n".join(run("cluster print-config"))


def test_the_only_node_of_a_network_may_change_all_of_it(run: Run) -> None:
    run(f"node set --node n2 {LOCAL1}=10.10.10.0/24")
    run("node set --node n2 --kw network#local1.public=yes --kw network#local1.network=10.10.12.0/24")
    network = Network.objects.get(name="local1")
    assert (network.public, network.network) == (True, "10.10.12.0/24")


def test_it_gives_a_node_its_own_range_of_a_bridge_on_every_node(run: Run) -> None:
    run(f"cluster set {LOCAL1}=10.10.10.0/24")
    run("node set --node n3 --kw network#local1.type=bridge --kw network#local1.network=10.10.13.0/24")
    assert Network.objects.get(name="local1").every_node
    assert run("node get --node n3 --kw network#local1.network") == ["10.10.13.0/24"]
    assert run("node get --node n1 --kw network#local1.network") == ["10.10.10.0/24"]


def test_it_gives_a_node_what_may_differ_of_a_network_on_every_node(run: Run) -> None:
    factories.a_network()
    run(
        "node set --node n2 --kw network#backend1.subnet=10.11.64.0/22 "
        "--kw network#backend1.addr=192.0.2.22 --kw network#backend1.gateway=192.0.2.23"
    )
    asked = "node get --node n2 --kw network#backend1.subnet --kw network#backend1.addr"
    assert run(f"{asked} --kw network#backend1.gateway") == ["10.11.64.0/22", "192.0.2.22", "192.0.2.23"]


def test_it_refuses_what_cannot_differ(run: Run, refusal: Refusal) -> None:
    factories.a_network()
    said = refusal(
        "node set --node n2 --kw network#backend1.addr=192.0.2.22 --kw network#backend1.tunnel=always"
    )
    assert said == (
        "network#backend1.tunnel=always: cannot differ between nodes, and is auto on every node. "
        "Change it for all with cluster set; for one node give subnet, addr, gateway, network"
    )
    assert run("node get --node n2 --kw network#backend1.addr") == ["192.0.2.2"]


def test_it_refuses_a_keyword_of_another_node(refusal: Refusal) -> None:
    factories.a_network()
    said = refusal("node set --node n2 --kw network#backend1.addr@n1=192.0.2.22")
    assert said.startswith("network#backend1.addr@n1=192.0.2.22: is of another node than n2.")


def test_it_refuses_the_scope(refusal: Refusal) -> None:
    factories.a_network()
    said = refusal("node set --node n2 --kw network#backend1.nodes=n1")
    assert said == "network#backend1.nodes=n1: is of the whole network. Use cluster set"


def test_it_sets_what_is_the_nodes_own(run: Run) -> None:
    run(
        "node set --node n2 --kw cni.plugins=/opt/cni/bin --kw cni.config=/opt/cni/net.d "
        "--kw 'node.addresses=192.0.2.22 fd00::2' --kw 'node.comment=rack 7'"
    )
    node = Node.objects.get(name="n2")
    assert (node.cni_plugins, node.cni_config) == ("/opt/cni/bin", "/opt/cni/net.d")
    assert (node.addresses, node.comment) == (["192.0.2.22", "fd00::2"], "rack 7")
    assert run("node get --node n2 --kw cni.plugins --kw node.addresses") == [
        "/opt/cni/bin", "192.0.2.22 fd00::2",
    ]  # fmt: skip


def test_it_is_one_transaction(run: Run, refusal: Refusal) -> None:
    Event.objects.all().delete()
    refusal(f"node set --node n2 --kw cni.plugins=/opt/cni/bin {LOCAL1}=10.10.10.1/24")
    assert not Event.objects.exists()
    assert Node.objects.get(name="n2").cni_plugins == ""


def test_it_says_which_node_is_unknown(refusal: Refusal) -> None:
    said = refusal(f"node set --node n7 {LOCAL1}=10.10.10.0/24")
    assert said.startswith("node=n7: is no node of the cluster.")


def test_it_says_that_a_node_does_not_have_a_network(refusal: Refusal) -> None:
    factories.a_network(nodes=("n1",))
    said = refusal("node get --node n2 --kw network#backend1.addr")
    assert said.startswith("node=n2: is not in the scope of network backend1.")


def test_it_keeps_keywords_of_the_cluster_out(refusal: Refusal) -> None:
    assert "kw=cluster.dns: is no keyword." in refusal("node set --node n1 --kw cluster.dns=10.0.0.53")
