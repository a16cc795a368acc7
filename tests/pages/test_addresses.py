"""The addresses of a network: who holds them, keeping some, giving back what is kept."""

import pytest
from playwright.sync_api import expect

from networks import reservations
from networks.models import Allocation, Network
from nodes.models import Event, Node
from tests import factories
from tests.pages.conftest import Visit, logged_in
from workers.holdings import Declined

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)

LIST, RESERVE, RELEASE = (f"/networks/backend1/{what}/" for what in ("addresses", "reserve", "release"))


@pytest.fixture
def network(db: None) -> Network:
    """n1 10.11.0.0/22, n2 10.11.4.0/22, n3 10.11.8.0/22, n4 10.11.12.0/22."""
    factories.the_nodes()
    return factories.a_network()


def kept() -> list[str]:
    """What is reserved, in order."""
    rows = Allocation.objects.filter(state="reserved").order_by("addresses__address")
    return [str(row.addresses.get().address) for row in rows]


def said(path: str, form: dict[str, object], name: str = "oscar") -> str:
    """What the page that comes of a form says, without quotes."""
    text: str = logged_in(name).post(path, form, follow=True).content.decode()
    return text.replace("&#x27;", "'").replace("&quot;", '"')


def test_some_are_looked_at_reserved_and_released(visit: Visit, network: Network) -> None:
    page = visit("/networks/backend1/", "oscar")
    page.get_by_role("link", name="Reserve addresses").click()
    expect(page.get_by_label("Preview").get_by_text("10.11.3.254")).to_be_visible()
    page.get_by_label("How many").fill("3")
    page.get_by_label("Node").select_option("n2")
    page.get_by_label("Comment").fill("printers")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("This can be reserved.")).to_be_visible()
    expect(page.get_by_label("Preview").get_by_role("listitem")).to_have_count(3)
    assert kept() == []
    page.get_by_role("button", name="Reserve").click()
    expect(page.get_by_text("Kept: 10.11.7.254 on n2, 10.11.7.253 on n2, 10.11.7.252 on n2.")).to_be_visible()
    assert kept() == ["10.11.7.252", "10.11.7.253", "10.11.7.254"]
    page.get_by_label("10.11.7.252", exact=True).check()
    page.get_by_label("10.11.7.254", exact=True).check()
    page.get_by_role("button", name="Release what is chosen").click()
    expect(page.get_by_role("heading", name="Release 2 addresses?")).to_be_visible()
    page.get_by_role("button", name="Release", exact=True).click()
    expect(page.get_by_text("2 addresses are given back.")).to_be_visible()
    assert kept() == ["10.11.7.253"]


def test_it_works_without_scripts(network: Network) -> None:
    form = {"addresses": "10.11.4.9 10.11.200.7", "count": "1", "hostname": "nas"}
    assert "in a part that no node has yet" in said(RESERVE, {**form, "preview": "1"})
    assert kept() == []
    assert "Kept: 10.11.4.9 on n2, 10.11.200.7." in said(RESERVE, form)
    keys = list(Allocation.objects.values_list("pk", flat=True))
    assert "1 address is given back." in said(RELEASE, {"id": keys[0]})
    assert Event.objects.filter(actor="oscar", name="backend1", verb="released").count() == 1
    assert kept() == ["10.11.200.7"]


def test_a_refusal_says_the_same_as_everywhere_at_its_field(network: Network) -> None:
    factories.an_allocation(network, "10.11.4.9", Node.objects.get(name="n2"))
    shown = said(RESERVE, {"addresses": "10.11.4.9", "count": "1"})
    assert "10.11.4.9: is not free: root/svc/web on n2. Name another one" in shown
    assert "10.11.9.0.1: is no IP address. Give one like 10.11.4.9" in said(
        RESERVE, {"addresses": "10.11.9.0.1"}
    )
    shown = said(RESERVE, {"addresses": "10.11.4.10 10.12.0.1"})
    assert "10.12.0.1: is outside of backend1. Name one of 10.11.0.0/16" in shown
    assert "n9: is no node of the cluster. Known: n1, n2" in said(RESERVE, {"node": "n9"})
    assert "many: is not a whole number. Give one like 1024" in said(RESERVE, {"count": "many"})
    assert "0: is no number of addresses. Give 1 or more" in said(RESERVE, {"count": "0"})
    assert "of the one address 10.11.4.11 there is one" in said(
        RESERVE, {"addresses": "10.11.4.11", "count": "5"}
    )
    assert kept() == []


def test_a_refusal_stands_beside_its_field(visit: Visit, network: Network) -> None:
    page = visit(RESERVE, "oscar")
    page.get_by_label("Addresses").fill("10.11.4.1")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("This cannot be reserved as it stands:")).to_be_visible()
    page.get_by_role("button", name="Reserve").click()
    wrong = page.locator(".field.wrong", has_text="10.11.4.1: is the bridge's address")
    expect(wrong.get_by_label("Addresses")).to_have_value("10.11.4.1")


def test_where_nothing_can_be_reserved_it_says_why(network: Network) -> None:
    factories.a_network("weave1", "10.32.0.0/16", "weave")
    oscar = logged_in("oscar")
    for name, why in (("weave1", "weave hands its addresses out itself"), ("lo", "it has one address")):
        shown = oscar.get(f"/networks/{name}/reserve/").content.decode()
        assert why in shown
        assert "<form method=" not in shown.partition("<main")[2]
        assert why in said(f"/networks/{name}/reserve/", {"count": "1"})


def test_a_network_that_is_not_routed_asks_on_which_node(network: Network) -> None:
    factories.a_network("local1", "10.10.10.0/24", "bridge")
    shown = logged_in("oscar").get("/networks/local1/reserve/").content.decode()
    assert "any, in turn" not in shown
    assert "10.10.10.254" in shown
    assert "has the same addresses on each node" in said("/networks/local1/reserve/", {"count": "1"})
    assert "Kept: 10.10.10.254 on n3." in said("/networks/local1/reserve/", {"count": "1", "node": "n3"})


def test_what_is_gone_is_not_released_twice(network: Network) -> None:
    [one] = reservations.reserve("backend1", [_any()], by="ada")
    reservations.release([one.pk], by="ada")
    assert "is no allocation of backend1" in said(RELEASE, {"id": one.pk})
    assert "No reservation is chosen" in logged_in("oscar").get(f"{RELEASE}?id={one.pk}").content.decode()


def test_only_reservations_are_given_back_here(network: Network) -> None:
    held = factories.an_allocation(network, "10.11.4.9", Node.objects.get(name="n2"))
    assert "No reservation is chosen" in logged_in("oscar").get(f"{RELEASE}?id={held.pk}").content.decode()
    assert "is no reservation: root/svc/web on n2" in said(RELEASE, {"id": held.pk})
    assert Allocation.objects.filter(pk=held.pk).exists()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("reserved", {"10.11.7.254"}),
        ("n1", {"10.11.0.2"}),
        ("10.11.4.0/22", {"10.11.4.9", "10.11.7.254"}),
        ("10.11.4.9", {"10.11.4.9"}),
        ("nas rack", {"10.11.7.254"}),
        ("cafe", {"10.11.0.2"}),
        ("n2 web", {"10.11.4.9"}),
        ("fd00::/99x", set()),
        ("\0", {"10.11.0.2", "10.11.4.9", "10.11.7.254"}),
    ],
)
def test_it_is_filtered_by_words(network: Network, words: str, found: set[str]) -> None:
    factories.an_allocation(network, "10.11.4.9", Node.objects.get(name="n2"))
    factories.reported("n1", leases=(factories.a_lease(address="10.11.0.2", container="cafe" * 16),))
    wish = _any(node="n2", hostname="nas", comment="in the rack")
    reservations.reserve("backend1", [wish], by="ada")
    shown = logged_in("vera").get(LIST, {"q": words}).content.decode()
    assert {
        address for address in ("10.11.0.2", "10.11.4.9", "10.11.7.254") if f">{address}<" in shown
    } == found


def test_one_that_a_node_declined_says_who_is_in_the_way(network: Network) -> None:
    node = Node.objects.get(name="n2")
    [one] = reservations.reserve("backend1", [_any(node="n2")], by="ada")
    uuid = Allocation.objects.get(pk=one.pk).uuid.hex
    reservations.take_in(node, [Declined(uuid, "cafe")])
    for path in (LIST, "/networks/backend1/"):
        shown = logged_in("vera").get(path).content.decode()
        assert "declined" in shown
        assert "cafe has it on n2. It is kept as soon as that is gone" in shown


def test_viewers_see_no_form_and_may_send_none(network: Network) -> None:
    [one] = reservations.reserve("backend1", [_any()], by="ada")
    vera = logged_in("vera")
    shown = vera.get(LIST).content.decode() + vera.get("/networks/backend1/").content.decode()
    assert "10.11.3.254" in shown
    assert "Reserve" not in shown
    assert "Release" not in shown
    assert 'type="checkbox"' not in shown
    for path, form in ((RESERVE, {"count": "1"}), (RELEASE, {"id": one.pk})):
        assert vera.get(path).status_code == 403
        assert vera.post(path, form).status_code == 403
    assert kept() == ["10.11.3.254"]


def test_a_network_that_is_not_there_has_no_addresses(db: None) -> None:
    for path in ("addresses", "reserve", "release"):
        assert logged_in("oscar").get(f"/networks/nowhere/{path}/").status_code == 404


def _any(**fields: str) -> reservations.Wish:
    return reservations.Wish(**fields)  # type: ignore[arg-type]
