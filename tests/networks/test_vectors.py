"""Every computed case of the reference: segments, refusals, usage."""

from typing import Any

import pytest
from netaddr import IPNetwork

from netadmin.problems import Problem
from networks import addressing, convergence
from networks.models import Network
from nodes.models import Node
from tests import factories
from tests.networks import cases
from workers.kernel import links

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("case", cases.load("segments"), ids=lambda case: case["id"])
def test_it_cuts_a_network_as_the_reference_does(case: dict[str, Any]) -> None:
    cases.add_nodes(case["nodes"])
    network = cases.declared("backend1", {"type": "routed_bridge", **case["network"]})
    chosen = {row.node.name: row.subnet for row in network.segments.select_related("node") if row.node}
    assert chosen == {node: want["subnet"] for node, want in case["expect"].items()}
    for node, want in case["expect"].items():
        cidr = IPNetwork(chosen[node])
        assert f"{addressing.first_address(cidr)}/{cidr.prefixlen}" == want["address"]
        assert (links.pinned_mac([chosen[node]]) or None) == want["mac"]


@pytest.mark.parametrize("case", cases.load("reject"), ids=lambda case: case["id"])
def test_it_refuses_with_the_keyword_to_blame(case: dict[str, Any]) -> None:
    cases.add_nodes(case["nodes"])
    *before, (name, keywords) = case["networks"].items()
    for earlier in before:
        cases.declared(*earlier)
    with pytest.raises(Problem) as caught:
        cases.declared(name, keywords)
    blamed = [fault for fault in caught.value.faults if fault.field == case["expect"]["field"]]
    assert blamed, f"{caught.value} does not blame {case['expect']['field']}"
    assert all(fault.why and fault.remedy for fault in caught.value.faults)
    assert not Network.objects.filter(name=name).exists()
    if prefix := case["expect"].get("longest_prefix_that_fits"):
        assert f"/{prefix} or larger" in blamed[0].remedy


@pytest.mark.parametrize("case", cases.load("status"), ids=lambda case: case["id"])
def test_it_counts_usage_as_the_reference_does(case: dict[str, Any]) -> None:
    cases.add_nodes(sorted({ip["node"] for ip in case["ips"]}))
    for name, keywords in case["networks"].items():
        cases.declared(name, keywords)
    for ip in case["ips"]:
        node = Node.objects.get(name=ip["node"])
        for network in Network.objects.all():
            if any(ip["ip"] in cidr for cidr in network.cidrs):
                factories.an_allocation(network, ip["ip"], node, service=ip["path"], resource=ip["rid"])
    states = {state.network.name: state for state in convergence.network_states()}
    assert list(states) == sorted(case["expect"])
    for name, want in case["expect"].items():
        state = states[name]
        got = (state.network.type, str(state.network.size), state.used, str(state.free), state.percent)
        assert got == (want["type"], want["size"], want["used"], want["free"], want["pct"])
