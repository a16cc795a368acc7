"""What a node rolled back, in the browser: seen wherever problems are, and tried again."""

import pytest
from playwright.sync_api import expect

from nodes.models import Event, Node
from tests import factories
from tests.pages.conftest import Visit

WHY = "was rolled back, as http://192.0.2.254:8000 could not be reached for 30 s after it was applied"
REMEDY = "Change what is declared, or try it again: manage.py node retry n1"


@pytest.fixture
def refused(site: str) -> str:
    """The version that n1 rolled back because of ``shadow``; n2 has its own."""
    for name in ("n1", "n2"):
        factories.a_node(name)
    factories.a_network()
    before = Node.objects.get(name="n1").desired_version
    factories.reported("n1")
    factories.a_network("shadow", "192.0.2.252/30", "bridge")
    version = Node.objects.get(name="n1").desired_version
    finding = factories.a_finding("rolled-back", "shadow", f"version {version[:12]}", WHY, REMEDY)
    factories.reported("n2")
    factories.reported(
        "n1",
        version=before,
        outcome="rolled-back",
        refused=version,
        findings=(finding,),
        changes=("remove x",),
    )
    return version


@pytest.mark.parametrize("path", ["/", "/networks/shadow/", "/nodes/n1/"])
def test_an_operator_sees_it_and_how_to_go_on(visit: Visit, refused: str, path: str) -> None:
    page = visit(path, "oscar")
    problems = page.locator("section", has=page.get_by_role("heading", name="Problems"))
    expect(problems).to_contain_text(f"version {refused[:12]}: {WHY}.")
    expect(problems).to_contain_text(REMEDY)
    expect(problems.get_by_role("link", name="Try again")).to_be_visible()


def test_a_network_that_is_not_concerned_has_no_problem(visit: Visit, refused: str) -> None:
    page = visit("/networks/backend1/", "oscar")
    expect(page.get_by_role("heading", name="Problems")).to_have_count(0)


def test_the_node_says_what_is_in_force(visit: Visit, refused: str) -> None:
    page = visit("/nodes/n1/", "vera")
    expect(page.locator(".summary")).to_contain_text(f"version {refused[:8]} was rolled back")
    expect(page.get_by_role("link", name="Try again")).to_have_count(0)


def test_the_list_stays_as_it_is_while_nothing_changes(visit: Visit, refused: str) -> None:
    page = visit("/", "oscar")
    with page.expect_response(lambda response: "/live/overview/" in response.url) as first:
        pass
    with page.expect_response(lambda response: "/live/overview/" in response.url) as second:
        pass
    assert 304 in (first.value.status, second.value.status)


def test_it_is_tried_again_after_a_question(visit: Visit, refused: str) -> None:
    page = visit("/", "oscar")
    page.get_by_role("link", name="Try again").click()
    expect(page.get_by_role("main")).to_contain_text("out of reach for 30 s and goes back once more")
    page.get_by_role("button", name="Try again on n1").click()
    expect(page.get_by_text("n1 tries again.")).to_be_visible()
    assert Node.objects.get(name="n1").desired_version != refused
    assert Event.objects.filter(verb="retried", actor="oscar", name="n1").count() == 1
    page.goto("/nodes/n1/retry/")
    page.get_by_role("button", name="Try again on n1").click()
    expect(page.get_by_role("alert")).to_contain_text("There is nothing to try again")
