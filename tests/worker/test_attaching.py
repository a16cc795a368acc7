"""From what the control plane asks for to the address in the container, by real plugins."""

from collections.abc import Iterator

import pytest

from lab.namespaces import Namespace
from lab.waiting import until
from tests.worker.attachments import attachment, container
from tests.worker.conftest import Node
from tests.worker.control_plane import ControlPlane
from workers.agent import Agent
from workers.holdings import Attachment, Standing


class Service:
    """What the control plane wants of the node, and what became of it."""

    def __init__(self, node: Node, plane: ControlPlane, agent: Agent) -> None:
        self.node, self.plane, self.agent = node, plane, agent

    def want(self, *attachments: Attachment) -> None:
        self.plane.want(*attachments)
        self.agent.hold()

    def becomes(self, one: Attachment, state: str, within: float = 10) -> Standing:
        def there() -> Standing | None:
            standing = self.plane.standing(one)
            return standing if standing and standing.state == state else None

        return until(there, what=f"{one.service} is {state}", within=within)  # type: ignore[return-value]

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
    shown = namespace.run(["ip", "-o", "addr", "show", "dev", interface, "scope", "global"])
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
    service.want()
    service.gone(one)
    assert service.node.leases() == {}
    assert service.node.links() == links
    assert list((service.node.state / "attachments").iterdir()) == []
