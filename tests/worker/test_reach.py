"""Whether the machine of the control plane is reached, by packets in namespaces.

192.0.2.254/24 machine ---- 192.0.2.1/24 node
"""

from collections.abc import Iterator

import pytest

from lab.namespaces import Namespace
from tests.worker.conftest import Node
from workers import reach
from workers.changes import Verb
from workers.kernel import addresses
from workers.kernel.addresses import Address
from workers.kernel.netlink import Netlink

LINK = """
link add ctl type veth peer name wire netns {peer}
addr add 192.0.2.1/24 dev ctl
link set ctl up
"""


@pytest.fixture
def machine(node: Node) -> Iterator[Namespace]:
    with Namespace("machine") as machine:
        node.namespace.run(["ip", "-batch", "-"], stdin=LINK.format(peer=machine.path))
        setup = "link set lo up\naddr add 192.0.2.254/24 dev wire\nlink set wire up"
        machine.run(["ip", "-batch", "-"], stdin=setup)
        yield machine


def reached(node: Node, host: str = "192.0.2.254") -> bool:
    node.environment["NETADMIN_URL"] = f"http://{host}:8000"
    with node.namespace.entered():
        return reach.reached(node.settings)


def test_a_machine_that_refuses_is_reached(node: Node, machine: Namespace) -> None:
    assert reached(node)


def test_a_machine_that_is_gone_is_not(node: Node, machine: Namespace) -> None:
    machine.run(["ip", "link", "set", "wire", "down"])
    assert not reached(node)


def test_a_name_that_nobody_knows_is_not(node: Node, machine: Namespace) -> None:
    assert not reached(node, "control.invalid")


def test_a_control_plane_on_the_node_itself_is(node: Node) -> None:
    assert reached(node, "127.0.0.1")
    assert reached(node, "10.0.0.1")


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(
            [
                "link add obr_x group 28257 type bridge",
                "link set obr_x up",
                "addr add 192.0.2.254/30 dev obr_x",
            ],
            id="our bridge has its address",
        ),
        pytest.param(["route add 192.0.2.254 dev ctl proto 157"], id="a route of ours leads there"),
    ],
)
def test_an_answer_by_a_way_that_we_built_proves_nothing(
    node: Node, machine: Namespace, made: list[str]
) -> None:
    assert reached(node)
    for line in made:
        node.ip(line)
    assert not reached(node)


def test_nor_does_one_of_an_adopted_bridge_that_has_the_address_from_us(
    node: Node, machine: Namespace
) -> None:
    assert reached(node)
    address = Address("eth0", "192.0.2.254/30", node.settings.protocol)
    with node.namespace.entered(), Netlink() as netlink:
        assert netlink.send(addresses.encode(Verb.ADD, address, None, netlink.index)) == [None]
    assert not reached(node)


def test_the_same_ways_built_by_others_do(node: Node, machine: Namespace) -> None:
    node.ip("route add 192.0.2.254 dev ctl proto 42")
    assert reached(node)


def test_over_ipv6_as_well(node: Node, machine: Namespace) -> None:
    node.ip("addr add fd00::1/64 dev ctl nodad")
    machine.run(["ip", "addr", "add", "fd00::254/64", "dev", "wire", "nodad"])
    assert reached(node, "[fd00::254]")
    node.ip("-6 route add fd00::254 dev ctl proto 157")
    assert not reached(node, "[fd00::254]")
