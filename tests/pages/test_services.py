"""The pages of services: what they have, asking for more, and giving it back."""

import pytest
from playwright.sync_api import Page, expect

from networks.models import Allocation, Network
from networks.resources import describe
from nodes.models import Node
from tests import factories
from tests.api.test_holdings import standing, state
from tests.conftest import of_node
from tests.pages.conftest import ALL_THAT_CAN_BE_ASKED_FOR, Visit, logged_in, was_asked_for
from workers.holdings import BROKEN, FAILED, WAITING

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)


@pytest.fixture
def network(site: str) -> Network:
    factories.the_nodes()
    return factories.a_network()


def says(*standings: object) -> None:
    """n1 states what it holds."""
    assert state(of_node(Node.objects.get(name="n1")), *standings).status_code == 204  # type: ignore[arg-type]


def ask(page: Page, service: str = "prod/svc/web", **fields: str) -> None:
    page.get_by_label("Service", exact=True).fill(service)
    page.get_by_label("Network", exact=True).select_option("backend1")
    for label, text in fields.items():
        page.get_by_label(label).fill(text)
    page.get_by_role("button", name="Ask for it").click()


def test_one_is_asked_for_attached_changed_and_released(visit: Visit, network: Network) -> None:
    page = visit("/services/", "oscar")
    expect(page.get_by_text("No service has asked for an address.")).to_be_visible()
    page.get_by_role("link", name="Ask for an address").click()
    ask(page, Container="docker:web", Ports="443/tcp:8443")
    expect(page.get_by_text("n1 is attaching it")).to_be_visible()
    row = Allocation.objects.get()
    assert (row.node.name if row.node else "", row.netns, row.expose) == (
        "n1",
        "docker:web",
        ["443/tcp:8443"],
    )
    says(standing(row, "10.11.0.2"))
    expect(page.get_by_text("attached").first).to_be_visible()
    expect(page.get_by_text("10.11.0.2").first).to_be_visible()
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Ports").fill("80/tcp")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("is changed. n1 is following now.")).to_be_visible()
    page.get_by_role("link", name="Release").click()
    page.get_by_role("button", name="Release it").click()
    expect(page.get_by_text("n1 is detaching it").first).to_be_visible()
    says()
    expect(page.get_by_text("It is released: its node has let go of it.").first).to_be_visible()


def test_a_refusal_is_shown_at_its_field(visit: Visit, network: Network) -> None:
    page = visit("/new/service/", "oscar")
    ask(page, Ports="80/sctp", Container="a b")
    expect(page.get_by_text("80/sctp: sctp is not mapped").first).to_be_visible()
    expect(page.get_by_text("a b: names no container and no namespace").first).to_be_visible()
    assert not Allocation.objects.exists()


@pytest.mark.parametrize(
    ("field", "text", "why"),
    [
        ("node", "n9", "n9: is no node of the cluster. Known: n1, n2, n3, n4"),
        ("network", "backend", "backend: is not declared. Did you mean backend1?"),
        ("wait_dns", "soon", "soon: is no number of seconds. Give one like 2.5"),
        ("wait_dns", "-1", "-1: is no number of seconds to wait. Give 0 to 3600"),
    ],
)
def test_what_nobody_chose_is_refused_in_the_same_words(
    network: Network, field: str, text: str, why: str
) -> None:
    form = {"service": "web", "resource": "ip#0", "node": "n1", "network": "backend1", field: text}
    assert why in logged_in("oscar").post("/new/service/", form).content.decode()


def test_all_that_can_be_asked_for_is_asked_for_and_kept_by_a_change(network: Network) -> None:
    oscar = logged_in("oscar")
    assert oscar.post("/new/service/", ALL_THAT_CAN_BE_ASKED_FOR).status_code == 302
    row = Allocation.objects.get()
    assert was_asked_for(row)
    before = describe(row)
    shown = oscar.get(f"/services/{row.pk}/edit/").content.decode()
    fixed = ("service", "resource", "node")
    change = {name: text for name, text in ALL_THAT_CAN_BE_ASKED_FOR.items() if name not in fixed}
    assert all(f'name="{name}"' in shown for name in change)
    assert oscar.post(f"/services/{row.pk}/edit/", {**change, "expose": "81/tcp"}).status_code == 302
    row.refresh_from_db()
    assert describe(row) == {**before, "expose": ["81/tcp"]}


def test_the_list_is_filtered_by_words(network: Network) -> None:
    oscar = logged_in("oscar")
    for node, service in (("n1", "prod/svc/web"), ("n2", "prod/svc/db")):
        form = {"service": service, "resource": "ip#0", "node": node, "network": "backend1"}
        assert oscar.post("/new/service/", form).status_code == 302
    oscar.get("/")
    shown = oscar.get("/services/?q=db+n2").content.decode()
    assert "prod/svc/db" in shown
    assert "prod/svc/web" not in shown
    assert "prod/svc/web" in oscar.get("/services/?q=web+Requested").content.decode()
    assert "No service is like that." in oscar.get("/services/?q=broken").content.decode()
    says(standing(Allocation.objects.get(service="prod/svc/web"), "10.11.0.2", state=BROKEN))
    assert "prod/svc/web" in oscar.get("/services/?q=broken").content.decode()
    assert "No service is like that." in oscar.get("/services/?q=db+n1").content.decode()


def test_what_is_not_well_is_a_problem_everywhere(network: Network) -> None:
    oscar = logged_in("oscar")
    said = []
    for number, (word, why) in enumerate(
        ((FAILED, "the range is full"), (BROKEN, "its route is gone"), (WAITING, "web is not up"))
    ):
        form = {"service": f"prod/svc/s{number}", "resource": "ip#0", "node": "n1", "network": "backend1"}
        oscar.post("/new/service/", form)
        row = Allocation.objects.get(service=f"prod/svc/s{number}")
        said.append(standing(row, state=word, why=why, remedy="Look at it"))
    says(*said)
    for path in ("/", "/networks/backend1/", "/nodes/n1/"):
        shown = oscar.get(path).content.decode()
        assert "prod/svc/s0 ip#0 in backend1: the range is full." in shown
        assert "prod/svc/s1 ip#0 in backend1: its route is gone." in shown
        assert "web is not up" not in shown
    Allocation.objects.filter(service="prod/svc/s2").update(version=1)
    assert "prod/svc/s2 ip#0 in backend1: web is not up." in oscar.get("/").content.decode()


def test_a_range_that_is_full_is_said_with_who_has_its_addresses(network: Network) -> None:
    oscar, n1 = logged_in("oscar"), Node.objects.get(name="n1")
    small = factories.a_network("small", "10.13.0.0/16", ips_per_node=4)
    oscar.post("/new/service/", {"service": "web", "resource": "ip#0", "node": "n1", "network": "small"})
    row = Allocation.objects.get()
    says(standing(row, state=FAILED, why="no IP addresses available in range set"))
    factories.an_allocation(small, "10.13.0.2", n1, service="root/svc/db")
    for path in ("/services/", f"/services/{row.pk}/"):
        assert "it is full: 10.13.0.2 (root/svc/db on n1)" in oscar.get(path).content.decode()


def test_viewers_look_and_do_nothing(network: Network) -> None:
    logged_in("oscar").post(
        "/new/service/", {"service": "web", "resource": "ip#0", "node": "n1", "network": "backend1"}
    )
    key = Allocation.objects.get().pk
    vera = logged_in("vera")
    assert "Release" not in vera.get(f"/services/{key}/").content.decode()
    for path in ("/new/service/", f"/services/{key}/edit/", f"/services/{key}/release/"):
        assert vera.get(path).status_code == 403
    assert vera.get("/services/999/").status_code == 404


@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("path", ["/services/", "/services/{}/", "/new/service/", "/services/{}/release/"])
def test_a_page_is_not_wider_than_its_window(visit: Visit, network: Network, path: str, width: int) -> None:
    form = {
        "service": "production/svc/a-service-with-a-long-name", "resource": "ip#0", "node": "n1",
        "network": "backend1", "expose": "443/tcp:8443 80/tcp:8080 53/udp:5353",
    }  # fmt: skip
    logged_in("oscar").post("/new/service/", form)
    row = Allocation.objects.get()
    said = standing(row, state=FAILED, why="no IP addresses available in range set: 10.11.0.1-10.11.3.254")
    says(said)
    page = visit(path.format(row.pk), "oscar", width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
