"""Trials on disk: what is put on trial, what confirms it, and what the next process finds."""

import dataclasses
import time
from pathlib import Path

import pytest

from tests.worker import documents
from workers import document
from workers.cache import Cache
from workers.changes import Change, Plan, Verb
from workers.cni.confs import Conf
from workers.cni.weave import PluginLink
from workers.config import Settings, load
from workers.confirm import Confirm
from workers.desired import Desired
from workers.document import Document
from workers.kernel.links import Up

FIRST = documents.body(documents.backend(), confirm=30)
SECOND = documents.body(documents.backend(peers=4), confirm=30)
THIRD = documents.body(documents.backend(peers=5), confirm=30)
RISKY = Plan((Change(Verb.ADD, Up("obr_backend1")),))
HARMLESS = Plan(
    (
        Change(Verb.ADD, Conf("/etc/cni/net.d/backend1.conflist", "{}")),
        Change(Verb.ADD, PluginLink("/usr/lib/cni/weave-net", "/opt/cni/bin/weave-net")),
    )
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(
        {
            "NETADMIN_NODE": "n1",
            "NETADMIN_URL": "http://127.0.0.1:1",
            "NETADMIN_TOKEN": "secret",
            "NETADMIN_STATE_DIR": str(tmp_path / "state"),
        }
    )


class Worker:
    """What one process of the worker has of it; another one on the same directory is the next process."""

    def __init__(self, settings: Settings) -> None:
        self.store = Cache(settings.state_dir, "n1")
        self.confirm = Confirm(self.store, settings)
        self.confirm.adopt()
        self.restored = self.confirm.restored()

    def fetches(self, body: bytes) -> Document:
        found = document.parse(body)
        self.store.write(body, found.version)
        return found

    def applies(self, body: bytes, plan: Plan = RISKY) -> Document:
        """Fetched and carried out."""
        found = self.fetches(body)
        self.confirm.before(found, plan)
        self.confirm.after(found)
        return found

    def is_answered(self) -> None:
        self.confirm.answered(time.monotonic())


@pytest.fixture
def worker(settings: Settings) -> Worker:
    """Has confirmed its first document."""
    worker = Worker(settings)
    worker.applies(FIRST)
    worker.is_answered()
    assert worker.confirm.confirmed == documents.version(FIRST)
    return worker


def over(confirm: Confirm) -> None:
    """The time of the trial is up."""
    confirm._until = time.monotonic()


def test_what_could_cut_the_node_off_is_on_trial_on_disk_before_it_is_carried_out(
    worker: Worker, settings: Settings
) -> None:
    second = worker.fetches(SECOND)
    worker.confirm.before(second, RISKY)
    assert Worker(settings).confirm.trial == second.version
    assert worker.confirm.seconds == 0, "nothing can confirm it before it is carried out"


def test_files_for_a_container_runtime_need_no_trial(worker: Worker) -> None:
    second = worker.applies(SECOND, HARMLESS)
    assert worker.confirm.trial == ""
    assert worker.confirm.confirmed == second.version


def test_a_plan_that_is_empty_needs_none(worker: Worker) -> None:
    second = worker.fetches(SECOND)
    worker.confirm.after(second)
    assert worker.confirm.confirmed == second.version


def test_nothing_is_on_trial_when_the_cluster_says_never(worker: Worker) -> None:
    never = worker.applies(documents.body(documents.backend(peers=4), confirm=0))
    assert worker.confirm.trial == ""
    assert worker.confirm.confirmed == never.version


def test_the_repair_of_a_confirmed_version_is_not_on_trial(worker: Worker) -> None:
    worker.confirm.before(document.parse(FIRST), RISKY)
    assert worker.confirm.trial == ""


def test_only_an_exchange_that_began_after_the_apply_confirms(worker: Worker) -> None:
    second = worker.fetches(SECOND)
    early = time.monotonic()
    worker.confirm.before(second, RISKY)
    worker.confirm.answered(early)
    worker.confirm.answered(time.monotonic())
    worker.confirm.after(second)
    worker.confirm.answered(early)
    assert worker.confirm.trial == second.version
    worker.is_answered()
    assert (worker.confirm.trial, worker.confirm.confirmed) == ("", second.version)
    assert worker.store.confirmed.read_bytes() == SECOND


def test_a_further_round_of_changes_has_to_be_answered_anew(worker: Worker) -> None:
    second = worker.applies(SECOND)
    between = time.monotonic()
    worker.confirm.before(second, RISKY)
    worker.confirm.after(second)
    worker.confirm.answered(between)
    assert worker.confirm.trial == second.version


def test_an_apply_that_ends_in_an_error_can_be_confirmed_all_the_same(worker: Worker) -> None:
    second = worker.fetches(SECOND)
    worker.confirm.before(second, RISKY)
    worker.confirm.interrupted()
    worker.is_answered()
    assert worker.confirm.confirmed == second.version


def test_when_its_time_is_up_the_confirmed_document_is_in_force(worker: Worker) -> None:
    second = worker.applies(SECOND)
    assert not worker.confirm.give_up()
    over(worker.confirm)
    assert worker.confirm.give_up()
    desired = worker.confirm.in_force(Desired(second))
    assert desired.document == document.parse(FIRST)
    assert desired.refused == second.version
    (finding,) = desired.findings
    assert (finding.code, finding.network) == ("rolled-back", "backend1")
    assert "http://127.0.0.1:1 could not be reached for 30 s" in finding.why


def test_an_answer_that_comes_too_late_confirms_nothing(worker: Worker) -> None:
    second = worker.applies(SECOND)
    over(worker.confirm)
    worker.confirm.give_up()
    worker.is_answered()
    assert worker.confirm.in_force(Desired(second)).refused == second.version


def test_the_first_version_of_all_goes_back_to_no_network(settings: Settings) -> None:
    worker = Worker(settings)
    first = worker.applies(FIRST)
    over(worker.confirm)
    worker.confirm.give_up()
    desired = worker.confirm.in_force(Desired(first))
    assert desired.document is not None
    assert (desired.version, desired.document.networks, desired.refused) == ("", (), first.version)
    assert not desired.removed
    worker.confirm.before(desired.document, RISKY)
    assert worker.confirm.trial == ""


def test_a_newer_version_is_tried_and_the_refused_one_is_not(worker: Worker) -> None:
    second = worker.applies(SECOND)
    over(worker.confirm)
    worker.confirm.give_up()
    third = worker.applies(THIRD)
    assert worker.confirm.in_force(Desired(third)) == Desired(third)
    assert worker.confirm.in_force(Desired(second)).refused == second.version
    worker.is_answered()
    assert worker.confirm.confirmed == third.version
    assert worker.confirm.in_force(Desired(second)) == Desired(second)


def test_a_version_that_comes_during_a_trial_has_to_prove_both(worker: Worker) -> None:
    worker.applies(SECOND)
    third = worker.applies(THIRD, Plan())
    assert worker.confirm.trial == third.version
    over(worker.confirm)
    worker.confirm.give_up()
    assert worker.confirm.in_force(Desired(third)).document == document.parse(FIRST)


def test_the_confirmed_version_declared_again_during_a_trial_ends_it(worker: Worker) -> None:
    worker.applies(SECOND)
    worker.applies(FIRST)
    assert worker.confirm.trial == ""


def test_what_was_fetched_meanwhile_is_not_confirmed_in_its_place(worker: Worker) -> None:
    worker.applies(SECOND)
    worker.fetches(THIRD)
    worker.is_answered()
    assert worker.store.confirmed.read_bytes() == FIRST
    assert worker.confirm.confirmed == documents.version(FIRST)


def test_a_node_that_was_removed_is_not_on_trial(worker: Worker) -> None:
    worker.applies(SECOND)
    removed = Desired(document.parse(SECOND)).without_networks("n1")
    assert removed.document is not None
    worker.confirm.before(removed.document, RISKY)
    worker.confirm.after(removed.document)
    assert worker.confirm.trial == ""
    worker.store.drop()
    worker.confirm.forget()
    assert list(worker.store.path.parent.iterdir()) == []


def test_networks_beyond_a_handful_are_told_once(worker: Worker) -> None:
    many = [documents.backend(f"b{number}") for number in range(20)]
    second = worker.applies(documents.body(*many, confirm=30))
    over(worker.confirm)
    worker.confirm.give_up()
    (finding,) = worker.confirm.in_force(Desired(second)).findings
    assert finding.network == ""


# -- the next process


def test_a_restart_goes_on_with_the_trial(worker: Worker, settings: Settings) -> None:
    second = worker.applies(SECOND)
    left = worker.confirm.until
    again = Worker(settings)
    assert again.restored == second
    assert again.confirm.until == pytest.approx(left, abs=1)
    again.is_answered()
    assert again.confirm.trial == second.version, "an answer before the apply is no proof"
    again.confirm.after(second)
    assert again.confirm.until == pytest.approx(left, abs=1), "and it gets no further time"
    again.is_answered()
    assert again.confirm.confirmed == second.version


def test_one_that_was_off_for_too_long_goes_back_at_once(worker: Worker, settings: Settings) -> None:
    second = worker.applies(SECOND)
    worker.confirm._set(dataclasses.replace(worker.confirm._standing, deadline=time.time() - 1))
    again = Worker(settings)
    assert again.confirm.give_up()
    assert again.confirm.in_force(Desired(again.restored)).document == document.parse(FIRST)
    assert again.confirm.in_force(Desired(second)).refused == second.version


def test_what_is_refused_stays_so(worker: Worker, settings: Settings) -> None:
    second = worker.applies(SECOND)
    over(worker.confirm)
    worker.confirm.give_up()
    again = Worker(settings)
    assert again.restored == second
    assert again.confirm.in_force(Desired(second)).document == document.parse(FIRST)


def test_a_version_that_was_fetched_and_never_tried_waits_for_the_control_plane(
    worker: Worker, settings: Settings
) -> None:
    worker.fetches(SECOND)
    assert Worker(settings).restored == document.parse(FIRST)


def test_a_first_version_that_was_never_tried_waits_too(settings: Settings) -> None:
    Worker(settings).fetches(FIRST)
    assert Worker(settings).restored is None


def test_what_an_earlier_release_had_in_force_is_confirmed(settings: Settings) -> None:
    first = document.parse(FIRST)
    Cache(settings.state_dir, "n1").write(FIRST, first.version)
    worker = Worker(settings)
    assert worker.restored == first
    assert worker.confirm.confirmed == first.version
    assert worker.store.confirmed.read_bytes() == FIRST


def test_it_may_end_between_the_two_writes_of_a_confirmation(worker: Worker, settings: Settings) -> None:
    second = worker.applies(SECOND)
    worker.store.confirm(second.version)
    again = Worker(settings)
    assert (again.confirm.trial, again.confirm.confirmed) == ("", second.version)


def test_of_a_damaged_record_the_confirmed_document_is_left(
    worker: Worker, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    worker.applies(SECOND)
    (settings.state_dir / "confirm.json").write_bytes(b"{")
    again = Worker(settings)
    assert again.restored == document.parse(FIRST)
    assert again.confirm.confirmed == documents.version(FIRST)
    assert "confirm.json: body: is not whole JSON" in caplog.text


def test_without_room_on_the_disk_a_trial_still_works(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    second = worker.fetches(SECOND)

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("workers.files.os.fsync", full)
    worker.confirm.before(second, RISKY)
    worker.confirm.after(second)
    over(worker.confirm)
    assert worker.confirm.give_up()
    assert worker.confirm.in_force(Desired(second)).document == document.parse(FIRST)
    assert "confirm.json: cannot be written (No space left on device); make room" in caplog.text
