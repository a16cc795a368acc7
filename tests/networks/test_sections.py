"""A service's configuration, as the reference writes it, read for one node."""

from typing import Any

import pytest

from netadmin.problems import Problem
from networks import sections
from networks.resources import Ask

DOCUMENTED = """\
[DEFAULT]
nodes = n1 n2

[container#0]
type = docker
name = web
hostname = web-c1

[ip#0]
type = cni
network = weave1
netns = container#0
expose = 80/tcp
"""


def read(text: str, node: str = "n1") -> sections.Configuration:
    return sections.read(text, "prod/svc/web", node)


def values(text: str, node: str = "n1") -> Any:
    [asked] = read(text, node).asked
    return asked.values


def test_the_documented_one_is_taken_as_it_stands() -> None:
    assert read(DOCUMENTED) == sections.Configuration(
        (
            Ask(
                "prod/svc/web",
                "ip#0",
                "n1",
                {"network": "weave1", "netns": "docker:web", "expose": ["80/tcp"], "hostname": "web-c1"},
            ),
        ),
        (),
    )


@pytest.mark.parametrize("container", ["", "[container#0]\ntype = docker\n"])
def test_a_container_without_a_name_is_named_as_the_node_knows_it(container: str) -> None:
    """The snippet of the documentation, word for word: its container is in another file, or has no name."""
    snippet = "[ip#0]\ntype = cni\nnetwork = weave1\nnetns = container#0\nexpose = 80/tcp\n"
    assert values(snippet + container) == {
        "network": "weave1", "netns": "container#0", "expose": ["80/tcp"], "hostname": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "column", "value"),
    [
        ("container_rid = docker:web", "netns", "docker:web"),
        ("netns = /run/netns/web", "netns", "/run/netns/web"),
        ("ipdev = front", "interface", "front"),
        ("nsdev = front", "interface", "front"),
        ("expose = 80/tcp 443-tcp:8443,53/udp", "expose", ["80/tcp", "443-tcp:8443", "53/udp"]),
        ("expose = 80/tcp\n  443/tcp", "expose", ["80/tcp", "443/tcp"]),
        ("expose = 80:8001/tcp", "expose", ["80:8001/tcp"]),
        ("wait_dns = 5", "wait_dns", 5.0),
        ("wait_dns = 2m", "wait_dns", 120.0),
        ("dns_name_suffix = -db", "dns_name_suffix", "-db"),
        ("ipname = 10.11.0.9", "wanted", ["10.11.0.9"]),
        ("network = a\nnetwork@n1 = b\nnetwork@n2 = c", "network", "b"),
        ("network = a\nnetwork@n2 = c", "network", "a"),
        ("hostname = {svcname}-{nodename}", "hostname", "web-n1"),
    ],
)
def test_each_keyword_is_read(line: str, column: str, value: Any) -> None:
    assert values(f"[ip#0]\ntype = cni\n{line}\n") == {column: value}


@pytest.mark.parametrize(
    ("kind", "netns"),
    [("docker", "docker:c"), ("podman", "podman:c"), ("lxc", "lxc:c"), ("oci", "container#c")],
)
def test_a_container_is_named_with_its_runtime(kind: str, netns: str) -> None:
    text = f"[ip#0]\ntype = cni\nnetns = container#1\n[container#1]\ntype = {kind}\nname = c\n"
    assert values(text)["netns"] == netns


def test_what_is_not_ours_is_passed_over_and_said_so() -> None:
    text = (
        "[fs#0]\ntype = flag\n[ip#0]\ntype = netns\nipname = x\n[ip#1]\nnetwork = y\n"
        "[ip#2]\ntype = cni\ndisable = true\n[ip#3]\ntype = cni\ntags = a\nrestart = 1\n"
    )
    found = read(text)
    assert [one.resource for one in found.asked] == ["ip#3"]
    assert found.passed_over == (
        "[fs#0]: is no ip resource",
        "[ip#0]: is of type netns, not cni",
        "[ip#1]: is of type ip, not cni",
        "[ip#2]: is disabled",
    )


def test_what_is_passed_over_may_refer_to_what_is_not_known_here() -> None:
    text = (
        "[ip#0]\nipname = {fqdn}\nipdev = eth0\n[ip#1]\ntype = cni\ndisable = true\nipname = {fqdn}\n"
        "[ip#2]\ntype = {env.type}\ndisable = true\n[ip#3]\ntype = cni\nnetns = container#0\n"
        "[container#0]\ntype = docker\nname = web\nnetns = {env.netns}\n"
    )
    found = read(text)
    assert [one.values["netns"] for one in found.asked] == ["docker:web"]
    assert found.passed_over == (
        "[ip#0]: is of type ip, not cni",
        "[ip#1]: is disabled",
        "[ip#2]: is disabled",
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "[ip#0]\ntype = cni\nnetwrk = x",
            "ip#0.netwrk=x: is no keyword of an ip resource of type cni. Did you mean network",
        ),
        (
            "[ip#0]\ntype = cni\nnetns = container#0\n[container#1]\ntype = docker",
            "ip#0.netns=container#0: is no resource of this service. There is [container#1]",
        ),
        (
            "[ip#0]\ntype = cni\nnetns = container#0\n[container#0]\ntype = zone\nname = z",
            "is of type zone, whose namespace cannot be found. Known are docker",
        ),
        ("[ip#0]\ntype = cni\nexpose = 80/sctp", "ip#0.expose=80/sctp: sctp is not mapped"),
        ("[ip#0]\ntype = cni\nwait_dns = soon", "ip#0.wait_dns=soon: is no duration"),
        (
            "[ip#0]\ntype = cni\nnetwork = {env.net}",
            "ip#0.network={env.net}: {env.net} is no reference that is known here",
        ),
        ("[ip#0]\ntype = cni\ntype = cni", "text=[ip#0] type: is there twice, again in line 3. Keep one"),
        ("[ip#0]\n[ip#0]", "text=[ip#0]: is there twice, again in line 2. Keep one"),
        ("type = cni", "is in no section, in line 1"),
        ("[ip#0]\nnonsense", "nonsense: is neither a section nor a keyword, in line 2"),
        ("[ip#0]\ntype = cni\nnetns = a b", "ip#0.netns=a b: names no container"),
        ("x" * 300_000, "has more than 262144 bytes"),
        (
            "".join(f"[ip#{number}]\ntype = cni\n" for number in range(1001)),
            "text=1001 ip resources: are more than one request may have. Divide the service: at most 1000",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_its_place(text: str, sentence: str) -> None:
    with pytest.raises(Problem) as refused:
        read(text)
    assert sentence in str(refused.value)


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(Problem) as refused:
        read("[ip#0]\ntype = cni\nexpose = 80\n[ip#1]\ntype = cni\ninterface = x\n")
    assert [fault.field for fault in refused.value.faults] == ["ip#0.expose", "ip#1.interface"]
    with pytest.raises(Problem) as refused:
        read("[ip#0]\ntype = {env.type}\n[ip#1]\ntype = cni\nexpose = 80\n[ip#2]\ntype = {env.type}\n")
    assert [fault.field for fault in refused.value.faults] == ["ip#0.type", "ip#1.expose", "ip#2.type"]


def test_as_many_as_a_list_may_have_are_read() -> None:
    assert len(read("".join(f"[ip#{number}]\ntype = cni\n" for number in range(1000))).asked) == 1000


def test_an_empty_one_asks_for_nothing() -> None:
    assert read("") == sections.Configuration((), ())
