"""Segments: chosen once, kept, reused last."""

from itertools import combinations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from netadmin.problems import Conflict, InUse, Problem
from networks import addressing, declare, membership
from networks.declaration import Declaration
from networks.models import Network
from nodes.models import Node
from tests import factories


def held(network: Network) -> dict[str, str]:
    rows = network.segments.exclude(node=None).select_related("node")
    return {row.node.name: row.subnet for row in rows if row.node}


@pytest.mark.django_db
def test_a_node_that_joins_gets_the_lowest_slot_never_used_and_nobody_moves() -> None:
    factories.the_nodes()
    network = factories.a_network()
    before = held(network)
    membership.remove("n2", by="ada")
    factories.a_node("n5")
    assert held(network) == {name: subnet for name, subnet in before.items() if name != "n2"} | {
        "n5": "10.11.16.0/22"
    }


@pytest.mark.django_db
def test_a_freed_slot_is_reused_when_no_other_is_left_the_longest_free_first() -> None:
    factories.the_nodes()
    network = factories.a_network(network="10.11.0.0/20")
    membership.remove("n3", by="ada")
    membership.remove("n1", by="ada")
    factories.a_node("n5")
    factories.a_node("n6")
    assert held(network)["n5"] == "10.11.8.0/22"
    assert held(network)["n6"] == "10.11.0.0/22"


@pytest.mark.django_db
def test_a_full_network_refuses_the_next_node_and_says_how_large_it_would_have_to_be() -> None:
    factories.the_nodes()
    factories.a_network(network="10.11.0.0/20")
    with pytest.raises(Conflict, match=r"5 nodes need one each\. Declare a network of /19 or larger"):
        factories.a_node("n5")
    assert not Node.objects.filter(name="n5").exists()


@pytest.mark.django_db
def test_a_declared_subnet_takes_its_place_and_the_others_stay() -> None:
    factories.the_nodes()
    network = factories.a_network(nodes=factories.IN_SCOPE)
    declare.change("backend1", Declaration(per_node={"n1": {"subnet": "10.11.128.0/20"}}), by="oscar")
    assert held(network) == {"n1": "10.11.128.0/20", "n2": "10.11.4.0/22", "n3": "10.11.8.0/22"}


@pytest.mark.django_db
def test_a_new_range_gives_new_segments_but_not_while_addresses_are_in_use() -> None:
    node, *_ = factories.the_nodes()
    network = factories.a_network()
    factories.an_allocation(network, "10.11.0.7", node)
    wanted = Declaration({"network": "10.12.0.0/16"})
    with pytest.raises(InUse, match=r"10\.11\.0\.7 \(root/svc/web on n1\)"):
        declare.change("backend1", wanted, by="oscar")
    declare.change("backend1", wanted, by="oscar", force=True)
    assert held(network)["n1"] == "10.12.0.0/22"


@pytest.mark.django_db
def test_nothing_is_half_done_when_a_change_is_refused() -> None:
    factories.the_nodes()
    network = factories.a_network()
    before = held(network)
    with pytest.raises(Problem, match="host bits"):
        declare.change("backend1", Declaration({"network": "10.11.0.1/20", "mtu": 1400}), by="oscar")
    network.refresh_from_db()
    assert (network.version, network.mtu, held(network)) == (1, None, before)


class Churn(TestCase):
    """Whatever comes and goes in whatever order."""

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(st.booleans(), st.integers(1, 9)), max_size=25))
    def test_segments_stay_apart_inside_and_where_they_are(self, moves: list[tuple[bool, int]]) -> None:
        network = factories.a_network(network="10.11.0.0/19")
        used: list[str] = []
        for join, number in moves:
            name, before = f"n{number}", held(network)
            if join == (name in before):
                continue
            if not join:
                membership.remove(name, by="ada")
                assert held(network) == {node: subnet for node, subnet in before.items() if node != name}
                continue
            if len(before) == 8:
                with pytest.raises(Conflict):
                    factories.a_node(name)
                continue
            factories.a_node(name)
            now = held(network)
            assert {node: subnet for node, subnet in now.items() if node != name} == before
            fresh = [
                str(subnet) for [subnet] in map(network.grid.subnet, range(8)) if str(subnet) not in used
            ]
            assert not fresh or now[name] == fresh[0]
            used.append(now[name])
            cidrs = [addressing.parse(subnet) for subnet in now.values()]
            assert all(cidr in network.cidrs[0] for cidr in cidrs)
            assert not any(addressing.overlap(a, b) for a, b in combinations(cidrs, 2))
