"""The names that the cluster DNS serves, and who serves them."""

import pytest
from playwright.sync_api import expect

from networks import cluster
from networks.dns import changes
from tests import factories
from tests.pages.conftest import Visit


@pytest.fixture(autouse=True)
def _web(site: str) -> None:
    cluster.change(name="c1", dns=["10.0.0.53"], by="ada")
    n1 = factories.a_node("n1")
    held = factories.an_allocation(factories.a_network(), "10.11.0.7", n1, service="prod/svc/web")
    held.expose, held.hostname = ["80/tcp"], "käse"
    held.save()


def test_they_are_listed_with_what_is_not_served(visit: Visit) -> None:
    page = visit("/names/", "vera")
    row = page.get_by_role("row").filter(has_text="_http._tcp.web.prod.svc.c1.")
    expect(row).to_contain_text("0 10 80 10-11-0-7.web.prod.svc.c1.")
    expect(page.get_by_text("hostname=käse: makes käse, which is no label of a DNS name")).to_be_visible()


def test_they_are_filtered_by_type_and_name(visit: Visit) -> None:
    page = visit("/names/", "vera")
    page.get_by_label("Type").select_option("PTR")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_label("Name").fill("nobody")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("No name is like that")).to_be_visible()


def test_it_shows_who_serves_how_much(visit: Visit) -> None:
    page = visit("/names/", "vera")
    expect(page.get_by_text("nobody: run")).to_be_visible()
    changes.acknowledge("dns1", changes.serial())
    expect(page.get_by_text("all of it")).to_be_visible()
    changes.changed()
    expect(page.get_by_text("up to")).to_be_visible()
