"""Declaring, changing and withdrawing a network in the browser."""

from playwright.sync_api import expect

from networks import conflist, declare, reservations
from networks.declaration import Declaration
from networks.models import Network
from networks.wishes import Wish
from nodes.models import Event
from tests import factories
from tests.pages.conftest import Visit, logged_in


def test_it_shows_every_fault_at_its_field_and_declares_what_is_right(visit: Visit) -> None:
    factories.the_nodes()
    page = visit("/new/network/", "oscar")
    page.get_by_label("Name").fill("Backend 1")
    page.get_by_role("button", name="Declare").click()
    name = page.get_by_label("Name")
    expect(page.locator("#id_name_error")).to_contain_text("Backend 1: is not a name. Use 1 to 63 of a-z")
    name.fill("backend1")
    page.get_by_role("textbox", name="Range").fill("10.11.0.1/16")
    page.get_by_role("button", name="Declare").click()
    expect(page.locator("#id_network_error")).to_have_text(
        "10.11.0.1/16: has host bits set. Declare 10.11.0.0/16"
    )
    page.get_by_role("textbox", name="Range").fill("10.11.0.0/16")
    page.get_by_role("button", name="Declare").click()
    expect(page.get_by_role("heading", name="backend1")).to_be_visible()
    expect(page.get_by_text("backend1 is declared")).to_be_visible()
    expect(page.get_by_role("row", name="n2").first).to_contain_text("10.11.4.0/22")
    assert Network.objects.get(name="backend1").ips_per_node == 1024


def test_the_preview_shows_the_segments_and_declares_nothing(visit: Visit) -> None:
    factories.the_nodes()
    page = visit("/new/network/", "oscar")
    page.get_by_label("Name").fill("backend1")
    page.get_by_role("textbox", name="Range").fill("10.11.0.0/16")
    page.get_by_role("button", name="Preview").click()
    preview = page.get_by_label("Preview", exact=True)
    expect(preview.get_by_role("row", name="n3")).to_contain_text("10.11.8.1/22")
    expect(preview).to_contain_text("holds 64 segments of /22, each for 1\u202f021 containers")
    page.get_by_role("textbox", name="Range").fill("10.22.4.0/24")
    page.get_by_role("button", name="Preview").click()
    expect(preview).to_contain_text("overlaps 10.22.0.0/16 of network default")
    assert not Network.objects.filter(name="backend1").exists()
    assert not Event.objects.filter(verb="declared").exists()


def test_the_preview_of_a_change_says_which_segments_move(visit: Visit) -> None:
    factories.the_nodes()
    factories.a_network()
    page = visit("/networks/backend1/edit/", "oscar")
    page.get_by_label("Addresses per node").fill("256")
    page.get_by_role("button", name="Preview").click()
    row = page.get_by_label("Preview", exact=True).get_by_role("row", name="n2")
    expect(row).to_contain_text("10.11.1.0/24 moves from 10.11.4.0/22")


def test_the_loser_of_a_race_is_told_and_keeps_what_was_typed(visit: Visit) -> None:
    factories.a_network(comment="first")
    page = visit("/networks/backend1/edit/", "oscar")
    declare.change("backend1", Declaration({"comment": "second"}), by="ada")
    page.get_by_label("Comment").fill("third")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="ada was faster")).to_be_visible()
    expect(page.get_by_label("ada was faster")).to_contain_text("second")
    expect(page.get_by_label("Comment")).to_have_value("third")
    assert Network.objects.get(name="backend1").comment == "second"
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("backend1 is changed")).to_be_visible()
    assert Network.objects.get(name="backend1").comment == "third"


def test_keywords_for_single_nodes_are_given_and_taken_back(visit: Visit) -> None:
    factories.the_nodes()
    factories.a_network()
    page = visit("/networks/backend1/edit/", "oscar")
    page.get_by_text("More keywords").click()
    page.get_by_label("For single nodes").fill("addr@n1=1.2.3.4\ngateway@n2 = 192.0.2.254")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("row", name="n1").last).to_contain_text("1.2.3.4")
    page.get_by_role("link", name="Edit").click()
    expect(page.get_by_label("For single nodes")).to_have_value("addr@n1=1.2.3.4\ngateway@n2=192.0.2.254")
    page.get_by_label("For single nodes").fill("addr@n9=1.2.3.4")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#id_overrides_error")).to_contain_text("n9: is no node of the cluster")
    page.get_by_label("For single nodes").fill("")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("backend1 is changed")).to_be_visible()
    assert declare.overrides_of(Network.objects.get(name="backend1")) == {}


def test_a_change_that_takes_addresses_away_needs_force(visit: Visit) -> None:
    nodes = factories.the_nodes()
    factories.an_allocation(factories.a_network(), "10.11.0.7", nodes[0])
    page = visit("/networks/backend1/edit/", "oscar")
    page.get_by_role("textbox", name="Range").fill("10.12.0.0/16")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_label("Preview", exact=True)).to_contain_text("1 address in use would be taken away")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert").first).to_contain_text("10.11.0.7 (root/svc/web on n1)")
    page.get_by_label("Take the addresses away").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("row", name="n1").first).to_contain_text("10.12.0.0/22")


def test_withdrawing_says_what_goes_and_names_who_holds_addresses(visit: Visit) -> None:
    nodes = factories.the_nodes()
    factories.an_allocation(factories.a_network(), "10.11.0.7", nodes[0])
    reservations.reserve("backend1", [Wish(node="n2", hostname="nas", comment="in the rack")], by="oscar")
    page = visit("/networks/backend1/", "oscar")
    page.get_by_role("link", name="Withdraw").click()
    expect(page.get_by_role("main")).to_contain_text("the bridge obr_backend1")
    expect(page.get_by_role("main")).to_contain_text("10.11.0.7 root/svc/web ip#0 on n1")
    expect(page.get_by_role("main")).to_contain_text("10.11.7.254 reserved nas in the rack on n2")
    page.get_by_role("button", name="Withdraw backend1").click()
    expect(page.get_by_role("alert").filter(has_text="2 addresses are in use")).to_be_visible()
    page.get_by_label("from under those who hold").check()
    page.get_by_role("button", name="Withdraw backend1").click()
    expect(page.get_by_text("backend1 is withdrawn")).to_be_visible()
    assert not Network.objects.filter(name="backend1").exists()


def test_only_the_keywords_of_the_chosen_type_are_asked_for(visit: Visit) -> None:
    page = visit("/new/network/", "oscar")
    expect(page.get_by_label("Addresses per node")).to_be_visible()
    page.get_by_label("bridge: the same range").check()
    expect(page.get_by_label("Addresses per node")).to_be_hidden()
    expect(page.get_by_role("group", name="Only on these nodes")).to_be_hidden()


def test_the_preview_works_without_a_script(db: None) -> None:
    factories.a_node("n1")
    given = {"name": "backend1", "type": "routed_bridge", "network": "10.11.0.0/16", "every_node": "on"}
    given |= {"tunnel": "auto", "tunnel_mode": "ipip", "tables": "main", "preview": "1"}
    page = logged_in("oscar").post("/new/network/", given).content.decode()
    assert page.count("<!doctype html>") == 1
    assert "10.11.0.1/22" in page
    assert not Network.objects.filter(name="backend1").exists()


def test_a_configuration_list_is_asked_for_only_by_the_type_that_has_one(visit: Visit) -> None:
    page = visit("/new/network/", "oscar")
    template = page.locator("#id_template")
    expect(template).to_be_hidden()
    page.get_by_label("Name").fill("direct")
    page.get_by_label("cni: any other plugin").check()
    expect(page.get_by_label("Addresses per node")).to_be_hidden()
    template.fill('{"mtu": {{mut}}}')
    page.get_by_role("button", name="Declare").click()
    expect(page.locator("#id_template_error")).to_contain_text(
        "{{mut}}: is no placeholder. Use one of network, node, cluster"
    )
    page.get_by_role("textbox", name="Range").fill("10.13.0.0/24")
    template.fill(conflist.EXAMPLE)
    page.get_by_role("button", name="Declare").click()
    expect(page.get_by_text("direct is declared")).to_be_visible()
    assert Network.objects.get(name="direct").template == conflist.EXAMPLE
    page = visit("/networks/direct/edit/", "oscar")
    expect(page.get_by_role("textbox", name="Configuration list")).to_have_value(conflist.EXAMPLE)


def test_networks_of_others_are_shown_with_the_nodes_that_have_them(visit: Visit) -> None:
    factories.the_nodes()
    for name in ("n1", "n3"):
        factories.reported(name, foreign={"/etc/cni/net.d/87-podman.conflist": "podman"})
    for path in ("/", "/networks/"):
        row = visit(path, "vera").get_by_role("table", name="Networks of others").get_by_role("row").nth(1)
        expect(row).to_contain_text("podman")
        expect(row).to_contain_text("n1, n3")
        expect(row).to_contain_text("/etc/cni/net.d/87-podman.conflist")
