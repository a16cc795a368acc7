"""The events: what happened, newest first, with what it changed."""

from playwright.sync_api import expect

from networks import declare
from networks.declaration import Declaration
from nodes import events
from tests import factories
from tests.pages.conftest import Visit


def test_an_event_shows_what_it_changed(visit: Visit) -> None:
    factories.a_network(comment="old words")
    declare.change("backend1", Declaration({"comment": "new words", "tags": ["a", "b"]}), by="oscar")
    page = visit("/events/", "vera")
    newest = page.locator(".events > li").first
    expect(newest).to_contain_text("oscar changed network backend1")
    expect(newest.locator(".before")).to_have_text("−before: old words")
    expect(newest.locator(".after")).to_contain_text(["+after: new words", "+after: a, b"])


def test_they_are_filtered_by_kind_and_name(visit: Visit) -> None:
    factories.a_node("n1")
    factories.a_network()
    page = visit("/events/", "vera")
    page.get_by_label("Kind").select_option("node")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".events > li")).to_have_count(1)
    page.get_by_label("Name").fill("n9")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("Nothing happened yet")).to_be_visible()


def test_older_ones_are_a_page_further(visit: Visit) -> None:
    for number in range(120):
        events.record("ada", "changed", "cluster", f"c{number}")
    page = visit("/events/?kind=cluster", "vera")
    seen = []
    for _ in range(3):
        seen += page.locator(".events > li").all_inner_texts()
        if page.get_by_role("link", name="Older").is_visible():
            page.get_by_role("link", name="Older").click()
            page.wait_for_url("**before=**")
    assert len(seen) == len(set(seen)) == 120


def test_new_ones_appear_by_themselves(visit: Visit) -> None:
    page = visit("/events/", "vera")
    factories.a_node("n1")
    expect(page.locator(".events > li").first).to_contain_text("ada added node n1")
