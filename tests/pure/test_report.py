"""The report on the wire: what was dumped is read, anything else is refused with its field."""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.report import Finding, Interface, Lease, Pair, Probed, Report, dump, parse
from workers.wire import WireError

WHOLE = Report(
    node="n1",
    sequence=1_700_000_000_000_000_000,
    version="a" * 64,
    outcome="applied",
    changes=("add bridge obr_backend1",),
    drift=("add 10.11.4.0/22",),
    findings=(Finding("conflict", "backend1", "route 10.11.4.0/22", "is somebody else's", "Remove it"),),
    interfaces=(
        Interface(
            "eth0", "", "02:00:00:00:00:01", 1500, True, False, ("192.0.2.1/24", "fe80::1/64"), 1, 2, 3, 4
        ),
    ),
    routes=3,
    leases=(Lease("backend1", "10.11.0.2", "c1", "eth0"), Lease("six", "fd11::2", "c2", "eth0")),
    files={"10-backend1.conflist": '{"name": "backend1"}'},
    capabilities={
        "kernel": "6.1",
        "plugins": ["bridge", "host-local"],
        "netlink": {"fast": True, "batch": 1.5},
    },
    milliseconds=1.25,
    probes=(
        Probed(
            "backend1",
            4,
            peers=2,
            up=1,
            mtu=0,
            down=1,
            pending=0,
            size=1500,
            rtt=0.2,
            pairs=(
                Pair("n2", "up", 0.0, 0.2, 1500, 1_700_000_000.5),
                Pair("n3", "down", 1.0, 0.0, 0, 1_700_000_000.5, "peer-down", "does not answer", "See to it"),
            ),
        ),
    ),
)
PROBED = dataclasses.asdict(WHOLE.probes[0])
PAIR = PROBED["pairs"][0]


def body(**changed: Any) -> bytes:
    return json.dumps({"format": 1, **dataclasses.asdict(WHOLE), **changed}).encode()


def without(name: str) -> bytes:
    raw = json.loads(body())
    del raw[name]
    return json.dumps(raw).encode()


def test_it_reads_what_was_dumped() -> None:
    assert parse(dump(WHOLE)) == WHOLE


def test_it_reads_the_shortest() -> None:
    short = Report("n1", 1, "", "no-document")
    assert parse(b'{"format":1,"node":"n1","sequence":1,"version":"","outcome":"no-document"}') == short


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (b"", "body"),
        (b"\xff", "body"),
        (body()[:-1], "body"),
        (body() + body(), "body"),
        (b"[" * 100_000, "body"),
        (b'{"format":1,"milliseconds":1e999}', "body"),
        (b'{"format":1,"milliseconds":NaN}', "body"),
        (b"[]", "format"),
        (body(format=2), "format"),
        (body(outcome="done"), "outcome"),
        (body(sequence="1"), "sequence"),
        (body(sequence=True), "sequence"),
        (body(sequence=2**63), "sequence"),
        (without("sequence"), "sequence"),
        (without("node"), "node"),
        (body(node=None), "node"),
        (body(version="a" * 65), "version"),
        (body(version="\0"), "version"),
        (body(routes=-1), "routes"),
        (body(routes=2**31), "routes"),
        (body(milliseconds="fast"), "milliseconds"),
        (body(milliseconds=10**400), "milliseconds"),
        (body(changes="add"), "changes"),
        (body(changes=[1]), "changes"),
        (body(findings=[{}]), "code"),
        (body(findings=["no object"]), "findings"),
        (body(interfaces=[{**dataclasses.asdict(WHOLE.interfaces[0]), "up": 1}]), "up"),
        (body(leases=[dataclasses.asdict(Lease("b", "ten", "", ""))]), "leases"),
        (body(leases=[dataclasses.asdict(Lease("b", "fe80::1%eth0", "", ""))]), "leases"),
        (body(files={"a": 1}), "files.a"),
        (body(probes=[{**PROBED, "family": 5}]), "family"),
        (body(probes=[{**PROBED, "pending": -1}]), "pending"),
        (body(probes=[{**PROBED, "pairs": [{**PAIR, "state": "sideways"}]}]), "state"),
        (body(probes=[{**PROBED, "pairs": [{**PAIR, "at": 1e300}]}]), "at"),
        (body(capabilities={"plugins": ["nul \0"]}), "capabilities.plugins"),
        (body(capabilities={"kernel": "\ud800"}), "capabilities.kernel"),
        (body(unheard_of=1), "report"),
    ],
)  # fmt: skip
def test_it_refuses_and_names_the_field(text: bytes, named: str) -> None:
    with pytest.raises(WireError) as caught:
        parse(text)
    assert str(caught.value).startswith((f"{named}:", f"{named}="))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from([field.name for field in dataclasses.fields(Report)]), JSON)
def test_it_reads_or_refuses_whatever_stands_in_a_field(name: str, value: Any) -> None:
    try:
        report = parse(body(**{name: value}))
    except WireError:
        return
    assert parse(dump(report)) == report


@given(st.integers(0, len(dump(WHOLE)) - 1))
def test_it_never_reads_one_that_was_cut(length: int) -> None:
    with pytest.raises(WireError):
        parse(dump(WHOLE)[:length])
