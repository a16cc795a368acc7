"""Whose lease can be dead: a table."""

from ipaddress import ip_address

import pytest

from workers.cni.store import Entry
from workers.leaks import proof
from workers.leaks.sight import Sight

BRIDGES = {"ours": "obr_ours", "other": "obr_other"}


@pytest.mark.parametrize(
    ("network", "blind", "dead"),
    [
        ("ours", {"obr_ours"}, False),
        ("ours", {"obr_other", "theirs0", ""}, True),
        ("theirs", {"theirs0"}, False),
        ("theirs", {""}, False),
        ("theirs", {"obr_ours"}, True),
    ],
)
def test_a_lease_is_dead_when_all_ends_that_could_be_its_were_seen(
    network: str, blind: set[str], dead: bool
) -> None:
    lease = Entry(network, ip_address("10.11.0.5"), "gone", "eth0", "/store/10.11.0.5", 0, 1)
    seen = Sight(frozenset(), "", frozenset(blind))
    assert proof.suspects([lease], seen, BRIDGES, lambda *_: False) == ([lease] if dead else [])
