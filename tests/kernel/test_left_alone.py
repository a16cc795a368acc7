"""What is no fault of an attachment does not take it away: it keeps its interface, address and ports."""

import errno
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.namespaces import Namespace
from lab.waiting import until
from tests.kernel.attaching import (
    MAPPED,
    NETWORK,
    Rude,
    a_keeper,
    addresses,
    an_attacher,
    attachment,
    becomes,
    exposed,
    held,
    leases,
    mapped,
    remains,
)
from tests.kernel.node import Node
from workers.attaching import sight
from workers.attaching.held import Held
from workers.attaching.hostports import HostPorts
from workers.holdings import ATTACHED, Holdings, Standing

FROM_8001 = {"tcp . 8001 : 10.10.10.2 . 80"}


def number_of(inside: Namespace) -> str:
    """Of its interface: another one has another number."""
    return inside.run(["ip", "-o", "link", "show", "eth12"]).partition("mtu")[0]


def fails(monkeypatch: pytest.MonkeyPatch, where: Any, name: str, error: Exception, times: int = 1) -> None:
    """So many of the next calls."""
    real: Callable[..., Any] = getattr(where, name)
    left = [error] * times

    def call(*arguments: Any) -> Any:
        if left:
            raise left.pop()
        return real(*arguments)

    monkeypatch.setattr(where, name, call)


def test_a_look_that_fails_is_repeated(
    built: Node, inside: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    held(built, one := attachment(inside.path))
    with a_keeper(built, NETWORK) as keeper:
        becomes(keeper, one, "attached")
        before = number_of(inside)
        fails(monkeypatch, sight, "amiss_inside", OSError(errno.ENOBUFS, "no buffer space"), times=2)
        broken = becomes(keeper, one, "broken", within=3)
        assert "no buffer space" in broken.why
        assert broken.addresses == ("10.10.10.2",)
        becomes(keeper, one, "attached", within=5)
    assert number_of(inside) == before


def test_a_plugin_that_is_missing_says_nothing_of_what_it_would_check(rude: Rude, inside: Namespace) -> None:
    node = rude("exec /usr/lib/cni/tuning")
    one = attachment(inside.path)
    with an_attacher(node, NETWORK) as attacher:
        made = attacher.settle(one, None, False)
        assert made.entry
        before = remains(node)
        (Path(node.settings.cni_plugins) / "rude").unlink()
        outcome = attacher.settle(one, made.entry, True)
        assert outcome.standing == made.standing
        assert not outcome.renew
        assert remains(node) == before


def test_a_host_port_that_another_one_has_leaves_it_attached_with_those_it_had(
    built: Node, inside: Namespace
) -> None:
    with Namespace("c2") as other, an_attacher(built, NETWORK) as attacher:
        one = attachment(inside.path, expose=exposed((80, 8001, "tcp")))
        two = attachment(other.path, 2, expose=exposed((80, 8002, "tcp")))
        entry, _ = attacher.settle(one, None, False).entry, attacher.settle(two, None, False)
        wanted = replace(one, expose=exposed((80, 8002, "tcp")))
        outcome = attacher.settle(wanted, entry, False)
        assert outcome.standing
        assert (outcome.standing.state, outcome.standing.addresses) == ("broken", ("10.10.10.2",))
        assert "belongs to root/svc/web2 ip#0" in outcome.standing.why
        assert (outcome.entry, outcome.renew) == (entry, False)
        assert mapped(built) == {*FROM_8001, "tcp . 8002 : 10.10.10.3 . 80"}


def test_ports_go_from_one_to_another_in_one_version(built: Node, inside: Namespace) -> None:
    with Namespace("c2") as other:
        one, two = attachment(inside.path, expose=MAPPED), attachment(other.path, 2)
        held(built, one, two)
        with a_keeper(built, NETWORK) as keeper:
            has = {each.id: becomes(keeper, each, "attached").addresses[0] for each in (one, two)}
            before = number_of(inside), number_of(other)
            for version in range(2, 12):
                having, lacking = (one, two) if version % 2 else (two, one)
                having, lacking = replace(having, expose=MAPPED), replace(lacking, expose=())
                keeper.hold(Holdings("n1", version, (having, lacking)))
                wanted = {f"tcp . 8001 : {has[having.id]} . 80", f"udp . 5353 : {has[having.id]} . 53"}
                until(lambda wanted=wanted: mapped(built) == wanted, what="they lead there", within=5)  # type: ignore[misc]
                becomes(keeper, having, "attached")
                becomes(keeper, lacking, "attached")
        assert (number_of(inside), number_of(other)) == before


def test_ports_that_an_interrupted_step_left_out_are_mapped_by_the_next(
    built: Node, inside: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    held(built, one := attachment(inside.path, expose=exposed((80, 8001, "tcp"))))
    fails(monkeypatch, HostPorts, "put", OSError(errno.EMFILE, "too many open files"))
    with a_keeper(built, NETWORK) as keeper:
        becomes(keeper, one, "attached")
        assert mapped(built) == FROM_8001


def test_a_table_that_could_not_be_looked_at_is_looked_at_again(
    built: Node, inside: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    held(built, one := attachment(inside.path, expose=exposed((80, 8001, "tcp"))))
    with a_keeper(built, NETWORK) as keeper:
        becomes(keeper, one, "attached")
        time.sleep(0.3)  # what the attachment itself led to is over
        fails(monkeypatch, HostPorts, "keep", OSError(errno.ENOBUFS, "no buffer space"))
        built.nft("delete table inet netadmin_ports")
        until(lambda: mapped(built) == FROM_8001, what="the table is there", within=3)


def test_another_address_than_the_one_that_must_be_is_no_attachment(rude: Rude, inside: Namespace) -> None:
    """The list's last plugin says something else than the ones before."""
    node = rude("sed 's/.*\"prevResult\": *//; s/10.10.10.77/10.10.10.78/; s/}$//'")
    one = attachment(inside.path, addresses=("10.10.10.77",))
    with an_attacher(node, NETWORK) as attacher:
        outcome = attacher.settle(one, None, False)
    assert outcome.standing
    assert outcome.standing.state == "failed"
    assert "its plugins gave 10.10.10.78 where 10.10.10.77 was asked for" in outcome.standing.why
    assert "args.cni.ips" in outcome.standing.remedy
    assert (leases(node), addresses(inside)) == ({}, [])


def test_what_happens_during_a_job_is_a_reason_for_the_next() -> None:
    one = Held("1")
    one.begins()
    one.hurry()
    one.stands(Standing("1", ATTACHED), 30)
    assert one.due == 0
    one.begins()
    one.stands(Standing("1", ATTACHED), 30)
    assert time.monotonic() < one.due < time.monotonic() + 31


def test_a_statement_is_behind_the_last_although_the_clock_was_set_back(
    built: Node, inside: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    held(built, one := attachment(inside.path))
    with a_keeper(built, NETWORK) as keeper:
        becomes(keeper, one, "attached")
        before = keeper.statement()
        back = time.time_ns() - 600 * 10**9
        monkeypatch.setattr(time, "time_ns", lambda: back)
        keeper.hold(Holdings("n1", 2, ()))
        until(lambda: keeper.statement() != before, what="it says something else", within=5)
        after = keeper.statement()
    assert before
    assert after
    assert after.sequence > before.sequence
