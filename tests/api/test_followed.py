"""What is told of a change is enough: a DNS server that reads only those rows serves what all rows say."""

import pytest

from networks import membership
from networks.dns import changes
from networks.dns.following import Heard
from networks.dns.loaded import Loader
from networks.models import Allocation, Network
from tests.api.asking import URL, attached
from tests.api.test_holdings import standing, state
from tests.conftest import Client
from workers import holdings as wire


class Server:
    """Follows as ``dns serve`` does."""

    def __init__(self) -> None:
        self._loader, self._heard = Loader(), Heard()
        self.facts = self._loader.facts()

    @property
    def addresses(self) -> list[str]:
        return sorted(holder.address for holder in self.facts.holders)

    def follows(self) -> bool:
        """By the rows that were told of alone; whether it serves all."""
        self._heard.add([changes._untold.popleft() for _ in range(len(changes._untold))])
        told = self._heard.since(self.facts.serial)
        assert told is not None
        assert told.rows is not None
        self.facts = self._loader.facts_after(self.facts, told.rows, told.serial)
        return self.facts == Loader().facts()


@pytest.fixture
def server(network: Network, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Each change is told of although the test's transaction never ends."""
    changes.changed()
    monkeypatch.setattr(changes, "tell", lambda: None)
    monkeypatch.setattr(changes.transaction, "on_commit", lambda call, **_: call())
    changes._untold.clear()
    return Server()


def test_an_address_is_followed_from_its_node_to_its_end(server: Server, oscar: Client, n1: Client) -> None:
    row = attached(oscar, n1)
    assert server.follows()
    assert server.addresses == ["10.11.0.2"]
    oscar.patch(f"{URL}{row.pk}/", {"hostname": "web-c1", "expose": ["80/tcp"]})
    assert server.follows()
    state(n1, standing(row, "10.11.0.3"))
    assert server.follows()
    assert server.addresses == ["10.11.0.3"]
    state(n1, standing(row, "10.11.0.3", state=wire.BROKEN, why="no carrier"))
    assert server.follows()
    assert server.addresses == []
    state(n1, standing(row, "10.11.0.3"))
    oscar.delete(f"{URL}{row.pk}/")
    state(n1)
    assert server.follows()
    assert server.addresses == []


def test_whom_an_address_is_taken_from_is_followed(server: Server, oscar: Client, n1: Client) -> None:
    first = attached(oscar, n1)
    second = attached(oscar, n1, address="10.11.0.3", resource="ip#1")
    assert server.follows()
    state(n1, standing(first, "10.11.0.3"), standing(second, "10.11.0.2"))
    assert server.follows()
    assert {holder.resource: holder.address for holder in server.facts.holders} == {
        "ip#0": "10.11.0.3",
        "ip#1": "10.11.0.2",
    }


def test_what_is_forced_is_followed(server: Server, oscar: Client, n1: Client) -> None:
    attached(oscar, n1)
    assert server.follows()
    oscar.delete(f"{URL}{Allocation.objects.get().pk}/?force=true")
    assert server.follows()
    assert server.addresses == []


def test_what_concerns_more_than_addresses_is_read_whole(server: Server, oscar: Client, n1: Client) -> None:
    membership.change("n1", weight=55, by="ada")
    assert [change.rows for change in changes._untold] == [None]


def test_more_rows_than_are_worth_it_are_read_whole(server: Server) -> None:
    changes.changed(range(changes.MOST_ROWS + 1))
    assert [change.rows for change in changes._untold] == [None]
