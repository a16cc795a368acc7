"""Which role opens which page, what others are told, and what a page costs the database."""

import re
from collections.abc import Iterable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests import factories
from tests.pages.conftest import logged_in
from workers.report import Finding

READ = (
    "/",
    "/networks/",
    "/networks/backend1/",
    "/networks/backend1/addresses/",
    "/nodes/",
    "/nodes/n1/",
    "/events/",
    "/plans/1/",
    "/live/plans/1/",
    "/live/overview/",
    "/live/networks/",
    "/live/networks/backend1/",
    "/live/nodes/",
    "/live/nodes/n1/",
    "/live/events/",
)
OPERATE = (
    "/new/network/",
    "/networks/backend1/edit/",
    "/networks/backend1/withdraw/",
    "/networks/backend1/reserve/",
    "/networks/backend1/release/",
    "/nodes/n1/retry/",
)
ADMINISTER = ("/new/node/", "/nodes/n1/edit/", "/nodes/n1/token/", "/nodes/n1/remove/")
EVERY = READ + OPERATE + ADMINISTER
FINDING = Finding("conflict", "backend1", "route 10.11.4.0/22", "is somebody else's", "Remove it")
ALLOWED = {"vera": READ, "oscar": READ + OPERATE, "ada": READ + OPERATE + ADMINISTER}


@pytest.fixture(autouse=True)
def _cluster(db: None) -> None:
    factories.a_node("n1")
    factories.a_network()
    factories.a_plan()


@pytest.mark.parametrize("name", ["vera", "oscar", "ada", "nobody"])
def test_a_page_opens_to_its_role(name: str) -> None:
    client = logged_in(name)
    allowed = ALLOWED.get(name, ())
    answers = {path: client.get(path).status_code for path in EVERY}
    assert answers == {path: 200 if path in allowed else 403 for path in EVERY}
    assert {client.post(path, {}).status_code for path in EVERY if path not in allowed} <= {403}


def test_it_asks_who_is_there_first() -> None:
    for path in EVERY:
        assert Client().get(path).headers["Location"] == f"/login/?next={path}"


@pytest.mark.parametrize(
    ("name", "path", "role"),
    [("nobody", "/", "viewer"), ("vera", "/new/network/", "operator"), ("oscar", "/new/node/", "admin")],
)
def test_it_says_which_role_is_needed(name: str, path: str, role: str) -> None:
    text = logged_in(name).get(path).content.decode()
    assert f"This needs the role {role}; an admin can give it to you." in text


def test_what_is_not_there_is_said_in_the_same_layout() -> None:
    for path in ("/networks/nowhere/", "/nodes/n9/edit/", "/live/nodes/n9/", "/nowhere/"):
        response = logged_in("ada").get(path)
        assert response.status_code == 404
        assert f"There is nothing at <code>{path}</code>" in response.content.decode()


def test_a_defect_is_said_in_the_same_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr("networks.convergence.node_states", broken)
    client = logged_in("vera")
    client.raise_request_exception = False
    response = client.get("/")
    assert response.status_code == 500
    assert "What was declared before is safe" in response.content.decode()


def test_a_form_without_its_token_is_refused_in_the_same_layout() -> None:
    client = Client(enforce_csrf_checks=True)
    response = client.post("/login/", {"username": "vera"})
    assert response.status_code == 403
    assert "The form was too old" in response.content.decode()


def test_a_page_may_load_nothing_from_elsewhere() -> None:
    response = logged_in("vera").get("/")
    assert "default-src 'self'" in response.headers["Content-Security-Policy"]
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', response.content.decode())
    browser = logged_in("vera").get("/api/v1/docs/")  # of the schema: it has a script of its own in the page
    assert "Content-Security-Policy" not in browser.headers


def test_more_rows_cost_no_more_queries() -> None:
    """Events grow with the rows, but a page has at most so many of them."""
    client = logged_in("vera")
    populate(range(1, 6))
    few = {path: queries(client, path) for path in READ}
    populate(range(6, 26))
    assert {path: queries(client, path) for path in READ} == few
    assert max(few.values()) <= 16, few


def populate(numbers: Iterable[int]) -> None:
    """Nodes with leases and findings, networks on all of them."""
    for number in numbers:
        if number > 1:
            factories.a_node(f"n{number}")
        factories.a_network(f"net{number}", f"10.{number + 50}.0.0/16")
    for number in numbers:
        lease = factories.a_lease(address=f"10.11.{4 * number}.9")
        pairs = [factories.a_pair(f"n{other}", "mtu") for other in numbers if other != number]
        factories.reported(
            f"n{number}",
            leases=(lease,),
            findings=(FINDING,),
            changes=("add route",),
            probes=(factories.probed(*pairs),),
        )


def queries(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code == 200
    return len(captured)
