"""Every page, wide and narrow, light and dark: nothing sticks out, everything has a name."""

import pytest
from django.contrib.auth.models import User

from networks import reservations
from networks.wishes import Wish
from tests import factories
from tests.pages.conftest import Visit
from workers.report import Finding, Interface

PAGES = (
    "/login/",
    "/",
    "/networks/",
    "/networks/backend1/",
    "/networks/backend1/?from=n1&to=n2",
    "/networks/backend1/edit/",
    "/networks/backend1/withdraw/",
    "/networks/backend1/addresses/",
    "/networks/backend1/reserve/",
    "/networks/dual/reserve/",
    "/networks/lo/reserve/",
    "/networks/backend1/release/?id={reserved}",
    "/new/network/",
    "/nodes/",
    "/nodes/n1/",
    "/nodes/n1/edit/",
    "/nodes/n1/token/",
    "/nodes/n1/remove/",
    "/new/node/",
    "/events/",
    "/names/",
    "/plans/1/",
    "/explain/",
)
BRIDGE = Interface(
    "obr_backend1",
    "bridge",
    "0a:58:0a:0b:00:01",
    1500,
    True,
    True,
    ("10.11.0.1/22", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:1/64"),
    10**12,
    10**12,
    10**9,
    10**9,
)
MISTAKES = """() => {
    const wrong = [];
    const names = (element) => element.labels?.length || element.closest("label") || element.ariaLabel;
    for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea"))
        if (!names(field)) wrong.push("no label: " + field.outerHTML);
    for (const cell of document.querySelectorAll("th"))
        if (!cell.scope) wrong.push("no scope: " + cell.outerHTML);
    for (const button of document.querySelectorAll("button, a"))
        if (!button.textContent.trim()) wrong.push("no name: " + button.outerHTML);
    const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
    for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) wrong.push("twice: " + id);
    if (document.querySelectorAll("h1").length !== 1) wrong.push("not one h1");
    if (document.querySelector("[style], style, script:not([src])")) wrong.push("inline style or script");
    return wrong;
}"""


@pytest.mark.parametrize(("width", "scheme"), [(400, "light"), (400, "dark"), (1400, "light")])
def test_every_page_fits_and_is_named(visit: Visit, width: int, scheme: str) -> None:
    nodes = factories.the_nodes()
    network = factories.a_network(comment="unbreakable" * 20, mtu=1400)
    factories.a_network("dual", "10.40.0.0/16 fd00:40::/48", mask_per_node="28 64")
    factories.an_allocation(network, "10.11.0.7", nodes[0])
    finding = Finding("conflict", "backend1", "route 10.11.4.0/22", "is somebody else's " * 5, "Remove it")
    factories.reported(
        nodes[0],
        findings=(finding,),
        interfaces=(BRIDGE,),
        changes=("add " + "long" * 60,),
        leases=tuple(factories.a_lease("dual", f"10.40.0.{number}", f"c{number}") for number in range(2, 15)),
        probes=(
            factories.probed(
                factories.a_pair("n2", "down"), factories.a_pair("n3"), factories.a_pair("n4", "mtu")
            ),
        ),
        files={"backend1.conflist": '{"name": "%s"}' % ("x" * 200)},
    )
    [reserved] = reservations.reserve("backend1", [Wish(comment="unbreakable" * 20)], by="ada")
    factories.a_plan(risk="cuts the way to the control plane " * 9)
    page = visit("/login/", width=width, scheme=scheme)
    wrong = []
    for path in PAGES:
        if path == "/":
            page = visit(path, "ada", width=width, scheme=scheme)
        page.goto(path.format(reserved=reserved.pk))
        assert page.locator("h1").is_visible(), path
        if page.evaluate("document.documentElement.scrollWidth") > width:
            wrong.append(f"{path} is wider than {width} pixels")
        wrong += [f"{path} {mistake}" for mistake in page.evaluate(MISTAKES)]
    assert wrong == []


def test_the_admin_works_under_the_content_security_policy(visit: Visit) -> None:
    network = factories.a_network()
    page = visit("/", "ada")
    User.objects.filter(username="ada").update(is_staff=True)
    for path in ("/admin/", "/admin/networks/network/", f"/admin/networks/network/{network.pk}/change/"):
        page.goto(path)
        assert page.locator("h1").first.is_visible(), path


def test_the_keyboard_reaches_the_content_first(visit: Visit) -> None:
    page = visit("/nodes/", "vera")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.wait_for_url("**/nodes/#main")
    assert page.evaluate("document.activeElement.id") == "main"
