"""What crosses between which nodes, on the page of a network."""

from playwright.sync_api import expect

from tests import factories
from tests.factories import a_pair, probed, reported
from tests.pages.conftest import Visit

PATH = "/networks/backend1/"


def three_nodes() -> None:
    for name in factories.IN_SCOPE:
        factories.a_node(name)
    factories.a_network()


def test_a_matrix_shows_every_pair_by_sign_word_and_number(visit: Visit) -> None:
    three_nodes()
    reported("n1", probes=(probed(a_pair("n2"), a_pair("n3", "mtu")),))
    reported("n2", probes=(probed(a_pair("n1", "down"), a_pair("n3", "pending")),))
    page = visit(PATH, "vera")
    card = page.get_by_role("region", name="Packets between its nodes")
    expect(card).to_contain_text(
        "1 of 4 pairs exchange full packets, 1 only smaller ones, 1 none, 1 not known"
    )
    table = card.get_by_role("table", name="From the node of the row to the node of the column")
    cells = [cell.inner_text().split() for cell in table.get_by_role("row").nth(1).get_by_role("cell").all()]
    assert cells == [[], ["●", "0.13", "up"], ["◒", "1364", "mtu"]] or cells[1][:2] == ["●", "0.12"]
    expect(table.get_by_role("row").nth(2)).to_contain_text("✕ blocked down")
    expect(table.get_by_role("row").nth(3)).to_contain_text("?")
    failing = card.get_by_role("table", name="Pairs that are not up")
    expect(failing).to_contain_text("nothing comes back")
    expect(failing).to_contain_text("Declare tunnel=always")


def test_a_pair_leads_to_its_details_both_ways_also_without_a_script(visit: Visit) -> None:
    three_nodes()
    reported("n1", probes=(probed(a_pair("n2"), a_pair("n3")),))
    reported("n2", probes=(probed(a_pair("n1", "mtu", way="tunnel na_gre to 192.0.2.1"), a_pair("n3")),))
    page = visit(PATH, "vera")
    link = page.get_by_title("n1 to n2 over IPv4: full packets of 1500 bytes cross in 0.125 ms")
    link.click()
    chosen = page.get_by_role("table", name="The pair that was chosen")
    expect(chosen).to_contain_text("eth0 via 192.0.2.2")
    expect(chosen).to_contain_text("tunnel na_gre to 192.0.2.1")
    expect(chosen).to_contain_text("1364 bytes")
    reported("n1", probes=(probed(a_pair("n2", "down"), a_pair("n3")),))
    expect(chosen).to_contain_text("down")


def test_a_pair_that_comes_up_turns_green_where_it_is(visit: Visit) -> None:
    three_nodes()
    for name in factories.IN_SCOPE:
        others = [peer for peer in factories.IN_SCOPE if peer != name]
        reported(name, probes=(probed(*(a_pair(peer, "pending") for peer in others)),))
    page = visit(PATH, "vera")
    expect(page.locator(".summary")).to_contain_text("probing")
    expect(page.locator(".matrix td.is-pending")).to_have_count(6)
    for name in factories.IN_SCOPE:
        others = [peer for peer in factories.IN_SCOPE if peer != name]
        reported(name, probes=(probed(*(a_pair(peer) for peer in others)),))
    expect(page.locator(".matrix td.is-up")).to_have_count(6)
    expect(page.locator(".summary")).to_contain_text(
        "up 3 of 3 nodes have it as declared and reach all others"
    )


def test_of_many_nodes_only_those_that_are_not_up_are_shown(visit: Visit) -> None:
    names = [f"n{number}" for number in range(1, 33)]
    for name in names:
        factories.a_node(name)
    factories.a_network()
    pairs = [a_pair(name) for name in names[2:]]
    reported("n1", probes=(probed(a_pair("n2", "down"), *pairs),))
    page = visit(PATH, "vera")
    expect(page.locator(".matrix")).to_have_count(0)
    expect(page.get_by_role("table", name="Pairs that are not up").get_by_role("row")).to_have_count(2)


def test_without_probes_the_page_says_so(visit: Visit) -> None:
    three_nodes()
    for name in factories.IN_SCOPE:
        reported(name)
    page = visit(PATH, "vera")
    expect(page.locator(".summary")).to_contain_text("whether packets cross is not probed")
    expect(page.get_by_role("region", name="Packets between its nodes")).to_have_count(0)
