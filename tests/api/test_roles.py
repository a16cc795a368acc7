"""Who may do what: every operation of the published schema, for every kind of caller."""

import pytest
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from netadmin import roles
from nodes.models import Event, Node
from tests import factories
from tests.conftest import Client, of_node, of_user

VIEWER, OPERATOR, ADMIN = roles.ROLES
NODE = "the node itself"
ANYBODY = "anybody who is known"
NEEDED = {
    ("get", "/api/v1/allocations/"): VIEWER,
    ("post", "/api/v1/allocations/"): OPERATOR,
    ("get", "/api/v1/allocations/{id}/"): VIEWER,
    ("patch", "/api/v1/allocations/{id}/"): OPERATOR,
    ("delete", "/api/v1/allocations/{id}/"): OPERATOR,
    ("get", "/api/v1/dns/records/"): VIEWER,
    ("get", "/api/v1/foreign-networks/"): VIEWER,
    ("get", "/api/v1/cluster/"): VIEWER,
    ("patch", "/api/v1/cluster/"): ADMIN,
    ("get", "/api/v1/events/"): VIEWER,
    ("post", "/api/v1/explain/"): VIEWER,
    ("get", "/api/v1/me/"): ANYBODY,
    ("get", "/api/v1/networks/"): VIEWER,
    ("post", "/api/v1/networks/"): OPERATOR,
    ("get", "/api/v1/networks/{name}/"): VIEWER,
    ("put", "/api/v1/networks/{name}/"): OPERATOR,
    ("patch", "/api/v1/networks/{name}/"): OPERATOR,
    ("delete", "/api/v1/networks/{name}/"): OPERATOR,
    ("post", "/api/v1/networks/{name}/plan/"): OPERATOR,
    ("get", "/api/v1/networks/{name}/available-ips/"): VIEWER,
    ("post", "/api/v1/networks/{name}/available-ips/"): OPERATOR,
    ("post", "/api/v1/networks/{name}/release-ips/"): OPERATOR,
    ("get", "/api/v1/networks/{name}/probes/"): VIEWER,
    ("get", "/api/v1/networks/{name}/segments/"): VIEWER,
    ("get", "/api/v1/nodes/"): VIEWER,
    ("post", "/api/v1/nodes/"): ADMIN,
    ("get", "/api/v1/nodes/{name}/"): VIEWER,
    ("patch", "/api/v1/nodes/{name}/"): ADMIN,
    ("delete", "/api/v1/nodes/{name}/"): ADMIN,
    ("post", "/api/v1/nodes/{name}/token/"): ADMIN,
    ("post", "/api/v1/nodes/{name}/retry/"): OPERATOR,
    ("get", "/api/v1/nodes/{name}/desired/"): VIEWER,
    ("get", "/api/v1/nodes/{name}/holdings/"): NODE,
    ("post", "/api/v1/nodes/{name}/holdings/"): NODE,
    ("get", "/api/v1/nodes/{name}/questions/"): NODE,
    ("post", "/api/v1/nodes/{name}/questions/{question}/"): NODE,
    ("get", "/api/v1/nodes/{name}/report/"): VIEWER,
    ("post", "/api/v1/nodes/{name}/report/"): NODE,
    ("get", "/api/v1/services/"): VIEWER,
    ("post", "/api/v1/services/"): OPERATOR,
    ("get", "/api/v1/services/{service}/"): VIEWER,
    ("get", "/api/v1/operations/"): VIEWER,
    ("get", "/api/v1/operations/{id}/"): VIEWER,
    ("get", "/api/v1/operations/{id}/nodes/"): VIEWER,
}
OPENS_TO_A_NODE = {
    ("get", "/api/v1/nodes/{name}/desired/"),
    ("get", "/api/v1/nodes/{name}/holdings/"),
    ("post", "/api/v1/nodes/{name}/holdings/"),
    ("get", "/api/v1/nodes/{name}/questions/"),
    ("post", "/api/v1/nodes/{name}/questions/{question}/"),
    ("post", "/api/v1/nodes/{name}/report/"),
}
HOLDS = {
    "stranger": {ANYBODY},
    "vera": {ANYBODY, VIEWER},
    "oscar": {ANYBODY, VIEWER, OPERATOR},
    "ada": {ANYBODY, VIEWER, OPERATOR, ADMIN},
}


def ask(client: Client, method: str, path: str) -> int:
    name = "n1" if "nodes" in path else "backend1"
    url = path.format(name=name, question=1, id=1, service="prod/svc/web")
    response = client.generic(method.upper(), url, "{}", content_type="application/json")
    if response.status_code >= 400:
        assert response["Content-Type"] == "application/problem+json"
        assert response.json()["status"] == response.status_code
    return int(response.status_code)


@pytest.fixture(autouse=True)
def _something_is_there(nodes: list[Node]) -> None:
    factories.a_network()
    factories.reported("n1")


def test_every_operation_is_in_the_table() -> None:
    schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    published = {(method, path) for path, methods in schema["paths"].items() for method in methods}
    assert published == set(NEEDED)


@pytest.mark.parametrize(("method", "path"), NEEDED)
def test_people_may_what_their_role_allows(method: str, path: str) -> None:
    answered = {name: ask(of_user(name), method, path) for name in HOLDS}
    allowed = {name: NEEDED[method, path] in holds for name, holds in HOLDS.items()}
    assert {name: status != 403 for name, status in answered.items()} == allowed
    assert all(status < 500 for status in answered.values())


def test_nobody_unknown_gets_in() -> None:
    before = Event.objects.count()
    for method, path in NEEDED:
        assert ask(Client(), method, path) == 401
        assert ask(Client("unknown"), method, path) == 401
    assert Event.objects.count() == before


def test_a_node_may_nothing_but_its_own(nodes: list[Node]) -> None:
    n1, n2 = of_node(nodes[0]), of_node(nodes[1])
    assert {asked for asked in NEEDED if ask(n1, *asked) != 403} == OPENS_TO_A_NODE
    assert {asked for asked in NEEDED if ask(n2, *asked) != 403} == set()


def test_a_session_writes_only_with_its_csrf_token() -> None:
    factories.a_user("oscar", password="correct horse")
    client = APIClient(enforce_csrf_checks=True)
    client.login(username="oscar", password="correct horse")
    refused = client.post("/api/v1/networks/", {"name": "local1", "network": "10.10.10.0/24"})
    assert refused.status_code == 403
    assert "CSRF" in refused.json()["detail"]
    client.get("/api/v1/docs/")
    token = client.cookies["csrftoken"].value
    taken = client.post(
        "/api/v1/networks/", {"name": "local1", "network": "10.10.10.0/24"}, HTTP_X_CSRFTOKEN=token
    )
    assert taken.status_code == 201


def test_the_admin_site_and_the_pages_know_no_node(nodes: list[Node]) -> None:
    node = of_node(nodes[0])
    assert node.get("/admin/").status_code == 302
    assert node.get("/").status_code in (302, 404)
