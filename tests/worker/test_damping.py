"""Somebody else's program undoes a repair again and again."""

import pytest

from workers.changes import Change, Verb
from workers.cni.confs import Conf
from workers.damping import FIRST, LIMIT, LONGEST, PEACE, Damping

HERE, THERE = (Change(Verb.ADD, Conf(path, "x", "", "backend1")) for path in ("/here", "/there"))


def test_a_few_repairs_of_one_object_are_made_at_once() -> None:
    damping = Damping()
    for now in range(LIMIT):
        damping.note([HERE], now)
    assert damping.pause == 0
    assert damping.findings == ()


def test_more_make_it_wait_longer_each_time_and_say_so_once(caplog: pytest.LogCaptureFixture) -> None:
    damping = Damping()
    pauses = []
    for now in range(LIMIT + 10):
        damping.note([HERE], now)
        pauses.append(damping.pause)
    assert pauses[LIMIT : LIMIT + 3] == [FIRST, 2 * FIRST, 4 * FIRST]
    assert pauses[-1] == LONGEST
    (finding,) = damping.findings
    assert (finding.code, finding.network) == ("damped", "backend1")
    assert "/here" in finding.subject
    assert len(caplog.records) == 1


def test_many_objects_once_are_no_fight() -> None:
    damping = Damping()
    damping.note([Change(Verb.ADD, Conf(f"/{n}", "x", "", "")) for n in range(5000)], 0)
    damping.note([THERE], 1)
    assert damping.pause == 0


def test_it_is_over_after_some_peace() -> None:
    damping = Damping()
    for _ in range(LIMIT + 1):
        damping.note([HERE], 0)
    damping.calm(PEACE - 0.1)
    assert damping.pause == FIRST
    damping.calm(PEACE)
    assert (damping.pause, damping.findings) == (0, ())
    damping.note([HERE], PEACE)
    assert damping.pause == 0
