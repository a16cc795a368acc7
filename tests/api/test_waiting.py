"""``?wait=SECONDS``: who asks for something is answered when it is carried out, or as things stand."""

import threading

import pytest

from netadmin import waiting
from networks.dns import changes
from networks.models import Allocation, Network, State
from nodes.models import Event
from tests.api.asking import URL, ask, asked, attached
from tests.api.test_holdings import standing, state
from tests.conftest import Client
from workers import holdings as wire


def test_who_waits_is_answered_when_it_is_attached(
    oscar: Client, n1: Client, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node works between two looks."""

    def work(seconds: float) -> None:
        row = Allocation.objects.get()
        said = () if row.state == State.RELEASING else (standing(row, "10.11.0.2"),)
        assert state(n1, *said).status_code == 204

    monkeypatch.setattr(waiting.time, "sleep", work)
    response = ask(oscar, "?wait=5")
    assert (response.status_code, response.json()["addresses"]) == (201, ["10.11.0.2"])
    url = f"{URL}{response.json()['id']}/?wait=5"
    assert oscar.patch(url, {"expose": ["80/tcp"]}).status_code == 200
    assert oscar.delete(url).status_code == 204


def test_who_waits_is_answered_when_it_could_not_be(
    oscar: Client, n1: Client, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(seconds: float) -> None:
        state(n1, standing(Allocation.objects.get(), state=wire.FAILED, why="the plugin says no"))

    monkeypatch.setattr(waiting.time, "sleep", fail)
    response = ask(oscar, "?wait=60")
    assert (response.status_code, response.json()["why"]) == (202, "the plugin says no")


def test_a_time_to_wait_that_is_none_changes_nothing(oscar: Client, network: Network) -> None:
    url = f"{URL}{ask(oscar).json()['id']}/"
    assert oscar.patch(f"{url}?wait=long", {"comment": "web"}).status_code == 400
    assert oscar.delete(f"{url}?wait=long").status_code == 400
    assert (oscar.get(url).json()["comment"], oscar.get(url).json()["state"]) == ("", "requested")


def test_who_waits_is_not_answered_by_how_it_was_before_a_change(
    oscar: Client, n1: Client, network: Network
) -> None:
    row = attached(oscar, n1)
    response = oscar.patch(f"{URL}{row.pk}/?wait=0.05", {"expose": ["80/tcp"]})
    assert response.status_code == 202


def test_who_waits_for_a_change_is_answered_when_the_node_has_carried_it_out(
    oscar: Client, n1: Client, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then it is attached as before, and stays in the DNS."""
    row = attached(oscar, n1)
    events, pending = Event.objects.count(), iter((True, True, False))

    def work(seconds: float) -> None:
        assert state(n1, standing(row, "10.11.0.2", pending=next(pending))).status_code == 204
        row.refresh_from_db()
        assert (row.state, row.healthy) == (State.ATTACHED, True)

    monkeypatch.setattr(waiting.time, "sleep", work)
    assert oscar.patch(f"{URL}{row.pk}/?wait=60", {"expose": ["80/tcp:8080"]}).status_code == 200
    assert next(pending, None) is None
    assert Event.objects.count() == events + 1


def test_who_changes_what_failed_is_not_answered_by_that_failure(
    oscar: Client, n1: Client, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = asked(oscar, expose=["80/tcp:8080"])
    state(n1, standing(row, state=wire.FAILED, why="host port 8080/tcp belongs to another"))
    said = iter((standing(row, state=wire.FAILED, pending=True), standing(row, "10.11.0.2")))
    monkeypatch.setattr(waiting.time, "sleep", lambda seconds: state(n1, next(said)))
    response = oscar.patch(f"{URL}{row.pk}/?wait=60", {"expose": ["80/tcp:8081"]})
    assert (response.status_code, response.json()["state"]) == (200, "attached")


def test_not_everybody_may_wait(oscar: Client, network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "WAITERS", threading.BoundedSemaphore(1))
    with waiting.WAITERS:
        assert ask(oscar, "?wait=60").status_code == 202
    assert ask(oscar, "?wait=61").status_code == 400


def test_who_waits_for_names_is_answered_when_every_dns_server_has_them(
    oscar: Client, n1: Client, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes.acknowledge("dns1", 1)
    looks = []

    def work(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 1:
            state(n1, standing(Allocation.objects.get(), "10.11.0.2"))
        if len(looks) == 3:
            changes.acknowledge("dns1", changes.serial())

    monkeypatch.setattr(waiting.time, "sleep", work)
    assert ask(oscar, "?wait=5", wait_dns=5).status_code == 201
    assert len(looks) == 3
