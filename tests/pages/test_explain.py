"""The page that explains the way of a packet: two fields, a chain, followed without loading it again."""

from dataclasses import asdict, replace

import pytest
from playwright.sync_api import expect

from nodes import questions
from nodes.models import Question
from tests import factories
from tests.pages.conftest import Visit, logged_in
from tests.pages.test_looks import MISTAKES
from workers import question as wire
from workers.explained import Crossing, Explained, Hop, Passage
from workers.question import Answer
from workers.report import Pair, Probed

BRIDGE = Hop("bridge", "obr_backend1 10.11.0.1/22 up", "obr_backend1 10.11.0.1/22 up", True)
GONE = Hop(
    "route",
    "10.11.4.0/22 via 192.0.2.2 dev eth0",
    "none (Network is unreachable)",
    False,
    "n1 has no route to 10.11.4.0/22",
    "The worker puts it back at its next look",
)
HELD = Hop("address", "nobody", "c2 eth0", True)
LOST = Crossing("10.11.0.1", "10.11.4.9", 3, 0, size=1500, said="Network is unreachable")


@pytest.fixture
def network(site: str) -> None:
    """n1 and n2 with a segment each."""
    for name in ("n1", "n2"):
        node = factories.a_node(name)
        factories.reported(node)
    factories.a_network(mtu=1500)
    for name in ("n1", "n2"):
        factories.reported(name)


def answer(node: str, *hops: Hop, crossings: tuple[Crossing, ...] = ()) -> None:
    """A node answers each of its legs with the same hops."""
    row = Question.objects.get(node__name=node)
    passages = tuple(Passage(leg["step"], hops) for leg in row.body["legs"])
    said = Answer("answered", asdict(Explained(passages, crossings)))
    questions.answer(row.node, row.pk, wire.parse_answer(wire.dump(said)))


@pytest.mark.usefixtures("network")
def test_it_is_asked_in_two_fields_and_followed_until_all_have_answered(visit: Visit) -> None:
    page = visit("/explain/?destination=10.11.4.9", "vera")
    expect(page.get_by_label("To")).to_have_value("10.11.4.9")
    page.get_by_label("From").fill("n1")
    page.get_by_role("button", name="Explain").click()
    page.wait_for_url("**/explain/*/")
    expect(page.locator(".verdict")).to_contain_text("Waiting for n1 and n2")
    page.evaluate("window.marked = true")
    answer("n1", BRIDGE, GONE, crossings=(LOST,))
    answer("n2", HELD)
    expect(page.locator(".verdict")).to_contain_text("n1 has no route to 10.11.4.0/22; packets are lost")
    marked = page.locator(".is-first")
    expect(marked).to_have_count(1)
    expect(marked).to_contain_text("declared: 10.11.4.0/22 via 192.0.2.2 dev eth0")
    expect(marked).to_contain_text("The worker puts it back")
    expect(page.get_by_role("region", name="There, n2")).to_contain_text("c2 eth0")
    expect(page.get_by_role("table", name="Echoes")).to_contain_text("0 of 3")
    assert page.evaluate("window.marked === true")


@pytest.mark.usefixtures("network")
def test_it_works_without_a_script(visit: Visit) -> None:
    vera = logged_in("vera")
    response = vera.post("/explain/", {"source": "n1", "destination": "n2", "network": ""})
    assert response.status_code == 302
    answer("n1", BRIDGE)
    answer("n2", HELD)
    shown = vera.get(response["Location"]).content.decode()
    assert "As declared, and no packet was sent to try it." in shown
    assert shown.count('class="is-same') == 4
    assert "data-live" not in shown, "nothing changes any more"


@pytest.mark.usefixtures("network")
def test_a_refusal_is_at_its_field_and_what_was_typed_is_kept(visit: Visit) -> None:
    page = visit("/explain/?source=n1", "vera")
    page.get_by_label("To").fill("n7")
    page.get_by_role("button", name="Explain").click()
    expect(page.locator(".field.wrong")).to_contain_text("n7: is no address, node, service")
    expect(page.get_by_label("From")).to_have_value("n1")
    assert not Question.objects.exists()


@pytest.mark.usefixtures("network")
def test_an_address_of_a_network_leads_there(visit: Visit) -> None:
    factories.reported("n2", leases=(factories.a_lease(address="10.11.4.9"),))
    page = visit("/networks/backend1/", "vera")
    page.get_by_role("link", name="Explain the way to 10.11.4.9").click()
    expect(page.get_by_label("To")).to_have_value("10.11.4.9")


@pytest.mark.usefixtures("network")
def test_a_pair_of_the_matrix_leads_there(visit: Visit) -> None:
    pair = Pair("n2", "down", loss=1.0, code="no-route", why="there is no route", remedy="See the node")
    factories.reported("n1", probes=(Probed("backend1", 4, 1, 0, 0, 1, 0, 0.0, pairs=(pair,)),))
    page = visit("/networks/backend1/", "vera")
    page.get_by_role("link", name="Explain the way from n1 to n2").first.click()
    expect(page.get_by_label("From")).to_have_value("n1")
    expect(page.get_by_label("To")).to_have_value("n2")
    expect(page.get_by_label("Network")).to_have_value("backend1")


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize(("width", "scheme"), [(400, "dark"), (1400, "light")])
def test_what_came_of_it_fits(visit: Visit, width: int, scheme: str) -> None:
    shown = logged_in("vera").post("/explain/", {"source": "n1", "destination": "10.11.4.9"})
    long = replace(GONE, found="unbreakable" * 20, why="n1 " + "has no route " * 20)
    answer("n1", BRIDGE, long, crossings=(replace(LOST, said="x" * 200),))
    page = visit(shown["Location"], "vera", width=width, scheme=scheme)
    expect(page.locator(".is-first")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(MISTAKES) == []


@pytest.mark.usefixtures("network")
def test_two_empty_fields_are_said_to_be_empty(visit: Visit) -> None:
    factories.reported("n2", leases=(factories.a_lease(address="10.11.4.9"),))
    page = visit("/explain/", "vera")
    page.get_by_role("button", name="Explain").click()
    expect(page.locator(".field.wrong")).to_have_count(2)
    expect(page.locator(".field.wrong").first).to_contain_text("is empty. Give an address or a name")
