"""Which version may stay: the states of a trial, by the clock of the test."""

import math

import pytest

from workers import standing, wire
from workers.standing import Standing

V1 = Standing(confirmed="v1")
ON_TRIAL = V1.begun("v2", 30, 1000)
APPLIED = ON_TRIAL.ended(1002)
REFUSED = APPLIED.rolled_back()


@pytest.mark.parametrize(
    ("held", "trial", "deadline"),
    [
        pytest.param(ON_TRIAL, "v2", 1030, id="its time runs from the start, should the apply never end"),
        pytest.param(APPLIED, "v2", 1032, id="and from the end of the apply once there is one"),
        pytest.param(ON_TRIAL.begun("v2", 30, 1020), "v2", 1030, id="begun again it gets no further time"),
        pytest.param(APPLIED.begun("v2", 30, 1020).ended(1021), "v2", 1032, id="nor applied again"),
        pytest.param(APPLIED.begun("v3", 10, 1020), "v3", 1030, id="a newer version has a trial of its own"),
        pytest.param(REFUSED.begun("v3", 10, 1050), "v3", 1060, id="also after one that was refused"),
        pytest.param(V1.ended(1002), "", 0, id="the end of an apply without a trial is nothing"),
        pytest.param(APPLIED.proved("v2"), "", 0, id="an answer ends it"),
        pytest.param(APPLIED.settled(), "", 0, id="the confirmed version in force again ends it"),
        pytest.param(REFUSED, "", 0, id="a roll-back ends it"),
    ],
)
def test_the_trial_and_its_time(held: Standing, trial: str, deadline: float) -> None:
    assert (held.trial, held.deadline) == (trial, deadline)


@pytest.mark.parametrize(
    ("held", "confirmed", "refused"),
    [
        pytest.param(APPLIED, "v1", "", id="while it lasts, the one before is the one to go back to"),
        pytest.param(APPLIED.proved("v2"), "v2", "", id="an answer confirms it"),
        pytest.param(REFUSED, "v1", "v2", id="without one it is refused"),
        pytest.param(REFUSED.begun("v3", 30, 0), "v1", "v2", id="and stays so while another is on trial"),
        pytest.param(REFUSED.begun("v3", 30, 0).rolled_back(), "v1", "v3", id="the last one is remembered"),
        pytest.param(REFUSED.begun("v3", 30, 0).proved("v3"), "v3", "", id="until another is confirmed"),
        pytest.param(REFUSED.settled(), "v1", "v2", id="not merely because the confirmed one is declared"),
        pytest.param(Standing().begun("v1", 30, 0).rolled_back(), "", "v1", id="the very first one too"),
    ],
)
def test_what_is_confirmed_and_what_is_refused(held: Standing, confirmed: str, refused: str) -> None:
    assert (held.confirmed, held.refused) == (confirmed, refused)


@pytest.mark.parametrize(
    ("held", "now", "remaining"),
    [
        pytest.param(APPLIED, 1031, 1, id="a moment before"),
        pytest.param(APPLIED, 1032, 0, id="at the deadline"),
        pytest.param(APPLIED, 1132, -100, id="long after: the node was off"),
        pytest.param(APPLIED, 1, 30, id="a clock that was set back makes it no longer than a whole one"),
        pytest.param(V1, 9999, math.inf, id="without a trial"),
        pytest.param(REFUSED, 9999, math.inf, id="after a roll-back"),
    ],
)
def test_what_is_left_of_it(held: Standing, now: float, remaining: float) -> None:
    assert held.remaining(now) == remaining


def test_a_version_is_known_once_it_was_carried_out() -> None:
    held = REFUSED.begun("v3", 30, 0)
    assert [version for version in ("v1", "v2", "v3", "v4") if held.knows(version)] == ["v1", "v2", "v3"]


@pytest.mark.parametrize("held", [Standing(), V1, ON_TRIAL, APPLIED, REFUSED])
def test_it_survives_the_disk(held: Standing) -> None:
    assert standing.parse(held.dump()) == held


@pytest.mark.parametrize("length", range(0, len(APPLIED.dump()), 7))
def test_half_a_record_is_refused(length: int) -> None:
    with pytest.raises(wire.WireError):
        standing.parse(APPLIED.dump()[:length])
