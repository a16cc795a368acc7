"""The plan: a table of cases, and what holds for all of them."""

from collections.abc import Hashable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.changes import Foreign, Owned, Plan, Verb
from workers.cni.confs import Conf
from workers.kernel.addresses import Address
from workers.kernel.firewall import Firewall
from workers.kernel.links import Bridge, Up
from workers.kernel.routes import Route
from workers.kernel.sysctls import Sysctl
from workers.kernel.tunnels import Encap, Tunnel
from workers.plan import KINDS, plan, stages

BRIDGE = Bridge("obr_a", "0a:58:0a:0b:00:01", 1500, 28257, "a")
LARGER = Bridge("obr_a", "0a:58:0a:0b:00:01", 9000, 28257, "a")
UP = Up("obr_a", "a")
SWITCH = Sysctl("net/ipv6/conf/obr_a/accept_ra", "0", "obr_a", "a")
ADDRESS = Address("obr_a", "10.11.0.1/22", 157, "a")
MOVED = Address("obr_a", "10.11.4.1/22", 157, "a")
FIREWALL = Firewall("netadmin", "table inet netadmin {}")
ROUTE = Route("10.11.4.0/22", 254, "10.0.0.2", "eth0", 0, 157, "a")
OTHER_HOP = Route("10.11.4.0/22", 254, "10.0.0.3", "eth0", 0, 157, "a")
THEIRS = Route("10.11.4.0/22", 254, "10.0.0.9", "eth0", 0, 4)
TUNNEL = Tunnel("na_gre", "gre", "external", 1476, 28257)
TUNNEL_UP = Up("na_gre")
AROUND = Encap("192.0.2.3", "10.0.0.1", 0x100)
THROUGH = Route("10.11.4.0/22", 254, "", "na_gre", 0, 157, "a", "10.11.0.1", AROUND)
FILE = Conf("/net.d/a.conflist", "{}", "obr_a", "a")
ALL: list[Owned] = [FILE, ROUTE, FIREWALL, ADDRESS, UP, SWITCH, BRIDGE]

TABLE = [
    pytest.param([], [], [], [], id="nothing"),
    pytest.param([ROUTE], [ROUTE], [], [], id="all there"),
    pytest.param(
        ALL,
        [],
        [],
        [
            "add bridge obr_a mtu 1500 mac 0a:58:0a:0b:00:01",
            "add sysctl net/ipv6/conf/obr_a/accept_ra=0",
            "add obr_a up",
            "add address 10.11.0.1/22 dev obr_a",
            "add firewall table inet netadmin",
            "add route 10.11.4.0/22 via 10.0.0.2 dev eth0 proto 157",
            "add file /net.d/a.conflist",
        ],
        id="a network is built from the ground up",
    ),
    pytest.param(
        [],
        ALL,
        [],
        [
            "remove file /net.d/a.conflist",
            "remove route 10.11.4.0/22 via 10.0.0.2 dev eth0 proto 157",
            "remove firewall table inet netadmin",
            "remove bridge obr_a mtu 1500 mac 0a:58:0a:0b:00:01",
        ],
        id="removed in reverse, and what lives on a device goes with it",
    ),
    pytest.param(
        [BRIDGE, MOVED],
        [BRIDGE, ADDRESS],
        [],
        ["add address 10.11.4.1/22 dev obr_a", "remove address 10.11.0.1/22 dev obr_a"],
        id="the new comes before the old goes",
    ),
    pytest.param(
        [OTHER_HOP],
        [ROUTE],
        [],
        [
            "change route 10.11.4.0/22 via 10.0.0.3 dev eth0 proto 157 "
            "(was route 10.11.4.0/22 via 10.0.0.2 dev eth0 proto 157)"
        ],
        id="another next hop is one change",
    ),
    pytest.param([ROUTE], [], [THEIRS], [], id="a route of others is never taken"),
    pytest.param([ROUTE], [ROUTE], [THEIRS], [], id="theirs does not matter when ours is there"),
    pytest.param(
        [ADDRESS], [], [Address("obr_a", "10.11.0.1/22", 0)], [], id="an address of others does its service"
    ),
    pytest.param(
        ALL,
        [FILE],
        [Foreign(("link", "obr_a"), "dummy device obr_a")],
        ["add firewall table inet netadmin", "add route 10.11.4.0/22 via 10.0.0.2 dev eth0 proto 157"],
        id="what needs a device of others is left as it is",
    ),
    pytest.param([], [], [THEIRS], [], id="what others have is never removed"),
    pytest.param(
        [THROUGH, TUNNEL_UP, TUNNEL, FIREWALL],
        [ROUTE, FIREWALL],
        [],
        [
            "add tunnel na_gre gre external mtu 1476",
            "add na_gre up",
            "change route 10.11.4.0/22 encap 192.0.2.3 dev na_gre proto 157 "
            "(was route 10.11.4.0/22 via 10.0.0.2 dev eth0 proto 157)",
        ],
        id="a tunnel is up before a route is moved into it",
    ),
    pytest.param(
        [ROUTE],
        [THROUGH, TUNNEL_UP, TUNNEL],
        [],
        [
            "change route 10.11.4.0/22 via 10.0.0.2 dev eth0 proto 157 "
            "(was route 10.11.4.0/22 encap 192.0.2.3 dev na_gre proto 157)",
            "remove tunnel na_gre gre external mtu 1476",
        ],
        id="and goes after its last route has left it",
    ),
    pytest.param(
        [THROUGH, TUNNEL_UP, TUNNEL],
        [ROUTE],
        [Foreign(("link", "na_gre"), "gre device theirs external")],
        [],
        id="a tunnel of others in its place leaves the route where it is",
    ),
]


@pytest.mark.parametrize(("desired", "ours", "foreign", "changes"), TABLE)
def test_it_plans(desired: list[Owned], ours: list[Owned], foreign: list[Owned], changes: list[str]) -> None:
    assert [str(change) for change in plan(desired, ours, foreign).changes] == changes


def test_a_conflict_names_both_and_what_helps() -> None:
    (finding,) = plan([ROUTE], [], [THEIRS]).findings
    assert finding.code == "conflict"
    assert finding.network == "a"
    assert str(finding) == (
        "route 10.11.4.0/22 via 10.0.0.2 dev eth0 proto 157: "
        "route 10.11.4.0/22 via 10.0.0.9 dev eth0 proto 4 is in the way and not ours; it was left alone. "
        "Remove it if nobody needs it, or declare the network otherwise"
    )


def test_a_device_of_others_is_one_conflict_and_not_one_for_each_thing_that_needs_it() -> None:
    foreign = [Foreign(("link", "obr_a"), "dummy device obr_a"), Foreign(("conf", FILE.path), "file")]
    assert [finding.subject for finding in plan(ALL, [], foreign).findings] == [str(BRIDGE)]


@pytest.mark.parametrize(
    ("desired", "ours", "late"),
    [
        pytest.param([THROUGH, TUNNEL_UP, TUNNEL], [ROUTE], ["change route"], id="into a new tunnel"),
        pytest.param([ROUTE], [THROUGH, TUNNEL_UP, TUNNEL], ["remove tunnel"], id="out of the last one"),
        pytest.param(
            [THROUGH, TUNNEL_UP, TUNNEL], [ROUTE, TUNNEL_UP, TUNNEL], [], id="into one that is there"
        ),
        pytest.param([THROUGH, TUNNEL_UP, TUNNEL], [], [], id="a new route breaks nothing"),
        pytest.param([], [THROUGH, TUNNEL_UP, TUNNEL], [], id="nobody needs it any more"),
        pytest.param(ALL, [], [], id="no tunnel"),
    ],
)
def test_peers_get_time_before(desired: list[Owned], ours: list[Owned], late: list[str]) -> None:
    made = plan(desired, ours)
    first, second = stages(made)
    assert [" ".join(str(change).split()[:2]) for change in second.changes] == late
    assert sorted(map(str, (*first.changes, *second.changes))) == sorted(map(str, made.changes))


# What holds for every plan

DEVICES = st.sampled_from(["obr_a", "obr_b", "na_gre", "eth0"])
NUMBERS = st.integers(1, 3)
OBJECTS = st.one_of(
    st.builds(lambda d, n: Bridge(d, "", 1500 + n, 1), st.sampled_from(["obr_a", "obr_b"]), NUMBERS),
    st.builds(lambda n: Tunnel("na_gre", "gre", "external", 1400 + n, 1), NUMBERS),
    st.builds(Up, DEVICES),
    st.builds(lambda d, n: Sysctl(f"net/{d}/x", str(n), d), DEVICES, NUMBERS),
    st.builds(lambda d, n: Address(d, f"10.{n}.0.1/22", 157), DEVICES, NUMBERS),
    st.builds(lambda d, n: Address(d, f"fd10::1/{n}", 157), DEVICES, NUMBERS),
    st.builds(lambda n: Firewall("netadmin", str(n)), NUMBERS),
    st.builds(
        lambda d, n, m: Route(f"10.{n}.0.0/22", 254, f"10.0.0.{m}", d, 0, 157), DEVICES, NUMBERS, NUMBERS
    ),
    st.builds(lambda d, n, m: Conf(f"/{n}.conflist", str(m), d), DEVICES, NUMBERS, NUMBERS),
)
STATES = st.lists(OBJECTS, unique_by=lambda one: one.key).map(lambda objects: _with_devices(objects))
"""Nothing is on a device that is not there."""


@given(STATES, STATES)
def test_carried_out_it_reaches_what_is_desired_and_then_is_empty(
    desired: list[Owned], ours: list[Owned]
) -> None:
    after = _carried_out(plan(desired, ours), ours)
    assert {one.key: one for one in after} == {one.key: one for one in desired}
    assert not plan(desired, after)


@given(STATES, STATES, STATES)
def test_nothing_of_others_is_taken_and_nothing_else_is_held_up(
    desired: list[Owned], ours: list[Owned], others: list[Owned]
) -> None:
    foreign = [Foreign(one.key, f"their {one}") for one in others if one.key not in {o.key for o in ours}]
    made = plan(desired, ours, foreign)
    touched = {change.object.key for change in made.changes}
    assert not touched & {one.key for one in foreign}
    after = {one.key: one for one in _carried_out(made, ours)}
    held = {one.key for one in foreign}
    devices = {key[1] for key in held if isinstance(key, tuple) and key[0] == "link"}
    free = [one for one in desired if one.key not in held and one.needs not in devices]
    assert [one for one in free if after.get(one.key) != one] == []
    assert not plan(desired, list(after.values()), foreign)


@given(STATES, STATES)
def test_it_adds_in_the_order_of_kinds_and_removes_last_and_in_reverse(
    desired: list[Owned], ours: list[Owned]
) -> None:
    changes = plan(desired, ours).changes
    ranks = [
        (len(KINDS) + len(KINDS) - rank if change.verb is Verb.REMOVE else rank)
        for change in changes
        for rank in [KINDS.index(type(change.object))]
    ]
    assert ranks == sorted(ranks)


@given(STATES, STATES, STATES)
def test_it_does_not_depend_on_the_order_of_what_it_is_given(
    desired: list[Owned], ours: list[Owned], foreign: list[Owned]
) -> None:
    made, other = plan(desired, ours, foreign), plan(desired[::-1], ours[::-1], foreign[::-1])
    assert set(made.changes) == set(other.changes)
    assert set(made.findings) == set(other.findings)


def _with_devices(objects: list[Owned]) -> list[Owned]:
    devices = {one.name for one in objects if isinstance(one, Bridge | Tunnel)} | {"eth0", ""}
    return [one for one in objects if one.needs in devices or isinstance(one, Conf)]


def _carried_out(made: Plan, ours: list[Owned]) -> list[Owned]:
    """What the kernel would have afterwards: a device takes along what lives on it, but no file."""
    state: dict[Hashable, Owned] = {one.key: one for one in ours}
    for change in made.changes:
        one = change.object
        if change.verb is not Verb.REMOVE:
            state[one.key] = one
            continue
        del state[one.key]
        if isinstance(one, Bridge | Tunnel):
            alive = {
                key: other
                for key, other in state.items()
                if other.needs != one.name or isinstance(other, Conf)
            }
            state = alive
    return list(state.values())
