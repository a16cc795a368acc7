"""Networks of other types than the bridges: what plugins of others make of the files we write."""

import json
from typing import Any

import pytest

from lab.cluster import Cluster
from lab.node import Node
from lab.pings import ping
from lab.rest import Refused
from lab.waiting import until
from networks import conflist
from tests.lab.conftest import CONVERGED_WITHIN, Declare

DIRECT = {"type": "cni", "network": "10.13.0.0/24", "template": conflist.EXAMPLE}


def _file(node: Node, network: str) -> dict[str, Any]:
    return dict(json.loads((node.confs / f"{network}.conflist").read_text()))


def test_containers_are_attached_by_any_plugin_that_a_template_names(
    cluster: Cluster, declare: Declare
) -> None:
    """ptp of Debian's containernetworking-plugins, in place of a bridge of ours."""
    declare("direct", **DIRECT)
    n1 = cluster.nodes["n1"]
    body = _file(n1, "direct")
    assert (body["name"], body["netadmin"]) == ("direct", {"node": "n1"})
    assert body["plugins"][0]["ipam"]["subnet"] == "10.13.0.0/24"
    a, b = cluster.container("n1", "direct"), cluster.container("n1", "direct")
    assert (a.address, b.address) == ("10.13.0.2", "10.13.0.3")
    assert ping(a.namespace, b.address, count=3).lost == 0
    shown = until(
        lambda: cluster.api.get("allocations/?network=direct")["results"],
        what="leases of the plugin's store are reported",
        within=CONVERGED_WITHIN,
    )
    assert shown[0]["addresses"] == ["10.13.0.2"]


def test_a_change_of_the_template_changes_the_file_and_a_withdrawn_one_takes_it_away(
    cluster: Cluster, declare: Declare
) -> None:
    declare("direct", **DIRECT)
    n1 = cluster.nodes["n1"]
    cluster.change("direct", template=conflist.EXAMPLE.replace("{{mtu}}", "1400"))
    cluster.converged("direct", within=CONVERGED_WITHIN)
    assert _file(n1, "direct")["plugins"][0]["mtu"] == 1400
    (inside,) = json.loads(
        cluster.container("n1", "direct").namespace.run(["ip", "-json", "link", "show", "eth0"])
    )
    assert inside["mtu"] == 1400
    (n1.confs / "direct.conflist").unlink()
    until((n1.confs / "direct.conflist").exists, what="the file is back", within=CONVERGED_WITHIN)
    cluster.withdraw("direct")
    cluster.settled(within=CONVERGED_WITHIN)
    assert not (n1.confs / "direct.conflist").exists()


def test_a_plugin_that_no_node_has_is_refused(cluster: Cluster) -> None:
    cluster.settled(within=CONVERGED_WITHIN)
    with pytest.raises(Refused, match="calico: is no plugin in the plugin directory of n1, n2, n3"):
        cluster.declare("direct", type="cni", template=conflist.EXAMPLE.replace("ptp", "calico"),
                        network="10.13.0.0/24")  # fmt: skip


def test_a_file_of_others_is_listed_and_left_alone(cluster: Cluster) -> None:
    file = cluster.nodes["n2"].confs / "87-theirs.conflist"
    file.write_text('{"cniVersion": "1.0.0", "name": "theirs", "plugins": [{"type": "loopback"}]}')
    shown = until(
        lambda: cluster.api.get("foreign-networks/"), what="the file is reported", within=CONVERGED_WITHIN
    )
    assert [(one["name"], one["type"], one["files"]) for one in shown] == [
        ("theirs", "undef", [{"node": "n2", "path": str(file)}])
    ]
    assert "theirs" in cluster.control.manage("net", "ls").splitlines()
    file.unlink()
    until(lambda: not cluster.api.get("foreign-networks/"), what="it is forgotten", within=CONVERGED_WITHIN)


def test_the_default_network_is_switched_off_everywhere_but_not_under_a_container(cluster: Cluster) -> None:
    cluster.change("default", network="10.22.0.0/16")
    cluster.converged("default", within=CONVERGED_WITHIN)
    container = cluster.container("n3", "default")
    _leased(cluster, container.address)
    with pytest.raises(Refused, match=rf"{container.address} \({container.name} on n3\)"):
        cluster.change("default", network="none")
    cluster.detach(container)
    _free(cluster, "default")
    cluster.change("default", network="none")
    cluster.settled(within=CONVERGED_WITHIN)
    for node in cluster.nodes.values():
        assert "obr_default" not in node.links()
        assert not (node.confs / "default.conflist").exists()
    cluster.change("default", network="10.22.0.0/16")
    cluster.converged("default", within=CONVERGED_WITHIN)
    assert all("obr_default" in node.links() for node in cluster.nodes.values())


def test_a_network_leaves_a_node_by_force_only_and_comes_to_another(
    cluster: Cluster, declare: Declare
) -> None:
    declare("pair", type="bridge", network="10.10.10.0/24", nodes=["n1", "n2"])
    container = cluster.container("n2", "pair")
    _leased(cluster, container.address)
    with pytest.raises(Refused, match=r"10\.10\.10\.2 .* on n2"):
        cluster.change("pair", nodes=["n1", "n3"])
    cluster.api.patch("networks/pair/?force=true", nodes=["n1", "n3"])
    cluster.settled(within=CONVERGED_WITHIN)
    has = {name for name, node in cluster.nodes.items() if "obr_pair" in node.links()}
    assert has == {"n1", "n3"}
    assert not (cluster.nodes["n2"].confs / "pair.conflist").exists()


def _leased(cluster: Cluster, address: str) -> None:
    until(
        lambda: cluster.api.get(f"allocations/?address={address}")["results"],
        what=f"the lease of {address} is known",
        within=CONVERGED_WITHIN,
    )


def _free(cluster: Cluster, network: str) -> None:
    until(
        lambda: not cluster.api.get(f"allocations/?network={network}")["results"],
        what=f"no lease of {network} is left",
        within=CONVERGED_WITHIN,
    )
