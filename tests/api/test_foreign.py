"""/api/v1/foreign-networks/: CNI files that nobody declared."""

from pytest_django import DjangoAssertNumQueries

from nodes.models import Node
from tests import factories
from tests.conftest import Client

URL = "/api/v1/foreign-networks/"


def test_it_lists_them_as_the_reference_with_the_nodes_that_have_them(
    vera: Client, nodes: list[Node]
) -> None:
    factories.reported("n3", foreign={"/etc/cni/net.d/podman.conflist": "podman"})
    factories.reported(
        "n1", foreign={"/etc/cni/net.d/87-podman.conflist": "podman", "/etc/cni/net.d/a.conf": "calico"}
    )
    assert vera.get(URL).json() == [
        {
            "name": "calico", "type": "undef", "network": "undef", "size": "1",
            "files": [{"node": "n1", "path": "/etc/cni/net.d/a.conf"}],
        },
        {
            "name": "podman", "type": "undef", "network": "undef", "size": "1",
            "files": [
                {"node": "n1", "path": "/etc/cni/net.d/87-podman.conflist"},
                {"node": "n3", "path": "/etc/cni/net.d/podman.conflist"},
            ],
        },
    ]  # fmt: skip


def test_what_is_declared_is_not_of_others(vera: Client, nodes: list[Node]) -> None:
    factories.a_network("podman")
    factories.reported("n1", foreign={"/etc/cni/net.d/podman.conflist": "podman"})
    assert vera.get(URL).json() == []


def test_it_takes_the_same_queries_for_any_number(
    vera: Client, nodes: list[Node], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for node in nodes:
        factories.reported(node, foreign={f"/x/{number}.conf": f"net{number}" for number in range(9)})
    vera.get(URL)
    with django_assert_num_queries(3):  # token and role, names, reports
        assert len(vera.get(URL).json()) == 9
