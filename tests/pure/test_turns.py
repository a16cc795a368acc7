"""The order in which the addresses of a name are given."""

import pytest

from networks.dns import backend
from networks.dns.backend import TURN, Turns

A, AAAA = [b"1", b"2", b"3"], [b"7"]


def test_each_address_comes_first_in_turn_for_all_who_ask_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = [100.0]
    monkeypatch.setattr(backend.time, "monotonic", lambda: moment[0])
    turns = Turns([A, AAAA])
    found = []
    for _ in range(6):
        moment[0] += TURN
        found.append(turns.answer())
        assert turns.answer() == found[-1]
    assert found[:3] == found[3:]
    assert {b'{"result":[1,2,3,7]}\n', b'{"result":[2,3,1,7]}\n', b'{"result":[3,1,2,7]}\n'} == set(found)
