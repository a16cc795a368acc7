"""The tables of ``make bench``: what is not as it must be is named, and is an error."""

import sys

import pytest

from bench import table
from bench.__main__ import run
from bench.table import Bound

RATIO, RATE = Bound("ip -batch", 1.5), Bound("NetBox", 10, unit="/s", at_least=True)
SECONDS = Bound("BIRD", 2, absolute=True, unit="s")


@pytest.mark.parametrize(
    ("bound", "met", "not_met", "why"),
    [
        (RATIO, (3, 2), (3.1, 2), "1.55 of ip -batch, must be at most 1.5"),
        (RATE, (20, 2), (19, 2), "9.50 of NetBox, must be at least 10"),
        (SECONDS, (2, 9), (2.01, 9), "2.01 s, must be at most 2 s"),
    ],
)
def test_a_row_that_is_not_what_it_must_be_is_named_and_is_status_1(
    bound: Bound,
    met: table.Pair,
    not_met: table.Pair,
    why: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(table, "missed", [])
    table.row(1000, "one", [met], bound)
    table.settle()
    assert "NOT MET" not in capsys.readouterr().out
    table.row(1000, "two", [not_met], bound)
    table.row(1000, "three", [met], bound)
    with pytest.raises(SystemExit) as ended:
        table.settle()
    assert ended.value.code == 1
    assert capsys.readouterr().out.splitlines()[-1] == f"NOT MET: 1000 two: {why}"


def part(text: str, status: int) -> tuple[str, ...]:
    return sys.executable, "-S", "-c", f"import sys; print({text!r}); sys.exit({status})"


def test_all_parts_run_and_what_they_missed_is_said_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    parts = {
        "first": part("table 1\nNOT MET: 1000 one: slow", 1),
        "second": part("table 2", 3),
        "third": part("table 3", 0),
    }
    assert run(parts) == 1
    assert capsys.readouterr().out.splitlines() == [
        "table 1",
        "table 2",
        "table 3",
        "NOT MET: 1000 one: slow",
        "NOT MET: second ended with status 3",
    ]
    assert run({"third": parts["third"]}) == 0
