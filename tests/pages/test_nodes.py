"""Nodes in the browser: added with their token, looked at, removed."""

from django.contrib.auth.models import User
from playwright.sync_api import expect

from nodes import tokens
from nodes.models import Node
from tests import factories
from tests.pages.conftest import Visit, logged_in
from workers import config
from workers.report import Interface

ETH0 = Interface("eth0", "", "02:00:00:00:00:01", 1500, True, False, ("192.0.2.1/24",), 2048, 1024, 9, 5)


def test_a_new_node_gets_a_configuration_that_its_worker_reads(visit: Visit, site: str) -> None:
    page = visit("/new/node/", "ada")
    page.get_by_label("Name").fill("n1")
    page.get_by_label("Addresses").fill("192.0.2.1, 2001:db8::1")
    page.get_by_role("button", name="Add the node").click()
    expect(page.get_by_role("heading", name="n1 can join")).to_be_visible()
    lines = page.locator("#conf").inner_text().splitlines()
    settings = config.load(dict(line.split("=", 1) for line in lines if not line.startswith("#")))
    assert (settings.node, settings.url) == ("n1", site)
    found = tokens.find(settings.token)
    assert found is not None
    assert found.node == Node.objects.get(name="n1")


def test_the_token_is_shown_once(visit: Visit) -> None:
    token = tokens.for_node(factories.a_node("n1"), by="ada")
    page = visit("/nodes/n1/", "ada")
    page.get_by_role("link", name="New token").click()
    expect(page.get_by_role("main")).to_contain_text("stops working at once")
    page.get_by_role("button", name="Make a new token").click()
    conf = page.locator("#conf").inner_text()
    fresh = next(line.partition("=")[2] for line in conf.splitlines() if line.startswith("NETADMIN_TOKEN="))
    assert tokens.find(token) is None
    assert tokens.find(fresh) is not None
    page.get_by_role("link", name="See it join").click()
    expect(page.get_by_role("heading", name="n1", exact=True)).to_be_visible()
    assert fresh not in page.content()


def test_a_page_with_a_token_is_kept_by_nobody(db: None) -> None:
    response = logged_in("ada").post("/new/node/", {"name": "n1", "addresses": "192.0.2.1"})
    assert "no-store" in response.headers["Cache-Control"]


def test_faults_of_a_node_are_shown_at_their_field(visit: Visit) -> None:
    page = visit("/new/node/", "ada")
    page.get_by_label("Name").fill("n1")
    page.get_by_label("Addresses").fill("127.0.0.1")
    page.get_by_role("button", name="Add the node").click()
    expect(page.locator("#id_addresses_error")).to_contain_text("is no address by which other nodes reach n1")


def test_the_page_of_a_node_shows_what_it_reported(visit: Visit) -> None:
    node = factories.a_node("n1")
    factories.a_network()
    factories.reported(
        node,
        interfaces=(ETH0,),
        routes=3,
        changes=("add link obr_backend1",),
        files={"backend1.conflist": '{"name": "backend1"}'},
        capabilities={"kernel": "6.1.0", "plugins": ["bridge", "host-local"]},
    )
    page = visit("/nodes/n1/", "vera")
    eth0 = page.get_by_role("row", name="eth0")
    expect(eth0).to_contain_text("192.0.2.1/24")
    expect(eth0).to_contain_text("2.0 KB 9 packets")
    facts = page.get_by_label("Facts")
    for text in ("Routes3", "Kernel6.1.0", "Pluginsbridge, host-local"):
        expect(facts).to_contain_text(text)
    expect(page.get_by_role("region", name="Last plan")).to_contain_text("add link obr_backend1")
    expect(page.get_by_role("row", name="backend1")).to_contain_text("10.11.0.1/22")
    expect(page.get_by_role("link", name="Remove")).to_be_hidden()


def test_a_node_is_changed_and_the_loser_of_a_race_is_told(visit: Visit) -> None:
    node = factories.a_node("n1")
    page = visit("/nodes/n1/edit/", "ada")
    Node.objects.filter(pk=node.pk).update(version=7)
    page.get_by_label("Comment").fill("rack 4")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert").first).to_contain_text("is not the current version (7)")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("Facts")).to_contain_text("rack 4")


def test_removing_a_node_says_which_segments_are_free_again(visit: Visit) -> None:
    node = factories.a_node("n1")
    factories.an_allocation(factories.a_network(), "10.11.0.7", node)
    page = visit("/nodes/n1/", "ada")
    page.get_by_role("link", name="Remove").click()
    expect(page.get_by_role("main")).to_contain_text("10.11.0.0/22 of backend1")
    page.get_by_role("button", name="Remove n1").click()
    expect(page.get_by_role("alert").filter(has_text="1 address is in use on n1")).to_be_visible()
    page.get_by_label("from under those who hold").check()
    page.get_by_role("button", name="Remove n1").click()
    expect(page.get_by_text("n1 is removed")).to_be_visible()
    assert not Node.objects.exists()
    assert User.objects.get(username="ada").is_active
