"""manage.py service: addresses of services."""

import json
from pathlib import Path

import pytest

from networks.models import Allocation, Network
from nodes.models import Node
from tests import factories
from tests.api.test_holdings import standing, state
from tests.commands.conftest import Refusal, Run
from tests.conftest import of_node

TEXT = "[ip#0]\ntype = cni\nnetwork = backend1\nexpose = 443/tcp:8443\n"


@pytest.fixture
def network(nodes: list[Node]) -> Network:
    return factories.a_network()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "web.conf"
    path.write_text(TEXT)
    return path


def attach() -> None:
    """The node does what it must."""
    said = [standing(row, "10.11.0.2") for row in Allocation.objects.exclude(state="releasing")]
    assert state(of_node(Node.objects.get(name="n1")), *said).status_code == 204


def test_it_applies_a_file_and_lists_what_there_is(run: Run, network: Network, file: Path) -> None:
    assert run(f"service apply {file} --node n1") == [
        "service       resource  node  network   addresses  ports         state      why",
        "root/svc/web  ip#0      n1    backend1  -          443/tcp:8443  requested",
    ]
    attach()
    listed = run("service ls")
    assert listed[1:] == ["root/svc/web  ip#0      n1    backend1  10.11.0.2  443/tcp:8443  attached"]
    assert run(f"service apply {file} --node n1 --wait 1") == listed
    assert run("service ls --service db")[1:] == []
    [shown] = json.loads("\n".join(run("service ls --node n1 --format json")))
    assert (shown["service"], shown["addresses"], shown["state"]) == (
        "root/svc/web",
        ["10.11.0.2"],
        "attached",
    )


def test_it_lists_what_a_filter_leaves(run: Run, refusal: Refusal, network: Network, file: Path) -> None:
    run(f"service apply {file} --node n1")
    assert len(run("service ls --network backend1 --standing requested")) == 2
    assert run("service ls --standing attached")[1:] == []
    assert "Did you mean backend1?" in refusal("service ls --network backend")
    assert "Known: n1, n2, n3, n4" in refusal("service ls --node m7")
    assert "Known: n1, n2, n3, n4" in refusal("service release web --node m7")


def test_it_says_when_the_node_is_late(refusal: Refusal, network: Network, file: Path) -> None:
    said = refusal(f"service apply {file} --node n1 --service prod/svc/web --wait 0.1")
    assert said == "not all of prod/svc/web is attached after 0.1 s"


def test_it_releases_and_forces(run: Run, refusal: Refusal, network: Network, file: Path) -> None:
    run(f"service apply {file} --node n1")
    attach()
    assert run("service release web")[1].endswith("releasing")
    assert refusal("service release web --node n1 --resource ip#0 --wait 0.1") == (
        "1 of 1 are not detached after 0.1 s"
    )
    assert refusal("service release web --resource ip#7") == (
        "resource=ip#7: is no resource of web. It has ip#0 on n1"
    )
    assert refusal("service release web --node n2") == "resource=: is no resource of web on n2. It has none"
    assert run("service release web --force") == ["released root/svc/web ip#0 on n1"]
    assert not Allocation.objects.exists()
    assert "service=root/svc/web: has asked for no address" in refusal("service release web")


def test_a_text_without_addresses_says_so_and_a_node_that_is_not_there_is_refused(
    run: Run, refusal: Refusal, network: Network, tmp_path: Path
) -> None:
    empty = tmp_path / "web.conf"
    empty.write_text("")
    assert run(f"service apply {empty} --node n1") == ["root/svc/web asks for no address on n1, and has none"]
    assert "Known: n1, n2, n3, n4" in refusal(f"service apply {empty} --node m7")


@pytest.mark.parametrize("wait", ["nan", "-1", "inf", "soon", "1e9"])
@pytest.mark.parametrize("line", ["net ip check", "service release web", "service apply web.conf --node n1"])
def test_a_time_to_wait_is_a_number_of_seconds(refusal: Refusal, line: str, wait: str) -> None:
    assert f"{wait} is no number of seconds up to " in refusal(f"{line} --wait={wait}")


def test_it_refuses_by_file_and_keyword(refusal: Refusal, network: Network, tmp_path: Path) -> None:
    assert refusal(f"service apply {tmp_path}/none.conf --node n1").startswith(
        f"file={tmp_path}/none.conf: cannot be read"
    )
    wrong = tmp_path / "wrong.conf"
    wrong.write_text(TEXT.replace("expose", "exposed"))
    assert refusal(f"service apply {wrong} --node n1").startswith("ip#0.exposed=443/tcp:8443: is no keyword")


def test_what_is_not_well_is_a_problem_of_its_network(run: Run, network: Network, file: Path) -> None:
    run(f"service apply {file} --node n1")
    said = standing(Allocation.objects.get(), state="failed", why="the range is full", remedy="Free some")
    state(of_node(Node.objects.get(name="n1")), said)
    assert run("net status --name backend1")[-1].split(maxsplit=2) == [
        "n1",
        "backend1",
        "root/svc/web ip#0 in backend1: the range is full. Free some",
    ]
