import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.containers import Chain, Container, NotAttached
from lab.namespaces import Namespace
from lab.pings import ping

PLUGINS = Path("/usr/lib/cni")


@pytest.fixture
def host() -> Iterator[Namespace]:
    with Namespace("n1") as namespace:
        yield namespace


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    """A network with room for two containers."""
    ipam = {
        "type": "host-local",
        "dataDir": str(tmp_path / "leases"),
        "subnet": "10.11.0.0/29",
        "rangeEnd": "10.11.0.3",
    }
    bridge = {"type": "bridge", "bridge": "na-bridge", "isGateway": True, "ipam": ipam}
    portmap = {"type": "portmap", "snat": True, "capabilities": {"portMappings": True}}
    file = tmp_path / "small.conflist"
    file.write_text(json.dumps({"name": "small", "cniVersion": "1.0.0", "plugins": [bridge, portmap]}))
    return Chain(file, PLUGINS)


def _leases(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "leases" / "small").glob("10.*"))


def test_two_containers_of_one_node_reach_each_other(host: Namespace, chain: Chain, tmp_path: Path) -> None:
    a, b = Container("a", host, chain), Container("b", host, chain)
    assert (a.address, b.address) == ("10.11.0.2", "10.11.0.3")
    assert ping(a.namespace, b.address, count=3).lost == 0
    a.delete()
    assert _leases(tmp_path) == ["10.11.0.3"]
    assert ping(host, a.address, within=0.1).received == 0
    b.delete()
    assert _leases(tmp_path) == []


def test_a_failed_attachment_leaves_nothing(host: Namespace, chain: Chain, tmp_path: Path) -> None:
    others = [Container(name, host, chain) for name in "ab"]
    before = host.run(["ip", "-brief", "link"])
    with pytest.raises(NotAttached, match="no IP addresses available"):
        Container("c", host, chain)
    assert _leases(tmp_path) == ["10.11.0.2", "10.11.0.3"]
    assert host.run(["ip", "-brief", "link"]) == before
    for container in others:
        container.delete()


def test_a_network_that_nobody_wrote_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotAttached, match=r"absent\.conflist is not there"):
        Chain(tmp_path / "absent.conflist", PLUGINS)
