"""CIDR and slot arithmetic."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from netaddr import IPNetwork

from networks import addressing
from networks.addressing import Grid


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("10.11.0.1/16", "has host bits set"),
        ("10.11.0.0", "has no prefix length"),
        ("10.11/16", "is not a CIDR"),
        ("10.11.0.0/33", "is not a CIDR"),
        ("10.11.0.0/x", "has no prefix length that is a number"),
        ("ten/8", "is not a CIDR"),
        ("fd00::1/64", "has host bits set"),
    ],
)
def test_it_says_what_is_wrong_with_a_cidr(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        addressing.parse(text)


@given(st.integers(1, 2**20))
def test_a_segment_holds_what_was_asked_and_less_than_twice_that(count: int) -> None:
    size = 2 ** (32 - addressing.prefix_for(count, 32))
    assert count <= size < 2 * count


@given(st.integers(1, 5000), st.integers(16, 30))
def test_the_prefix_that_fits_holds_the_nodes_and_the_next_longer_does_not(count: int, prefix: int) -> None:
    fits = addressing.longest_prefix_that_fits(count, prefix)
    assert 2 ** (prefix - fits) >= count
    assert fits == prefix or 2 ** (prefix - fits - 1) < count


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    """Networks of one or both families with up to 256 slots."""
    length, depth = draw(st.integers(8, 20)), draw(st.integers(0, 8))
    v4 = IPNetwork((draw(st.integers(0, 2**length - 1)) << (32 - length), length), version=4)
    v6 = IPNetwork("fd00:11::/48")
    dual = draw(st.booleans())
    return Grid((v4, v6) if dual else (v4,), (length + depth, 48 + depth) if dual else (length + depth,))


@given(grids())
def test_slots_fill_the_network_and_never_overlap(grid: Grid) -> None:
    subnets = [grid.subnet(slot) for slot in range(grid.size)]
    for cidr, family in zip(grid.cidrs, zip(*subnets, strict=True), strict=True):
        assert all(part in cidr for part in family)
        assert sum(part.size for part in family) == cidr.size
        assert all(a.last < b.first for a, b in pairwise(family))


@given(grids(), st.data())
def test_a_free_slot_touches_nothing_that_is_taken(grid: Grid, data: st.DataObject) -> None:
    cidr, prefix = grid.cidrs[0], grid.prefixes[0]
    taken = []
    for _ in range(data.draw(st.integers(0, 4))):
        length = data.draw(st.integers(cidr.prefixlen, min(prefix + 2, 30)))
        index = data.draw(st.integers(0, 2 ** (length - cidr.prefixlen) - 1))
        taken.append([addressing.segment(cidr, length, index)])
    free = set(grid.free_slots(taken))
    for slot in range(grid.size):
        touched = any(addressing.overlap(grid.subnet(slot)[0], part) for parts in taken for part in parts)
        assert (slot in free) == (not touched)


def test_the_bridge_has_the_first_address() -> None:
    assert str(addressing.first_address(IPNetwork("10.11.4.0/22"))) == "10.11.4.1"
    assert str(addressing.first_address(IPNetwork("fd77::1:0/112"))) == "fd77::1:1"
    assert str(addressing.first_address(IPNetwork("127.0.0.1/32"))) == "127.0.0.1"
