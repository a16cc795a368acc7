"""manage.py service: addresses of services."""

import json
import shlex
from pathlib import Path

import pytest

from netadmin import waiting
from networks.models import Allocation, Network
from networks.resources import describe
from nodes.models import Node
from tests import factories
from tests.api.test_holdings import standing, state
from tests.commands.conftest import Refusal, Run
from tests.conftest import of_node
from tests.pages.conftest import ALL_THAT_CAN_BE_ASKED_FOR, was_asked_for

WEB = "web ip#0 --node n1"
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


def fail(why: str = "the range is full") -> None:
    """The node could not."""
    said = standing(Allocation.objects.get(), state="failed", why=why, remedy="Free some")
    assert state(of_node(Node.objects.get(name="n1")), said).status_code == 204


def test_one_resource_is_asked_for_changed_and_released_beside_others(run: Run, network: Network) -> None:
    run(f"service request web ip#1 --node n1 --network {network}")
    said = run(f"service request {WEB} --network {network} --expose 443/tcp:8443 80/tcp")
    line = "root/svc/web  ip#0      n1    backend1  -          443/tcp:8443 80/tcp  requested"
    assert said[1:] == [line]
    said = run(f"service change {WEB} --expose 81/tcp --expose 82/tcp --comment shop")
    assert said[1:] == [line.replace("443/tcp:8443 80/tcp", "81/tcp 82/tcp")]
    row = Allocation.objects.get(resource="ip#0")
    assert (row.comment, row.netns, row.network) == ("shop", "", network)
    assert run(f"service change {WEB} --expose")[1].split()[-2:] == ["-", "requested"]
    assert run("service release web ip#0 --node n1")[1].endswith("releasing")
    assert [row.state for row in Allocation.objects.order_by("resource")] == ["releasing", "requested"]


def test_all_that_can_be_asked_for_is_asked_for_and_kept_by_a_change(run: Run, network: Network) -> None:
    options = dict(ALL_THAT_CAN_BE_ASKED_FOR)
    line = " ".join(shlex.quote(options.pop(name)) for name in ("service", "resource"))
    given = (f"--{name.replace('_', '-')}={shlex.quote(text)}" for name, text in options.items())
    run(f"service request {line} {' '.join(given)}")
    row = Allocation.objects.get()
    assert was_asked_for(row)
    before = describe(row)
    run(f"service change {line} --node n1 --dns_name_suffix=-c")
    row.refresh_from_db()
    assert describe(row) == {**before, "dns_name_suffix": "-c"}


def test_what_was_asked_for_is_answered_as_it_is_and_in_other_words_refused(
    run: Run, refusal: Refusal, network: Network
) -> None:
    asked = f"service request {WEB} --network backend1"
    assert run(asked) == run(asked)
    key = Allocation.objects.get().pk
    assert refusal(f"{asked} --expose 80/tcp") == (
        "expose=['80/tcp']: is empty of root/svc/web ip#0. "
        f"Change it: PATCH /api/v1/allocations/{key}/ or manage.py service change"
    )


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("request web ip#0 --node n9", "node=n9: is no node of the cluster. Known: n1, n2, n3, n4"),
        (f"request {WEB} --network backend", "network=backend: is not declared. Did you mean backend1?"),
        (f"request {WEB} --network backend1 --netns 'a b'", "netns=a b: names no container and no namespace"),
        (f"request {WEB} --wait-dns soon", "soon is no number of seconds up to 3600; give one like 10"),
        ("request web ip#0 --network backend1", "the following arguments are required: --node"),
        (f"change {WEB}", "service=root/svc/web: has asked for no address"),
    ],
)
def test_what_nobody_can_have_is_refused_with_what_helps(
    refusal: Refusal, network: Network, line: str, why: str
) -> None:
    assert why in refusal(f"service {line}")
    assert not Allocation.objects.exists()


def test_who_asks_waits_for_what_the_node_does(
    run: Run, refusal: Refusal, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node works between two looks."""
    asked = f"service request {WEB} --network backend1"
    assert refusal(f"{asked} --wait 0.01") == "root/svc/web ip#0 is not attached after 0.01 s"
    monkeypatch.setattr(waiting.time, "sleep", lambda seconds: fail())
    assert refusal(f"{asked} --wait 60") == "root/svc/web ip#0 could not be attached: the range is full"
    monkeypatch.setattr(waiting.time, "sleep", lambda seconds: attach())
    assert run(f"service change {WEB} --expose 80/tcp --wait 60")[1].endswith("10.11.0.2  80/tcp  attached")
    assert refusal("service change web ip#7 --node n1") == (
        "resource=ip#7: is no resource of web on n1. It has ip#0 on n1"
    )


def test_a_range_that_is_full_is_said_with_who_has_its_addresses(run: Run, nodes: list[Node]) -> None:
    small = factories.a_network("small", ips_per_node=4)
    run(f"service request {WEB} --network small")
    fail("no IP addresses available in range set")
    factories.an_allocation(small, "10.11.0.2", nodes[0], service="root/svc/db")
    why = "1 of the 1 addresses of 10.11.0.0/30 are in use, it is full: 10.11.0.2 (root/svc/db on n1). Free"
    assert why in run("service ls --service web")[1]
    assert why in "\n".join(run("service ls --service web --format json")).replace(
        '",\n    "remedy": "', ". "
    )


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
    assert refusal("service release web ip#0 --node n1 --wait 0.1") == "1 of 1 are not detached after 0.1 s"
    assert refusal("service release web ip#7") == "resource=ip#7: is no resource of web. It has ip#0 on n1"
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
@pytest.mark.parametrize(
    "line",
    ["net ip check", "service release web", "service apply web.conf --node n1", f"service request {WEB}"],
)
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
