"""What a service may expose: every case of the reference."""

import json
from pathlib import Path
from typing import Any

import pytest

from netadmin.problems import Problem
from networks import expose
from workers.holdings import Port

CASES = json.loads((Path(__file__).parents[1] / "vectors" / "expose.json").read_text())["cases"]
GOOD = [case for case in CASES if "error" not in case["expect"]]
BAD = [case["text"] for case in CASES if "error" in case["expect"]]


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case["text"])
def test_it_reads_what_the_reference_documents(case: dict[str, Any]) -> None:
    expect = case["expect"]
    assert expose.parse(case["text"]) == Port(expect["port"], expect["protocol"], expect["host_port"] or 0)


@pytest.mark.parametrize("text", BAD)
def test_it_refuses_the_rest_with_the_entry_and_a_remedy(text: str) -> None:
    with pytest.raises(Problem) as refused:
        expose.parse(text)
    fault = refused.value.faults[0]
    assert (fault.field, fault.value) == ("expose", text)
    assert "443/tcp:8443" in fault.remedy


def test_all_entries_that_are_wrong_are_named_at_once() -> None:
    with pytest.raises(Problem) as refused:
        expose.parse_all(["80/tcp", "80", "0/udp"])
    assert [fault.value for fault in refused.value.faults] == ["80", "0/udp"]


@pytest.mark.parametrize(("given", "written"), [("80-tcp", "80/tcp"), ("80:8001/tcp", "80/tcp:8001")])
def test_there_is_one_way_of_writing(given: str, written: str) -> None:
    assert expose.text(expose.parse(given)) == written
