"""/api/v1/networks/ of type cni: what may be declared as a configuration list, and what a node gets."""

import json
from typing import Any

import pytest

from networks import conflist
from nodes.models import Node
from tests import factories
from tests.conftest import Client, of_node

URL = "/api/v1/networks/"
PLUGINS = ["host-local", "ptp"]


def direct(template: str = conflist.EXAMPLE, **fields: Any) -> dict[str, Any]:
    return {"name": "direct", "type": "cni", "network": "10.13.0.0/24", "template": template, **fields}


def a_list(*plugins: object, **keys: object) -> str:
    return json.dumps({"cniVersion": "1.0.0", "plugins": list(plugins), **keys})


def told(node: Node) -> dict[str, Any]:
    """The network ``direct`` in the node's document."""
    document = of_node(node).get(f"/api/v1/nodes/{node.name}/desired/").json()
    [found] = [one for one in document["head"]["networks"] if one["name"] == "direct"]
    return dict(found)


def test_the_example_can_be_declared_and_reaches_the_nodes(oscar: Client, nodes: list[Node]) -> None:
    shown = oscar.post(URL, direct()).json()
    assert shown["template"] == conflist.EXAMPLE
    assert (shown["size"], shown["device"]) == ("256", "")
    assert told(nodes[0])["conf"] == conflist.EXAMPLE
    assert told(nodes[0])["subnets"] == ["10.13.0.0/24"]


def test_it_needs_no_range(oscar: Client, nodes: list[Node]) -> None:
    template = a_list({"type": "macvlan", "master": "{{interface}}", "ipam": {"type": "dhcp"}})
    shown = oscar.post(URL, direct(template, network="")).json()
    assert (shown["network"], shown["size"], shown["pct"]) == ("", "0", "0.00%")
    assert told(nodes[0])["subnets"] == []


def test_a_node_may_have_a_range_of_its_own(oscar: Client, nodes: list[Node]) -> None:
    given = direct(per_node={"n2": {"network": "10.13.2.0/24"}})
    assert oscar.post(URL, given).status_code == 201
    assert [told(node)["subnets"] for node in nodes[:2]] == [["10.13.0.0/24"], ["10.13.2.0/24"]]


def test_its_range_overlaps_no_other(oscar: Client) -> None:
    [fault] = oscar.post(URL, direct(network="10.22.4.0/24")).json()["errors"]
    assert fault["why"] == "overlaps 10.22.0.0/16 of network default"


def test_line_ends_of_a_form_are_no_change(oscar: Client) -> None:
    oscar.post(URL, direct())
    given = {"template": conflist.EXAMPLE.replace("\n", "\r\n") + "\r\n"}
    assert oscar.patch(f"{URL}direct/", given).json()["version"] == 1


@pytest.mark.parametrize(
    ("template", "value", "why"),
    [
        pytest.param("", "", "is missing", id="none"),
        pytest.param("{", "{", "is no JSON with values filled in", id="half"),
        pytest.param("[]", "[]", "is no JSON object", id="a list"),
        pytest.param('{"mtu": {{mut}}}', "{{mut}}", "is no placeholder", id="misspelt"),
        pytest.param('{"a": "{{node name}}"}', "{{node name}}", "is no placeholder", id="two words"),
        pytest.param('{"a": "{{ cidr6 }}"}', "{{cidr6}}", "no IPv6 range", id="of the other family"),
        pytest.param('{"a": {{node}} "}', '{"a": {{node}} "}', "is no JSON", id="outside of quotes"),
        pytest.param(a_list(), "plugins", "is no list of plugins", id="no plugin"),
        pytest.param(
            '{"cniVersion": "1.0.0", "type": "ptp"}', "plugins", "is no list of plugins", id="one plugin"
        ),
        pytest.param(a_list("ptp"), "plugins[0]", "names no plugin", id="a word"),
        pytest.param(a_list({"type": "../ptp"}), "plugins[0].type ../ptp", "names no plugin", id="a path"),
        pytest.param(
            a_list({"type": "ptp", "ipam": {}}, {"type": 1}), "plugins[1].type 1", "names no", id="1"
        ),
        pytest.param(
            a_list({"type": "ptp", "ipam": {"subnet": "{{cidr}}"}}), "plugins[0].ipam", "names no", id="ipam"
        ),
        pytest.param(a_list({"type": "ptp"}, cniVersion="0.2.0"), "cniVersion 0.2.0", "no version", id="old"),
        pytest.param(a_list({"type": "ptp"}, name="other"), "name other", "is not the name", id="named"),
        pytest.param(a_list({"type": "ptp"}, netadmin={}), "netadmin", "is the mark", id="marked"),
        pytest.param("x" * 20000, "x" * 57 + "...", "is longer than 16384 characters", id="long"),
    ],
)
def test_it_refuses_what_is_no_configuration_list(oscar: Client, template: str, value: str, why: str) -> None:
    response = oscar.post(URL, direct(template))
    assert response.status_code == 400
    [fault] = response.json()["errors"]
    assert (fault["field"], fault["value"]) == ("template", value)
    assert why in fault["why"]
    assert fault["remedy"]


def test_a_misspelt_placeholder_is_answered_with_those_there_are(oscar: Client) -> None:
    [fault] = oscar.post(URL, direct('{"mtu": {{mut}}}')).json()["errors"]
    assert fault["remedy"].startswith("Use one of network, node, cluster, address, interface, cidr")


def test_a_range_is_asked_for_when_the_template_needs_one(oscar: Client) -> None:
    [fault] = oscar.post(URL, direct(network="")).json()["errors"]
    assert fault["value"] == "{{cidr}}"
    assert fault["why"] == "has no value, as the network has no range"


def test_other_types_have_no_template(oscar: Client) -> None:
    [fault] = oscar.post(URL, direct(type="bridge")).json()["errors"]
    assert fault["field"] == "template"
    assert fault["why"] == "a network of type bridge writes its own configuration"


def test_a_plugin_that_a_node_lacks_is_named_with_the_node(oscar: Client, nodes: list[Node]) -> None:
    """n3 and n4 have not reported: nobody knows, and their workers will say so."""
    factories.reported("n1", capabilities={"plugins": PLUGINS})
    factories.reported("n2", capabilities={"plugins": ["ptp"]})
    [fault] = oscar.post(URL, direct()).json()["errors"]
    assert fault["value"] == "host-local"
    assert fault["why"] == "is no plugin in the plugin directory of n2"
    assert oscar.post(URL, direct(nodes=["n1", "n3"])).status_code == 201


def test_a_range_goes_out_with_the_type_that_does_not_need_it(oscar: Client) -> None:
    """A bridge cannot be without a range; the refusal says so and not that it is switched off."""
    template = a_list({"type": "loopback"})
    oscar.post(URL, direct(template, network=""))
    [fault] = oscar.patch(f"{URL}direct/", {"type": "bridge", "template": ""}).json()["errors"]
    assert (fault["field"], fault["why"]) == ("network", "is missing")
