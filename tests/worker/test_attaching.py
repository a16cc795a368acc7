"""From what the control plane asks for to the address in the container, by real plugins."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from lab.namespaces import Namespace
from lab.waiting import until
from tests import hostlocal
from tests.worker.attachments import attachment, container, port
from tests.worker.conftest import Node, Process
from tests.worker.control_plane import GONE, Answer, ControlPlane
from workers import files
from workers.agent import Agent
from workers.holdings import Attachment, Standing

CYCLES = 25
"""Of each of eight clients."""


class Service:
    """What the control plane wants of the node, and what became of it. For any thread."""

    def __init__(self, node: Node, plane: ControlPlane, agent: Agent) -> None:
        self.node, self.plane, self.agent = node, plane, agent

    def want(self, *attachments: Attachment) -> None:
        self.plane.want(*attachments)
        self.agent.hold()

    def becomes(self, one: Attachment, state: str, within: float = 10) -> Standing:
        return self.plane.becomes(one, state, within)

    def gone(self, one: Attachment, within: float = 10) -> None:
        def is_gone() -> bool:
            newest = self.plane.statements[-1] if self.plane.statements else None
            return bool(newest and newest.version >= self.plane.holdings.version) and not any(
                said.id == one.id for said in newest.attachments
            )

        until(is_gone, what=f"{one.service} is gone", within=within)


@pytest.fixture
def service(node: Node, plane: ControlPlane, agent: Agent) -> Service:
    return Service(node, plane, agent)


@pytest.fixture
def inside(node: Node) -> Iterator[tuple[Namespace, str]]:
    with container(node.namespace) as made:
        yield made


def addresses(namespace: Namespace, interface: str = "eth12") -> list[str]:
    """Empty when there is no such interface."""
    shown = namespace.call(["ip", "-o", "addr", "show", "dev", interface, "scope", "global"]).stdout
    return [line.split()[3] for line in shown.splitlines()]


def test_an_attachment_is_made_told_and_taken_away(service: Service, inside: tuple[Namespace, str]) -> None:
    namespace, netns = inside
    links = service.node.links()
    one = attachment(netns=netns)
    service.want(one)
    standing = service.becomes(one, "attached")
    assert standing.addresses == ("10.11.1.2",)
    assert addresses(namespace) == ["10.11.1.2/24"]
    assert standing.mac in namespace.run(["ip", "link", "show", "dev", "eth12"])
    assert service.node.leases() == {"10.11.1.2": one.id}
    other = hostlocal.add(service.node.leases_dir, "theirs", "10.11.1.0/24")
    until(lambda: service.plane.reports[-1].leases, what="leases are reported", within=5)
    assert [lease.container for lease in service.plane.reports[-1].leases] == ["theirs"]
    (service.node.leases_dir / "backend1" / other).unlink()
    service.want()
    service.gone(one)
    assert service.node.leases() == {}
    assert service.node.links() == links
    assert list((service.node.state / "attachments").iterdir()) == []


def test_a_service_without_container_gets_a_namespace_of_its_own(service: Service) -> None:
    one, two = attachment(), attachment(2, service="root/svc/web1", resource="ip#1", interface="eth13")
    service.want(one, two)
    service.becomes(one, "attached")
    service.becomes(two, "attached")
    (path,) = service.node.settings.netns_dir.iterdir()
    assert path.name == "root..svc..web1"
    seen = service.node.namespace.run(["nsenter", f"--net={path}", "ip", "-br", "link"])
    assert {line.split("@")[0].split()[0] for line in seen.splitlines()} == {"lo", "eth12", "eth13"}
    assert "LOOPBACK,UP" in seen
    service.want(two)
    service.gone(one)
    assert path.exists()
    service.want()
    service.gone(two)
    assert not path.exists()


def test_eight_clients_attach_and_detach_two_hundred_times_and_nothing_is_left(
    service: Service, node: Node
) -> None:
    """Every address has one holder at any time, and in the end there is none of anything."""
    before = (node.links(), node.namespace.run(["nft", "list", "tables"]))
    wanted: dict[int, Attachment] = {}
    lock = threading.Lock()

    def change(number: int, one: Attachment | None) -> None:
        with lock:
            wanted.pop(number, None)
            wanted.update({number: one} if one else {})
            service.want(*wanted.values())

    def client(number: int) -> None:
        with container(node.namespace, f"c{number}") as (inside, netns):
            for cycle in range(CYCLES):
                key = number * 1000 + cycle
                one = attachment(key, netns=netns, expose=(port(80, 8000 + number),))
                change(number, one)
                (address,) = service.becomes(one, "attached", within=60).addresses
                assert node.leases()[address] == one.id
                assert addresses(inside) == [f"{address}/24"]
                change(number, None)
                service.gone(one, within=60)

    with ThreadPoolExecutor(8) as clients:
        list(clients.map(client, range(1, 9)))
    assert node.leases() == {}
    assert (node.links(), node.namespace.run(["nft", "list", "tables"])) == before
    assert list((node.state / "attachments").iterdir()) == []


def test_attachments_are_kept_and_restored_while_the_control_plane_is_away(
    node: Node, plane: ControlPlane, start: type[Process]
) -> None:
    with container(node.namespace) as (inside, netns):
        one = attachment(netns=netns)
        plane.want(one)
        worker = start()
        plane.becomes(one, "attached")  # killed before, it would not know which address it had
        until(lambda: (node.state / "holdings.json").exists(), what="holdings on disk", within=5)
        plane.away()
        worker.kill()
        assert addresses(inside) == ["10.11.1.2/24"]
        inside.run(["ip", "link", "del", "eth12"])
        start()
        until(lambda: addresses(inside), what="attached again", within=10)
        assert addresses(inside) == ["10.11.1.2/24"]
        assert node.leases() == {"10.11.1.2": one.id}


def test_a_worker_that_could_not_write_what_it_must_hold_detaches_nothing_when_it_starts_again(
    service: Service, inside: tuple[Namespace, str], start: type[Process]
) -> None:
    """What was written before knows nothing of the attachment."""
    namespace, netns = inside
    service.want()
    until((service.node.state / "holdings.json").exists, what="holdings on disk", within=5)
    (in_the_way := service.node.state / f".holdings.json{files.UNFINISHED}").mkdir()
    service.want(one := attachment(netns=netns))
    service.becomes(one, "attached")
    service.plane.away()
    service.agent.stop()
    service.agent.join()
    in_the_way.rmdir()
    start().says("/holdings/: ")  # asked for in vain
    namespace.run(["sleep", "1"])
    assert addresses(namespace) == ["10.11.1.2/24"]


def test_a_node_that_was_removed_holds_nothing_any_more(
    service: Service, node: Node, plane: ControlPlane, inside: tuple[Namespace, str]
) -> None:
    one = attachment(netns=inside[1], expose=(port(80, 8001),))
    service.want(one)
    service.becomes(one, "attached")
    plane.answer = GONE
    service.agent.look()
    until(lambda: not node.leases(), what="no lease", within=10)
    until(lambda: "inet" not in node.namespace.run(["nft", "list", "tables"]), what="no table", within=10)
    until(lambda: node.links() == {"lo", "eth0", "wire"}, what="no device", within=10)
    until(lambda: not (node.state / "holdings.json").exists(), what="no cache", within=5)


def test_a_statement_is_repeated_until_it_is_taken(service: Service, inside: tuple[Namespace, str]) -> None:
    one = attachment(netns=inside[1])
    service.plane.want(one)
    service.agent.hold()
    until(lambda: service.node.leases(), what="a lease", within=5)
    service.becomes(one, "attached")
    service.plane.answer = Answer(503)
    inside[0].run(["ip", "link", "del", "eth12"])
    until(lambda: service.node.leases() and addresses(inside[0]), what="attached again", within=10)
    told = len(service.plane.statements)
    service.plane.answer = None
    until(lambda: len(service.plane.statements) > told, what="told at last", within=5)
    service.becomes(one, "attached")


def test_one_that_is_asked_for_otherwise_is_not_told_attached_until_it_is(
    service: Service, inside: tuple[Namespace, str]
) -> None:
    namespace, netns = inside
    one = attachment(netns=netns)
    service.want(one)
    service.becomes(one, "attached")
    moved = replace(one, interface="eth13")
    service.want(moved)
    service.becomes(moved, "attached")
    since = [said for said in service.plane.statements if said.version == service.plane.holdings.version]
    assert next(said.attachments[0].state for said in since if said.attachments) == "releasing"
    assert addresses(namespace, "eth13") != []
