"""The document's bytes are believed as a whole or not at all, and read again only where they are new."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.worker import documents
from workers import document
from workers.document import DocumentError, parse

TWO = documents.body(documents.backend(), {**documents.backend("other", 5), "subnets": ["10.12.0.0/24"]})
NAMES = st.text(min_size=1, max_size=20)


def test_an_unchanged_peer_is_the_same_object() -> None:
    before, after = (parse(documents.body(documents.backend(peers=count))).networks[0] for count in (3, 4))
    assert all(one is other for one, other in zip(before.peers, after.peers, strict=False))
    assert len(after.peers) == 4


@given(lists=st.lists(st.lists(st.integers(min_value=1, max_value=9), unique=True), min_size=2, max_size=5))
def test_whatever_came_before_a_list_is_read_as_it_stands(lists: list[list[int]]) -> None:
    for numbers in lists:
        peers = [documents.peer(number) for number in numbers]
        (network,) = parse(documents.body({**documents.backend(), "peers": peers})).networks
        assert [peer.node for peer in network.peers] == [f"n{number}" for number in numbers]


@given(nodes=st.lists(NAMES.filter(lambda name: "},{" not in name), max_size=4))
def test_whatever_stands_in_a_string_is_read_as_it_was_written(nodes: list[str]) -> None:
    peers = [{**documents.peer(2), "node": name} for name in nodes]
    (network,) = parse(documents.body({**documents.backend(), "peers": peers})).networks
    assert [peer.node for peer in network.peers] == nodes


def test_a_name_that_looks_like_the_end_of_a_peer_is_refused() -> None:
    peers = [{**documents.peer(2), "node": "a},{b"}]
    with pytest.raises(DocumentError, match="not a desired-state document"):
        parse(documents.body({**documents.backend(), "peers": peers}))


@given(data=st.data())
def test_no_byte_can_be_changed(data: st.DataObject) -> None:
    place = data.draw(st.integers(min_value=0, max_value=len(TWO) - 1))
    byte = data.draw(st.integers(min_value=32, max_value=126).filter(lambda byte: byte != TWO[place]))
    changed = TWO[:place] + bytes([byte]) + TWO[place + 1 :]
    try:
        found = parse(changed)
    except DocumentError:
        return
    # Only what is around the two covered parts may differ without a trace, and it means nothing.
    assert found == parse(TWO)


@pytest.mark.parametrize("more", [b"}", b" ", b',"x":[]}}'])
def test_nothing_may_follow(more: bytes) -> None:
    with pytest.raises(DocumentError):
        parse(TWO + more)


def test_it_is_what_json_says() -> None:
    raw: dict[str, Any] = json.loads(TWO)
    found = parse(TWO)
    for network, read in zip(raw["head"]["networks"], found.networks, strict=True):
        assert [peer._asdict() for peer in read.peers] == [
            {key: tuple(value) if isinstance(value, list) else value for key, value in peer.items()}
            for peer in raw["peers"][network["peers"]]
        ]
    assert found.version == document.digest(document.canonical(raw["head"]))
