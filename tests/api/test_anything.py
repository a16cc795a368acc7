"""Whatever is sent is taken or refused; nothing makes the control plane fail."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from networks import holdings
from networks.models import Network
from nodes.models import Node
from tests import factories
from tests.conftest import Client, of_user
from workers import holdings as wire

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
CIDR = st.sampled_from(
    [
        *("10.11.0.0/16", "10.22.0.0/16", "10.11.0.0/29", "10.11.0.0/30", "10.11.0.0/31", "10.11.0.0/32"),
        *(
            "0.0.0.0/0",
            "255.255.255.255/32",
            "10.11.0.1/16",
            "10.11.0.0/-1",
            "10.11.0.0/٣",
            "1/8",
            "/",
            "none",
        ),
        *("fd11::/48", "fd11::/126", "::/0", "::/128", "::ffff:10.0.0.0/104", "", " "),
        *("10.11.0.0/16 fd11::/48", "fd11::/48 10.11.0.0/16", "fd11::/48 fd12::/48"),
    ]
)
ADDRESS = st.sampled_from(["192.0.2.1", "fd00::1", "192.0.2.1 fd00::1", "127.0.0.1", "fe80::1", "", "n1"])
NUMBER = st.sampled_from(
    [-1, 0, 1, 3, 4, 5, 1024, 1400, 65535, 65536, 2**31, 2**32, 2**63 - 1, 2**63, 2**128]
)
NODE = st.sampled_from(["n1", "n2", "n2", "n9"])
MASK = st.sampled_from(
    ["24", "24 64", "64 24", "0", "30", "32", "64", "126", "128", "129", "-1", "٢٤", "24 ", ""]
)
OVERRIDES = st.fixed_dictionaries(
    {}, optional={"subnet": CIDR, "addr": ADDRESS, "gateway": ADDRESS, "network": CIDR}
)
KEYWORDS = {
    "type": st.sampled_from(["bridge", "routed_bridge", "routed_bridge", "weave", "loopback"]),
    "network": CIDR,
    "nodes": st.none() | st.lists(NODE, max_size=3),
    "ips_per_node": NUMBER,
    "mask_per_node": MASK,
    "tunnel": st.sampled_from(["auto", "always", "never"]),
    "tunnel_mode": st.sampled_from(["ipip", "gre", "ip6ip6"]),
    "tables": st.lists(st.sampled_from(["main", "1", 100, "4294967295", "4294967296", "²"]), max_size=3),
    "dev": st.sampled_from(["", "br0", "a/b", "..", "x" * 15]),
    "public": st.booleans(),
    "mtu": st.none() | NUMBER,
    "comment": st.text(max_size=260),
    "tags": st.lists(st.text(max_size=70), max_size=3),
    "per_node": st.dictionaries(NODE, OVERRIDES, max_size=2),
}
NAME = st.sampled_from(["backend1", "backend1", "default", "lo", "b", "x" * 64])


@st.composite
def networks(draw: st.DrawFn) -> dict[str, Any]:
    """A few keywords with values of their kind, now and then anything at all in one of them."""
    chosen = draw(st.sets(st.sampled_from([*KEYWORDS, "type", "network"]), max_size=5))
    body: dict[str, Any] = {
        "name": draw(NAME),
        **{keyword: draw(KEYWORDS[keyword]) for keyword in sorted(chosen)},
    }
    if draw(st.integers(0, 4)) == 0:
        body[draw(st.sampled_from(["name", *KEYWORDS]))] = draw(JSON)
    return body


PORT = st.sampled_from(["80/tcp", "80-udp:8080", "80:8001/tcp", "0/tcp", "80/tcp:70000", "²/tcp", "", "80"])
TEXT = st.sampled_from(["", "web", "a.b", "a b", "x" * 300, "-", "..", "10-11-0-7", "é", "docker:web", "/"])
ASKED = {
    "service": st.sampled_from(["web", "prod/svc/web", "a/vol/b", "a/b/c/d", "/", "svc/web"]) | st.text(),
    "resource": st.sampled_from(["ip#0", "ip#1", "ip", "fs#0", "ip#" + "x" * 70]),
    "node": st.sampled_from(["n1", "n1", "n2", "n9"]),
    "network": st.sampled_from(["backend1", "backend1", "default", "lo", "none"]),
    "netns": TEXT,
    "interface": TEXT,
    "wanted": st.lists(
        ADDRESS | st.sampled_from(["10.11.0.7", "10.11.0.0", "fd11::7", "10.11.4.7"]), max_size=2
    ),
    "expose": st.lists(PORT, max_size=3),
    "hostname": TEXT,
    "dns_name_suffix": TEXT,
    "wait_dns": st.sampled_from([0, 1.5, -1, 1e300]),
    "comment": st.text(max_size=260),
}


@st.composite
def asked(draw: st.DrawFn) -> dict[str, Any]:
    """The same of a service's resource."""
    chosen = draw(st.sets(st.sampled_from(list(ASKED)), max_size=4)) | {"service", "resource", "node"}
    body: dict[str, Any] = {keyword: draw(ASKED[keyword]) for keyword in sorted(chosen)}
    if draw(st.integers(0, 4)) == 0:
        body[draw(st.sampled_from(list(ASKED)))] = draw(JSON)
    return body


SECTION = st.sampled_from(
    [
        *("[ip#0]", "[ip#1]", "[container#0]", "[DEFAULT]", "[", "type = cni", "type = docker", "name = web"),
        *("network = backend1", "network@n1 = default", "netns = container#0", "expose = 80/tcp", "nonsense"),
        *("  80/udp", "expose = 80/tcp:80 81/tcp:81", "wait_dns = 5s", "hostname = {svcname}", "netns = {x}"),
    ]
)

FILTERS = [
    *("name", "type", "tag", "node", "network", "address", "service", "state", "current", "since", "kind"),
    *("actor", "page", "page_size", "ordering", "cursor"),
]
ALL = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


def settled(response: Any) -> bool:
    assert response.status_code < 500, response.content
    if response.status_code < 300:
        return True
    problem = response.json()
    assert response["Content-Type"] == "application/problem+json"
    assert all(fault["field"] and fault["why"] and fault["remedy"] for fault in problem["errors"])
    return False


class Anything(TestCase):
    api: Client

    @classmethod
    def setUpTestData(cls) -> None:
        cls.api = of_user("ada")
        for name in ("n1", "n2"):
            factories.a_node(name)

    @ALL
    @given(networks())
    def test_a_network(self, body: dict[str, Any]) -> None:
        if settled(self.api.post("/api/v1/networks/", body)):
            shown = self.api.get(f"/api/v1/networks/{body['name']}/").json()
            again = self.api.put(f"/api/v1/networks/{body['name']}/", shown)
            assert again.json() == shown
            for node in ("n1", "n2"):
                assert self.api.get(f"/api/v1/nodes/{node}/desired/").status_code == 200

    @ALL
    @given(st.lists(networks(), min_size=1, max_size=4))
    def test_one_change_after_another(self, bodies: list[dict[str, Any]]) -> None:
        self.api.put("/api/v1/networks/backend1/", {"type": "routed_bridge", "network": "10.11.0.0/16"})
        for body in bodies:
            body.pop("name")
            settled(self.api.patch("/api/v1/networks/backend1/", body))
        shown = self.api.get("/api/v1/networks/backend1/").json()
        assert self.api.put("/api/v1/networks/backend1/", shown).json() == shown

    @ALL
    @given(JSON | st.lists(networks(), max_size=3))
    def test_a_body(self, body: Any) -> None:
        before = set(Network.objects.values_list("name", flat=True))
        if not settled(self.api.post("/api/v1/networks/", body)):
            assert set(Network.objects.values_list("name", flat=True)) == before

    @ALL
    @given(st.lists(asked(), min_size=1, max_size=4))
    def test_services(self, bodies: list[dict[str, Any]]) -> None:
        """What is taken can be sent back, and stays what it is; its node can read it."""
        self.api.put(
            "/api/v1/networks/backend1/",
            {"type": "routed_bridge", "network": "10.11.0.0/16 fd11::/48", "mask_per_node": "22 64"},
        )
        for body in bodies:
            response = self.api.post("/api/v1/allocations/", body)
            if settled(response):
                shown = response.json()
                again = {name: shown[name] for name in ASKED}
                assert self.api.post("/api/v1/allocations/", again).json()["version"] == shown["version"]
            settled(self.api.patch("/api/v1/allocations/1/", body))
        for name in ("n1", "n2"):
            wire.parse(wire.dump(holdings.of_node(Node.objects.get(name=name))))

    @ALL
    @given(st.lists(SECTION, max_size=10).map("\n".join) | st.text(), st.sampled_from(["n1", "n9"]))
    def test_a_configuration(self, text: str, node: str) -> None:
        self.api.put("/api/v1/networks/backend1/", {"type": "routed_bridge", "network": "10.11.0.0/16"})
        body = {"service": "web", "node": node, "text": text}
        if settled(self.api.post("/api/v1/services/", body)):
            shown = self.api.post("/api/v1/services/", body).json()
            assert {one["change"] for one in shown["resources"]} <= {"unchanged"}

    @ALL
    @given(JSON, JSON, JSON, st.sampled_from(["n3", "n1"]) | JSON)
    def test_a_node(self, addresses: Any, directory: Any, comment: Any, name: Any) -> None:
        body = {"addresses": addresses, "cni_config": directory, "comment": comment}
        settled(
            self.api.post("/api/v1/nodes/", {"name": name, "addresses": ["192.0.2.3"], "comment": comment})
        )
        settled(self.api.patch("/api/v1/nodes/n1/", body))

    @ALL
    @given(
        st.sampled_from(
            [
                "name",
                "dns",
                "allowed_networks",
                "cni_plugins",
                "cni_config",
                "look_interval",
                "probe_interval",
                "confirm_seconds",
            ]
        ),
        JSON,
    )
    def test_the_cluster(self, field: str, value: Any) -> None:
        settled(self.api.patch("/api/v1/cluster/", {field: value}))

    @ALL
    @given(
        st.sampled_from(["networks", "nodes", "allocations", "events"]),
        st.sampled_from(FILTERS),
        st.text() | CIDR | NUMBER.map(str),
    )
    def test_a_query(self, resource: str, field: str, value: str) -> None:
        settled(self.api.get(f"/api/v1/{resource}/", {field: value}))


@pytest.mark.django_db
@pytest.mark.parametrize("header", ['"1', "1", "W/1", '"-1"', "*", '"' + "9" * 30 + '"', "é", '"1", "2"'])
def test_an_if_match(ada: Client, header: str) -> None:
    assert ada.patch("/api/v1/cluster/", {"look_interval": 5}, HTTP_IF_MATCH=header).status_code in (
        200,
        400,
        412,
    )


@pytest.mark.parametrize(
    "header", ["Token", "Token a b", "Token \xff", "Bearer x", "Basic dmVyYTp4", "Token " + "x" * 5000]
)
@pytest.mark.django_db
def test_an_authorization(header: str) -> None:
    client = Client()
    assert client.get("/api/v1/networks/", HTTP_AUTHORIZATION=header).status_code == 401
