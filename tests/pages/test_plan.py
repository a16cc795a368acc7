"""A plan on the pages: asked for beside the preview, live, and what it takes to go on in spite of it."""

from dataclasses import asdict

import pytest
from playwright.sync_api import Page, expect

from networks.models import Network
from networks.pages import plan
from nodes import questions
from nodes.models import Operation, Question
from tests import factories
from tests.pages.conftest import Visit, logged_in
from workers import question as wire
from workers.planned import Count, Planned, Risk, Step
from workers.question import Answer

CUT = Risk(
    "cut",
    "control-path",
    "backend1",
    "add address 192.0.2.1/24 dev obr_backend1",
    "cuts the way to the control plane (192.0.2.254)",
    "Declare the network otherwise",
)
ADDS = Planned(
    "v",
    (Step("add", "bridge", "bridge obr_backend1 mtu 1500", "backend1"),),
    (Count("add", "bridge", "backend1", 1),),
)
CUTS = Planned("v", ADDS.steps, ADDS.counts, risks=(CUT,))
DRAFT = {
    "name": "backend1", "type": "routed_bridge", "network": "10.11.0.0/16", "every_node": "on",
    "tunnel": "auto", "tunnel_mode": "ipip", "tables": "main",
}  # fmt: skip


def heard_of() -> None:
    """n1 to n3, whose workers are there."""
    for node in factories.the_nodes()[:3]:
        factories.reported(node)


def answered(name: str, plan: Planned) -> None:
    question = Question.objects.filter(node__name=name).latest("pk")
    said = wire.parse_answer(wire.dump(Answer("answered", asdict(plan))))
    questions.answer(question.node, question.pk, said)


def planned(visit: Visit, *plans: Planned) -> Page:
    """The form of a new network, with the plan that n1 and on answered."""
    page = visit("/new/network/", "oscar")
    page.get_by_label("Name").fill("backend1")
    page.get_by_role("textbox", name="Range").fill("10.11.0.0/16")
    page.get_by_role("button", name="Plan on the nodes").click()
    expect(page.get_by_text("3 still may")).to_be_visible()
    for number, said in enumerate(plans, 1):
        answered(f"n{number}", said)
    return page


def test_it_shows_answers_as_they_come_and_declares_nothing(visit: Visit) -> None:
    heard_of()
    page = planned(visit, ADDS, ADDS)
    panel = page.get_by_label("Preview", exact=True)
    expect(panel).to_contain_text("2 of 4 nodes answered; 1 still may")
    expect(panel.get_by_text("bridge obr_backend1 mtu 1500")).to_be_visible()
    answered("n3", Planned("v"))
    expect(panel).to_contain_text("2 of 4 nodes would change: 2 to add, 0 to change, 0 to remove")
    expect(panel).to_contain_text("n4 is not heard of, and was not waited for")
    expect(panel).to_contain_text("n3 nothing to do")
    assert not Network.objects.filter(name="backend1").exists()


def test_one_that_cuts_nodes_off_is_declared_only_after_a_tick(visit: Visit) -> None:
    heard_of()
    page = planned(visit, CUTS, CUTS, ADDS)
    alarm = page.get_by_role("alert").filter(has_text="off from the control plane")
    expect(alarm).to_contain_text("This cuts 2 nodes off from the control plane: n1, n2.")
    expect(page.get_by_text("cuts the way to the control plane (192.0.2.254)")).to_be_visible()
    page.get_by_role("button", name="Declare").click()
    expect(page.get_by_role("alert").first).to_contain_text("the plan cuts n1, n2 off from the control plane")
    assert not Network.objects.filter(name="backend1").exists()
    page.get_by_label("Do it all the same").check()
    page.get_by_role("button", name="Declare").click()
    expect(page.get_by_text("backend1 is declared")).to_be_visible()


def test_a_withdrawal_is_planned_on_its_page(visit: Visit) -> None:
    heard_of()
    factories.a_network()
    page = visit("/networks/backend1/withdraw/", "oscar")
    page.get_by_role("button", name="Plan on the nodes").click()
    expect(page.get_by_text("still may")).to_be_visible()
    for name in ("n1", "n2", "n3"):
        answered(name, CUTS)
    expect(page.get_by_text("This cuts 3 nodes off")).to_be_visible()
    page.get_by_role("button", name="Withdraw backend1").click()
    expect(page.get_by_role("alert").first).to_contain_text("n1, n2, n3 off from the control plane")
    page.get_by_label("Do it all the same").check()
    page.get_by_role("button", name="Withdraw backend1").click()
    expect(page.get_by_text("backend1 is withdrawn")).to_be_visible()


def test_what_cannot_be_declared_is_not_asked(visit: Visit) -> None:
    heard_of()
    page = visit("/new/network/", "oscar")
    page.get_by_label("Name").fill("backend1")
    page.get_by_role("textbox", name="Range").fill("10.22.4.0/24")
    page.get_by_role("button", name="Plan on the nodes").click()
    expect(page.get_by_label("Preview", exact=True)).to_contain_text(
        "overlaps 10.22.0.0/16 of network default"
    )
    assert not Operation.objects.exists()


def test_a_plan_has_a_page_that_everybody_may_read(visit: Visit) -> None:
    heard_of()
    page = planned(visit, CUTS, ADDS, ADDS)
    page.get_by_role("link", name="Link to this plan").click()
    expect(page.get_by_role("heading", name="Plan of backend1")).to_be_visible()
    page = visit(page.url, "vera", width=400, scheme="dark")
    expect(page.get_by_text("This cuts 1 node off")).to_be_visible()
    expect(page.get_by_label("Do it all the same")).to_have_count(0)


def test_it_works_without_a_script(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "WITHOUT_SCRIPT", 0)
    heard_of()
    oscar = logged_in("oscar")
    page = oscar.post("/new/network/", {**DRAFT, "plan": "1"}).content.decode()
    assert page.count("<!doctype html>") == 1
    assert "0 of 4 nodes answered" in page
    for name in ("n1", "n2", "n3"):
        answered(name, CUTS)
    kept = {**DRAFT, "planned": str(Operation.objects.get().pk)}
    page = oscar.post("/new/network/", {**kept, "look": "1"}).content.decode()
    assert "This cuts 3 nodes off" in page
    assert 'value="10.11.0.0/16"' in page
    assert "off from the control plane" in oscar.post("/new/network/", kept).content.decode()
    assert not Network.objects.filter(name="backend1").exists()
    assert oscar.post("/new/network/", {**kept, "accept_cut": "on"}).status_code == 302
