"""When a pair is called what: trials and schedules with a clock that the test turns."""

import errno
import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from tests.documents import bridge, document, peer, routed, routed6
from workers.host import Held, Host, Link
from workers.probing import icmp, schedule
from workers.probing.icmp import Answer, Error
from workers.probing.schedule import SAMPLE, Schedule
from workers.probing.targets import Target, expected, ground, targets
from workers.probing.trial import Echo, Trial, rungs
from workers.probing.verdict import Path, pair
from workers.report import MOST_PAIRS, Pair

TARGET = Target("backend1", "n2", 4, "10.11.0.1", "10.11.4.1", 1500, "auto", "eth0", "10.0.0.2", "")
TUNNELLED = TARGET._replace(device="na_vxlan", tunnel="vxlan", size=1464)
SMALL = icmp.SMALLEST[4]
ETH0 = Path("eth0")
Passes = Callable[[float, Echo], bool]


def play(trial: Trial, passes: Passes, *, trip: float = 0.001, limit: float = 30.0) -> float:
    """Send what is due, answer what passes, until it is clear; when that is."""
    now, under_way = trial.start, list[tuple[float, Echo]]()
    while not trial.over(now):
        assert now < limit, "it never ends"
        under_way += [(now + trip, echo) for echo in trial.due(now) if passes(now, echo)]
        if trial.over(now):
            break
        coming = [at for at, _ in under_way]
        now = min([trial.next(), *coming])
        for at, echo in [one for one in under_way if one[0] <= now]:
            trial.heard(echo, trip * 1000, now)
            under_way.remove((at, echo))
    return now


def through(limit: int = 65535, since: float = 0.0) -> Passes:
    """The network passes packets up to ``limit`` from then on; the peer's own address answers."""
    return lambda now, echo: echo.address == TARGET.underlay or (now >= since and echo.size <= limit)


def alive(now: float, echo: Echo) -> bool:
    return echo.address == TARGET.underlay


def dead(now: float, echo: Echo) -> bool:
    return False


def judged(trial: Trial, path: Path | None = ETH0) -> tuple[str, str]:
    verdict = pair(trial, path, 0.0)
    return verdict.state, verdict.code


@pytest.mark.parametrize(
    ("before", "passes", "verdict", "within"),
    [
        pytest.param("pending", through(), ("up", ""), 0.002, id="a new one is up after one round trip"),
        pytest.param("pending", through(since=0.3), ("up", ""), 0.5, id="the peer is ready a little later"),
        pytest.param("pending", through(since=4.0), ("up", ""), 5.0, id="the peer is ready much later"),
        pytest.param("pending", alive, ("down", "blocked"), 6.0, id="only the peer's own address answers"),
        pytest.param("pending", dead, ("down", "peer-down"), 6.0, id="nothing answers"),
        pytest.param("pending", through(1499), ("mtu", "mtu"), 2.5, id="one byte is too much"),
        pytest.param("pending", through(1000), ("mtu", "mtu"), 2.5, id="a third is too much"),
        pytest.param("pending", through(SMALL), ("mtu", "mtu"), 2.5, id="only the smallest passes"),
        pytest.param("up", through(), ("up", ""), 0.05, id="one that was up is measured"),
        pytest.param("up", through(since=0.5), ("up", ""), 1.6, id="a burst of loss is no alarm"),
        pytest.param("up", dead, ("down", "peer-down"), 2.1, id="one that was up is given two seconds"),
        pytest.param("up", through(1400), ("mtu", "mtu"), 2.5, id="the middle became narrow"),
        pytest.param("mtu", through(), ("up", ""), 0.05, id="the middle became wide"),
        pytest.param("down", dead, ("down", "peer-down"), 1.4, id="one that was down still is"),
        pytest.param("down", alive, ("down", "blocked"), 1.4, id="one that was down is found blocked"),
        pytest.param("down", through(), ("up", ""), 0.002, id="one that was down is up again"),
    ],
)
def test_a_trial_ends_with_a_verdict(
    before: str, passes: Passes, verdict: tuple[str, str], within: float
) -> None:
    trial = Trial(TARGET, 0.0, before)
    assert play(trial, passes) <= within
    assert judged(trial) == verdict


@pytest.mark.parametrize("limit", [SMALL, SMALL + 1, 576, 1280, 1333, 1400, 1498, 1499])
def test_the_largest_packet_is_found_to_the_byte(limit: int) -> None:
    trial = Trial(TARGET, 0.0)
    play(trial, through(limit))
    assert pair(trial, None, 0.0).largest == limit


def test_a_limit_that_is_known_is_only_confirmed() -> None:
    sizes = []

    def passes(now: float, echo: Echo) -> bool:
        sizes.append(echo.size)
        return echo.size <= 1333

    play(Trial(TARGET, 0.0, "mtu", 1333), passes)
    assert set(sizes) == {SMALL, 1333, 1334, 1500}


def test_one_that_is_up_is_asked_for_nothing_larger() -> None:
    sizes = []

    def passes(now: float, echo: Echo) -> bool:
        sizes.append(echo.size)
        return True

    play(Trial(TARGET, 0.0, "up", 1500), passes)
    assert sorted(sizes) == [*[SMALL] * 4, 1500]


def test_loss_is_what_was_lost_of_the_small_ones() -> None:
    trial = Trial(TARGET, 0.0, "up")
    play(trial, lambda now, echo: echo.size == 1500 or now >= 0.02)
    verdict = pair(trial, None, 0.0)
    assert (verdict.state, verdict.loss, verdict.largest) == ("up", 0.2, 1500)


def test_what_was_lost_before_the_peer_was_ready_is_no_loss() -> None:
    trial = Trial(TARGET, 0.0)
    play(trial, through(since=0.3))
    assert pair(trial, None, 0.0).loss == 0.0


def test_a_verdict_says_what_was_found_and_what_helps() -> None:
    trial = Trial(TARGET, 0.0, "down")
    play(trial, alive)
    blocked = pair(trial, Path("eth0"), 12.0)
    assert blocked.why == (
        "n2 answers at 10.0.0.2, but nothing comes back from 10.11.4.1, although the two are on one subnet"
    )
    assert "declare tunnel=always" in blocked.remedy
    assert (blocked.at, blocked.way, blocked.loss) == (12.0, "eth0 via 10.0.0.2", 1.0)


def test_a_blocked_tunnel_says_what_a_firewall_sees_of_it() -> None:
    trial = Trial(TUNNELLED, 0.0, "down")
    play(trial, alive)
    blocked = pair(trial, Path("na_vxlan"), 0.0)
    assert "through the tunnel" in blocked.why
    assert "let UDP port 4790 (VXLAN-GPE) pass between the two" in blocked.remedy


@pytest.mark.parametrize(
    ("path", "why"),
    [
        (Path(), "to 10.11.4.1 the kernel has no route, declared is eth0"),
        (
            Path("eth1", "10.9.9.9"),
            "to 10.11.4.1 the kernel sends through eth1 via 10.9.9.9, declared is eth0",
        ),
    ],
)
def test_another_way_than_declared_is_no_route(path: Path, why: str) -> None:
    trial = Trial(TARGET, 0.0, "down")
    play(trial, dead)
    verdict = pair(trial, path, 0.0)
    assert (verdict.code, verdict.why) == ("no-route", why)


@pytest.mark.parametrize(
    ("path", "number", "code"),
    [
        (Path("eth0"), errno.ENETUNREACH, "no-route"),
        (Path("eth0"), errno.EPERM, "refused"),
        (Path(own=False), errno.ENETUNREACH, "no-address"),
    ],
)
def test_what_the_kernel_refuses_is_said(path: Path, number: int, code: str) -> None:
    trial = Trial(TARGET, 0.0, "down")
    now = 0.0
    while not trial.over(now):
        for echo in trial.due(now):
            trial.could_not_send(echo, number)
        now = trial.next()
    assert judged(trial, path) == ("down", code)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Error("prohibited", "192.0.2.254"), "rejected"),
        (Error("unreachable", "10.0.0.2"), "not-built"),
        (Error("unreachable", "10.11.0.1"), "peer-down"),
    ],
)
def test_who_says_on_the_way_that_it_does_not_pass_is_believed(error: Error, code: str) -> None:
    trial = Trial(TARGET, 0.0, "down")
    (_, echo, _) = trial.due(0.0)
    trial.told(echo, error)
    play(trial, dead)
    assert judged(trial) == ("down", code)


def test_the_peers_own_address_is_asked_first() -> None:
    """So that who has its address is asked for in the name of this node's own, not of its bridge."""
    trial = Trial(TARGET, 0.0)
    assert [(echo.address, echo.source) for echo in trial.due(0.0)] == [
        ("10.0.0.2", ""),
        ("10.11.4.1", "10.11.0.1"),
        ("10.11.4.1", "10.11.0.1"),
    ]


def test_without_a_way_there_is_nothing_to_try() -> None:
    verdict = pair(Trial(TARGET._replace(device=""), 0.0), None, 0.0)
    assert (verdict.state, verdict.code, verdict.way) == ("down", "no-route", "")


def test_ladders_are_even_and_end() -> None:
    assert rungs(40, 42) == [41]
    assert rungs(40, 41) == []
    steps = rungs(40, 1500)
    assert len(steps) == 16
    assert {b - a for a, b in itertools.pairwise(steps)} <= {85, 86}


# -- targets


HOST = Host(
    {
        "eth0": Link(1, "eth0", "", "", 1500, True, addresses=(Held("10.0.0.1/24"), Held("fd00:aa::1/64"))),
        "obr_backend1": Link(2, "obr_backend1", "bridge", "", 1400, True, True),
        "obr_six": Link(3, "obr_six", "bridge", "", 1500, True, True),
    }
)


def test_every_peer_is_a_target_by_its_bridge_address() -> None:
    found = targets(document(routed(), routed6(), bridge(), probe_interval=30.0), HOST)
    assert [(one.network, one.family, one.peer, one.source, one.address, one.size) for one in found] == [
        ("backend1", 4, "n2", "10.11.0.1", "10.11.4.1", 1400),
        ("backend1", 4, "n3", "10.11.0.1", "10.11.8.1", 1400),
        ("six", 6, "n2", "fd10::1", "fd10::101", 1500),
        ("six", 6, "n3", "fd10::1", "fd10::201", 1500),
    ]
    assert {one.way for one in found if one.peer == "n2"} == {"eth0 via 10.0.0.2", "eth0 via fd00:aa::2"}


def test_a_tunnel_is_another_way() -> None:
    (one, _) = targets(document(routed(tunnel="always", tunnel_mode="gre"), probe_interval=30.0), HOST)
    assert (one.tunnel, one.way) == ("gre", "tunnel na_gre to 10.0.0.2")


def test_a_peer_without_a_way_is_one_too() -> None:
    elsewhere = peer(2, addresses=("192.0.2.2",), gateways=("192.0.2.2",))
    network = routed(tunnel="never", peers=(peer(1), elsewhere))
    (one,) = targets(document(network, probe_interval=30.0), HOST)
    assert (one.device, one.underlay) == ("", "192.0.2.2")


def test_nobody_is_probed_when_nobody_asks_or_nobody_is_there() -> None:
    assert targets(document(routed(), probe_interval=0.0), HOST) == []
    alone = document(routed(peers=(peer(1),)), probe_interval=30.0)
    assert (targets(alone, HOST), expected(alone)) == ([], {})
    assert targets(document(routed(), probe_interval=30.0), Host({})) == []


def test_what_is_expected_is_what_becomes_a_target() -> None:
    both = document(routed(), routed6(), probe_interval=30.0)
    assert expected(both) == {("backend1", 4): 2, ("six", 6): 2}


def test_counters_do_not_change_the_ground() -> None:
    wanted = document(routed(), probe_interval=30.0)
    busy = {**HOST.links, "eth0": replace(HOST.links["eth0"], rx_bytes=10**9)}
    assert ground(wanted, HOST) == ground(wanted, Host(busy))
    narrow = {**HOST.links, "obr_backend1": replace(HOST.links["obr_backend1"], mtu=1300)}
    assert ground(wanted, HOST) != ground(wanted, Host(narrow))


# -- schedule


def many(count: int) -> list[Target]:
    return [TARGET._replace(peer=f"n{number}", address=f"10.{number}") for number in range(count)]


def judge(
    plan: Schedule, now: float, state: str = "up", *, only: Sequence[Target] | None = None
) -> list[Target]:
    """Judge everybody who is due; who that was."""
    due = [standing.target for standing in plan.due(now)]
    for target in due:
        plan.judged(target, Pair(target.peer, state), now)
    return due


def test_new_pairs_are_tried_at_once_then_every_interval() -> None:
    plan = Schedule()
    plan.aim(many(3), 30.0, now=100.0)
    assert plan.next() == 100.0
    assert judge(plan, 100.0) == many(3)
    assert judge(plan, 100.1) == []
    assert plan.next() == 130.0
    assert judge(plan, 130.0) == many(3)


def test_only_what_changed_is_tried_again_at_once() -> None:
    plan = Schedule()
    plan.aim(many(3), 30.0, now=0.0)
    judge(plan, 0.0)
    moved = [many(3)[0]._replace(device="na_gre"), *many(3)[1:]]
    plan.aim(moved, 30.0, now=5.0)
    assert [one.pending for one in plan.probed()] == [1]
    assert judge(plan, 5.0) == moved[:1]


def test_a_pair_under_way_is_not_tried_twice() -> None:
    plan = Schedule()
    plan.aim(many(1), 1.0, now=0.0)
    assert len(plan.due(0.0)) == 1
    assert [plan.due(now) for now in (0.5, 1.0, 2.0, 10.0)] == [[], [], [], []]
    plan.put_off(10.0)
    assert len(plan.due(10.0 + schedule.FIRST_PAUSE)) == 1


def test_a_verdict_about_what_changed_meanwhile_is_dropped() -> None:
    plan = Schedule()
    plan.aim(many(1), 30.0, now=0.0)
    (standing,) = plan.due(0.0)
    plan.aim([standing.target._replace(size=1400)], 30.0, now=1.0)
    assert not plan.judged(standing.target, Pair("n0", "up"), 2.0)
    assert plan.probed()[0].pending == 1


def test_what_is_not_up_is_tried_every_few_seconds() -> None:
    plan = Schedule()
    plan.aim(many(2), 30.0, now=0.0)
    times, now = [], 0.0
    while now < 60:
        if judge(plan, now, "down"):
            times.append(now)
        now = plan.next() or 0.0
    pauses = [b - a for a, b in itertools.pairwise(times)]
    assert pauses[0] == schedule.FIRST_PAUSE
    assert max(pauses) <= schedule.LONGEST_PAUSE


def test_very_many_that_are_not_up_are_tried_more_seldom() -> None:
    plan = Schedule()
    plan.aim(many(5000), 30.0, now=0.0)
    tried, now = 0, 0.0
    while now < 300:
        tried += len(judge(plan, now, "down"))
        now = max(plan.next() or 0.0, now + 0.1)
    assert tried / 300 < 200


def test_of_many_a_sample_in_turn_and_within_some_rounds_everybody() -> None:
    plan = Schedule()
    count = 3 * SAMPLE - 10
    plan.aim(many(count), 30.0, now=0.0)
    judge(plan, 0.0)
    rounds = [judge(plan, 30.0 * number) for number in (1, 2, 3)]
    assert {len(one) for one in rounds} == {SAMPLE}
    assert len({target.peer for one in rounds for target in one}) == count


def test_after_a_repair_the_next_round_comes_soon_but_not_each_time() -> None:
    plan = Schedule()
    plan.aim(many(2), 30.0, now=0.0)
    judge(plan, 0.0)
    plan.soon(10.0)
    assert judge(plan, 10.0) == many(2)
    plan.soon(10.1)
    assert plan.next() == 10.0 + schedule.SETTLE
    assert judge(plan, 10.2) == []


def test_up_to_a_limit_every_pair_is_told_beyond_it_those_that_are_not_up() -> None:
    plan = Schedule()
    plan.aim(many(MOST_PAIRS), 30.0, now=0.0)
    judge(plan, 0.0)
    assert len(plan.probed()[0].pairs) == MOST_PAIRS
    plan.aim(many(MOST_PAIRS + 1), 30.0, now=1.0)
    judge(plan, 1.0, "mtu")
    (probed,) = plan.probed()
    assert (probed.peers, probed.up, probed.mtu, len(probed.pairs)) == (MOST_PAIRS + 1, MOST_PAIRS, 1, 1)


def test_targets_that_are_gone_are_told_no_more() -> None:
    plan = Schedule()
    plan.aim(many(2), 30.0, now=0.0)
    judge(plan, 0.0)
    plan.aim([], 0.0, now=1.0)
    assert (plan.probed(), plan.next(), plan.due(100.0)) == ((), None, [])


# -- what goes over the wire


COOKIE = b"12345678"


@pytest.mark.parametrize("version", [4, 6])
def test_an_answer_is_known_by_its_cookie(version: int) -> None:
    sent = icmp.request(version, COOKIE, 70000, 1500)
    assert len(sent) + icmp.HEADERS[version] - 8 == 1500
    answer = bytes([icmp.REPLY[version]]) + sent[1:]
    packet = _ip4(answer) if version == 4 else answer
    assert icmp.read(version, packet, "10.11.4.1", COOKIE) == Answer(70000)
    assert icmp.read(version, packet, "10.11.4.1", b"of other") is None
    assert icmp.read(version, packet[:10], "10.11.4.1", COOKIE) is None
    request = _ip4(sent) if version == 4 else sent
    assert icmp.read(version, request, "10.11.4.1", COOKIE) is None


def test_the_checksum_is_that_of_rfc_1071() -> None:
    sent = icmp.request(4, COOKIE, 7, 100)
    assert icmp.checksum(sent) == 0
    assert icmp.checksum(bytes.fromhex("0001f203f4f5f6f7")) == ~0xDDF2 & 0xFFFF


@pytest.mark.parametrize(
    ("version", "kind", "code", "error"),
    [
        (4, 3, 1, Error("unreachable", "192.0.2.254")),
        (4, 3, 13, Error("prohibited", "192.0.2.254")),
        (4, 3, 4, Error("too-large", "192.0.2.254", 1400)),
        (6, 1, 0, Error("unreachable", "192.0.2.254")),
        (6, 1, 1, Error("prohibited", "192.0.2.254")),
        (6, 2, 0, Error("too-large", "192.0.2.254", 1400)),
    ],
)
def test_an_error_says_who_and_what(version: int, kind: int, code: int, error: Error) -> None:
    about = icmp.request(version, COOKIE, 9, 1500)
    inside = _ip4(about) if version == 4 else bytes(40) + about
    mtu = 1400 if error.mtu else 0
    message = bytes([kind, code, 0, 0]) + mtu.to_bytes(4, "big") + inside[:100]
    packet = _ip4(message) if version == 4 else message
    assert icmp.read(version, packet, "192.0.2.254", COOKIE) == Answer(9, error)


def _ip4(payload: bytes) -> bytes:
    return bytes([0x45]) + bytes(19) + payload
