"""manage.py node: the members of the cluster."""

from dataclasses import replace
from pathlib import Path

import pytest
from django.conf import settings

from nodes import tokens, worker_conf
from nodes.models import Node
from tests import factories
from tests.commands.conftest import Refusal, Run
from workers import config


def test_it_adds_a_node_with_its_addresses(run: Run) -> None:
    assert run("node add n1 --address 192.0.2.1 --address fd00::1") == ["added n1 at 192.0.2.1, fd00::1"]
    assert Node.objects.get().addresses == ["192.0.2.1", "fd00::1"]


def test_it_looks_up_the_name_of_a_node_without_addresses(refusal: Refusal) -> None:
    said = refusal("node add localhost")
    assert "is no address by which other nodes reach localhost" in said


def test_it_refuses_what_is_no_address(refusal: Refusal) -> None:
    assert refusal("node add n1 --address 192.0.2").startswith(
        "addresses=192.0.2: of n1 is not an IP address."
    )


def test_one_that_is_there_is_refused_before_a_look_up(refusal: Refusal, nodes: list[Node]) -> None:
    assert refusal("node add n1").startswith("name=n1: is a node of the cluster already.")


def test_it_removes_a_node(run: Run, nodes: list[Node]) -> None:
    assert run("node rm n2") == ["removed n2"]
    assert not Node.objects.filter(name="n2").exists()


def test_it_removes_a_node_in_use_only_by_force(run: Run, refusal: Refusal, nodes: list[Node]) -> None:
    factories.an_allocation(factories.a_network(), "10.11.0.2", nodes[0])
    assert "1 address is in use on n1" in refusal("node rm n1")
    assert run("node rm n1 --force") == ["removed n1"]


def test_it_says_which_node_is_unknown_and_which_may_be_meant(refusal: Refusal, nodes: list[Node]) -> None:
    assert refusal("node rm n11") == (
        "node=n11: is no node of the cluster. Did you mean n1? Known: n1, n2, n3, n4"
    )


def test_it_lists_nodes_in_cluster_order(run: Run) -> None:
    run("node add n2 --address 192.0.2.2")
    run("node add n1 --address 192.0.2.1")
    assert run("node ls") == [
        "name  addresses  status  last seen",
        "n2    192.0.2.2  new     never",
        "n1    192.0.2.1  new     never",
    ]


def test_it_prints_a_worker_conf_that_the_worker_reads(run: Run, nodes: list[Node], tmp_path: Path) -> None:
    file = tmp_path / "worker.conf"
    file.write_text("\n".join(run("node token n1 --url http://192.0.2.100:8000")))
    read = config.load({}, file)
    assert (read.node, read.url) == ("n1", "http://192.0.2.100:8000")
    row = tokens.find(read.token)
    assert row is not None
    assert row.node == nodes[0]
    assert read.broker_url.startswith(f"redis://node.n1:{read.token}@")


def test_it_puts_a_new_token_in_place_of_the_old_one(run: Run, nodes: list[Node]) -> None:
    old = tokens.for_node(nodes[0], by="ada")
    run("node token n1")
    assert tokens.find(old) is None


def test_it_does_not_hand_out_the_control_planes_login_at_the_broker() -> None:
    environment = replace(settings.ENVIRONMENT, broker_url="redis://control:secret@192.0.2.9:6379/1")
    assert worker_conf.broker_url(environment) == "redis://192.0.2.9:6379/1"


@pytest.mark.parametrize(
    ("bind", "url"),
    [
        (("127.0.0.1", "192.0.2.254"), "redis://192.0.2.254:6380/0"),
        (("fd00::1",), "redis://[fd00::1]:6380/0"),
    ],
)
def test_it_names_the_embedded_broker_as_nodes_reach_it(bind: tuple[str, ...], url: str) -> None:
    environment = replace(settings.ENVIRONMENT, broker_url="", broker_bind=bind, broker_port=6380)
    assert worker_conf.broker_url(environment) == url


def test_it_shows_what_a_node_reported(run: Run, nodes: list[Node]) -> None:
    factories.a_network()
    factories.reported("n2", routes=3, changes=("add route 10.11.0.0/22 via 192.0.2.1",))
    lines = run("node show n2")
    assert "status           converged" in lines
    assert "routes           3" in lines
    assert lines[lines.index("segments") + 1].split() == ["backend1", "10.11.4.0/22"]
    assert lines[lines.index("last plan") + 1] == "  add route 10.11.0.0/22 via 192.0.2.1"


def test_it_lets_a_node_try_again_what_it_rolled_back(run: Run, refusal: Refusal, nodes: list[Node]) -> None:
    refused = Node.objects.get(name="n1").desired_version
    finding = factories.a_finding(code="rolled-back")
    factories.reported("n1", version="", outcome="rolled-back", refused=refused, findings=(finding,))
    assert f"refused version  {refused[:12]}" in run("node show n1")
    said = run("node retry n1")
    version = Node.objects.get(name="n1").desired_version
    assert said == [f"n1 tries again, as version {version[:12]}"]
    assert version != refused
    assert "There is nothing to try again" in refusal("node retry n1")
