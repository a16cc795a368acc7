"""Changes that a DNS server was told of, in any order, with or without gaps."""

import msgspec
import pytest

from networks.dns.changes import Change, heard
from networks.dns.following import Heard

FIRST, SECOND, THIRD = Change(10, 17, (1, 2)), Change(17, 18, (2, 3)), Change(18, 30, ())
WHOLE = Change(17, 18, None)


@pytest.mark.parametrize(
    ("told", "serial", "rows"),
    [
        pytest.param([FIRST], 17, {1, 2}, id="one"),
        pytest.param([FIRST, SECOND, THIRD], 30, {1, 2, 3}, id="all in order"),
        pytest.param([THIRD, SECOND, FIRST], 30, {1, 2, 3}, id="all in another order"),
        pytest.param([FIRST, THIRD], 17, {1, 2}, id="as far as there is no gap"),
        pytest.param([FIRST, FIRST], 17, {1, 2}, id="one told twice"),
        pytest.param([FIRST, WHOLE, THIRD], 30, None, id="one of everything"),
    ],
)
def test_what_came_since_is_one_change(told: list[Change], serial: int, rows: set[int] | None) -> None:
    known = Heard()
    known.add(told)
    change = known.since(10)
    assert change is not None
    assert (change.before, change.serial) == (10, serial)
    assert (change.rows if change.rows is None else set(change.rows)) == rows
    assert known.since(10) is None


@pytest.mark.parametrize("told", [[], [SECOND], [SECOND, THIRD]])
def test_behind_a_gap_nothing_is_known(told: list[Change]) -> None:
    known = Heard()
    known.add(told)
    assert known.since(10) is None


def test_what_is_served_is_forgotten_and_what_follows_is_not() -> None:
    known = Heard()
    known.add([FIRST, SECOND, THIRD])
    known.forget(18)
    assert known.since(10) is None
    assert known.since(18) == THIRD


@pytest.mark.parametrize("message", [b"changed", b"", b"\xff", b"7", b'[{"before":1}]', b'[{"before":"x"}]'])
def test_a_message_that_is_not_ours_says_nothing(message: bytes) -> None:
    assert heard(message) == []
    assert heard(msgspec.json.encode([FIRST, WHOLE])) == [FIRST, WHOLE]
