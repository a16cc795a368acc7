"""Who gets in, and what they are told when they do not."""

from playwright.sync_api import expect

from tests import factories
from tests.pages.conftest import Visit

PASSWORD = "correct horse battery"


def test_it_asks_for_a_login_and_goes_on_to_where_one_wanted_to_go(visit: Visit) -> None:
    factories.a_user("vera", PASSWORD)
    page = visit("/nodes/")
    page.get_by_label("User name").fill("vera")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Nodes")).to_be_visible()
    expect(page.get_by_text("vera viewer")).to_be_visible()


def test_it_says_that_the_password_is_wrong(visit: Visit) -> None:
    factories.a_user("vera", PASSWORD)
    page = visit("/login/")
    page.get_by_label("User name").fill("vera")
    page.get_by_label("Password").fill("something else")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert").filter(has_text="password is wrong")).to_be_visible()


def test_one_can_log_out(visit: Visit) -> None:
    page = visit("/", "vera")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_a_page_that_is_open_when_the_session_ends_goes_to_the_login(visit: Visit) -> None:
    page = visit("/nodes/", "vera")
    page.context.clear_cookies()
    page.wait_for_url("**/login/?next=/nodes/")
