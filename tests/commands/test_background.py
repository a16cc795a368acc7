"""Calls that nobody waits for."""

import threading
import time

from netadmin.background import Later


def test_it_makes_calls_in_order_in_another_thread() -> None:
    later, made = Later("test"), []
    for number in range(3):
        later.call(lambda number: made.append((number, threading.current_thread().name)), number)
    assert later.done(within=5)
    assert made == [(0, "test"), (1, "test"), (2, "test")]


def test_it_does_not_wait() -> None:
    later, go = Later("test"), threading.Event()
    later.call(go.wait, 5)
    assert not later.done(within=0.05)
    go.set()
    assert later.done(within=5)


def test_a_call_that_waits_already_moves_to_the_end() -> None:
    later, go, made = Later("test"), threading.Event(), list[str]()
    later.call(go.wait, 5)
    for name in ("grant", "revoke", "grant"):
        later.call(made.append, name)
    go.set()
    assert later.done(within=5)
    assert made == ["revoke", "grant"]


def test_a_call_is_made_again_when_it_comes_while_it_is_made() -> None:
    later, begun, go, made = Later("test"), threading.Event(), threading.Event(), list[int]()

    def slow() -> None:
        begun.set()
        go.wait(5)
        made.append(1)

    later.call(slow)
    assert begun.wait(5)
    later.call(slow)
    go.set()
    assert later.done(within=5)
    assert made == [1, 1]


def test_calls_that_are_to_be_apart_let_others_pass() -> None:
    later, made = Later("test"), list[str]()
    later.call(made.append, "often", apart=0.2)
    assert later.done(within=5)
    begun = time.monotonic()
    later.call(made.append, "often", apart=0.2)
    later.call(made.append, "other")
    later.call(made.append, "often", apart=0.2)
    assert later.done(within=5)
    assert made == ["often", "other", "often"]
    assert time.monotonic() - begun > 0.1
