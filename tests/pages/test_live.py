"""Pages that are open follow what happens, without being loaded again."""

from playwright.sync_api import Page, expect

from networks import declare, membership
from tests import factories
from tests.pages.conftest import Visit
from workers.report import Finding


def unloaded(page: Page) -> bool:
    """Whether the document is the one that was marked."""
    return not page.evaluate("window.marked === true")


def mark(page: Page) -> None:
    page.evaluate("window.marked = true")


def test_a_converging_node_turns_green(visit: Visit) -> None:
    node = factories.a_node("n1")
    factories.a_network()
    factories.reported(node, version="0" * 64)
    page = visit("/", "vera")
    mark(page)
    row = page.get_by_role("row", name="n1")
    expect(row.locator(".is-converging")).to_be_visible()
    expect(page.get_by_role("row", name="backend1")).to_contain_text("0 of 1 nodes 1 converging")
    factories.reported(node)
    expect(row.locator(".is-converged")).to_have_text("● converged")
    expect(page.get_by_role("row", name="backend1")).to_contain_text("1 of 1 nodes")
    expect(page.locator("#spoken")).to_contain_text("1 of 1 nodes converged")
    assert not unloaded(page)


def test_a_problem_and_its_remedy_appear_and_go(visit: Visit) -> None:
    node = factories.a_node("n1")
    factories.a_network()
    factories.reported(node)
    page = visit("/networks/backend1/", "vera")
    finding = Finding("conflict", "backend1", "route 10.11.4.0/22", "is somebody else's", "Remove it")
    factories.reported(node, findings=(finding,))
    problems = page.get_by_role("region", name="Problems")
    expect(problems).to_contain_text("n1 · backend1: route 10.11.4.0/22: is somebody else's. Remove it.")
    factories.reported(node)
    expect(problems).to_be_hidden()


def test_networks_and_nodes_appear_and_disappear(visit: Visit) -> None:
    page = visit("/", "vera")
    expect(page.get_by_text("What to do next")).to_be_visible()
    factories.a_node("n1")
    factories.a_network()
    expect(page.get_by_role("row", name="n1")).to_contain_text("never")
    expect(page.get_by_text("What to do next")).to_be_hidden()
    membership.remove("n1", by="ada")
    expect(page.get_by_role("row", name="n1")).to_be_hidden()


def test_what_did_not_change_is_left_alone(visit: Visit) -> None:
    factories.reported(factories.a_node("n1"), files={"lo.conflist": "{}"})
    page = visit("/nodes/n1/", "vera")
    with page.expect_response("**/live/nodes/n1/") as first:
        pass
    assert first.value.status == 200
    page.evaluate("document.querySelector('#file-lo\\\\.conflist').marked = true")
    with page.expect_response("**/live/nodes/n1/") as second:
        pass
    assert second.value.status == 304
    assert page.evaluate("document.querySelector('#file-lo\\\\.conflist').marked")


def test_what_was_unfolded_stays_unfolded(visit: Visit) -> None:
    node = factories.a_node("n1")
    factories.reported(node, files={"lo.conflist": '{"name":"lo"}'})
    page = visit("/nodes/n1/", "vera")
    page.get_by_text("lo.conflist").click()
    expect(page.get_by_text('"name": "lo"')).to_be_visible()
    factories.reported(node, files={"lo.conflist": '{"name":"lo"}'}, routes=7)
    expect(page.get_by_label("Facts")).to_contain_text("Routes7")
    expect(page.get_by_text('"name": "lo"')).to_be_visible()


def test_a_hidden_page_does_not_poll_and_looks_at_once_when_it_is_shown(visit: Visit) -> None:
    page = visit("/nodes/", "vera")
    show = """(hidden) => {
        Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.evaluate(show, True)
    polls: list[str] = []
    page.on("request", lambda request: polls.append(request.url))
    page.wait_for_function("(until) => Date.now() > until", arg=page.evaluate("Date.now() + 2500"))
    assert polls == []
    with page.expect_request("**/live/nodes/", timeout=1000):
        page.evaluate(show, False)


def test_it_says_that_the_control_plane_does_not_answer(visit: Visit, complaints: list[str]) -> None:
    page = visit("/nodes/", "vera")
    for broken in (lambda route: route.fulfill(status=503), lambda route: route.abort()):
        page.route("**/live/**", broken)
        expect(page.get_by_role("alert")).to_contain_text("The control plane does not answer")
        page.unroute("**/live/**")
        expect(page.get_by_role("alert")).to_be_hidden()
    complaints.clear()


def test_a_page_about_what_was_withdrawn_says_so(visit: Visit, complaints: list[str]) -> None:
    factories.a_network()
    page = visit("/networks/backend1/", "vera")
    declare.withdraw("backend1", by="oscar")
    expect(page.get_by_role("heading", name="Not found")).to_be_visible()
    assert all("404" in text for text in complaints)
    complaints.clear()
