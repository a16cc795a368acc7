"""Whatever a form is sent, it is answered in words."""

import pytest

from tests import factories
from tests.pages.conftest import logged_in

NONSENSE = ("\0", "x" * 5000, "9" * 5000, "-1", "1e400", "nan", "é\u202e", "../..", "' OR 1=1 --")
FORMS = {
    "/networks/backend1/reserve/": ("addresses", "count", "node", "family", "service", "hostname", "comment"),
    "/networks/backend1/release/": ("id",),
    "/new/service/": ("service", "resource", "node", "network", "netns", "expose", "wanted", "wait_dns"),
    "/new/network/": ("name", "type", "network", "nodes", "tunnel", "tables", "mtu", "overrides", "tags"),
    "/new/node/": ("name", "addresses", "weight", "comment"),
}
USUAL = {
    "/new/service/": {"service": "web", "resource": "ip#0", "node": "n1", "network": "backend1"},
    "/new/network/": {
        "name": "other", "type": "routed_bridge", "network": "10.12.0.0/16", "tunnel": "auto",
        "tunnel_mode": "ipip", "tables": "main", "ips_per_node": "1024",
    },
    "/new/node/": {"name": "n9", "addresses": "192.0.2.9"},
}  # fmt: skip
QUERIES = (
    "/services/?q",
    "/networks/backend1/addresses/?q",
    "/networks/backend1/addresses/?page",
    "/networks/backend1/release/?id",
    "/networks/backend1/?node",
    "/networks/backend1/?from",
    "/names/?name",
    "/events/?kind",
    "/events/?name",
    "/events/?before",
    "/nodes/?page",
    "/new/service/?node",
    "/explain/?source",
)
NOWHERE = (
    "/networks/%00/",
    "/nodes/%00/",
    "/networks/A/edit/",
    "/services/" + "9" * 5000 + "/",
    "/services/-1/",
)


@pytest.mark.parametrize(
    ("path", "field"), [(path, field) for path, fields in FORMS.items() for field in fields]
)
def test_a_form_that_is_sent_nonsense_says_so(db: None, path: str, field: str) -> None:
    factories.a_node("n1")
    factories.a_network()
    ada = logged_in("ada")
    for text in NONSENSE:
        for button in ({}, {"preview": "1"}):
            response = ada.post(path, {**USUAL.get(path, {}), field: text, **button})
            assert response.status_code in (200, 302), (field, text)


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_of_nonsense_finds_nothing(db: None, query: str) -> None:
    factories.a_network()
    path, _, name = query.partition("?")
    ada = logged_in("ada")
    for text in NONSENSE:
        assert ada.get(path, {name: text}).status_code == 200, text


@pytest.mark.parametrize("path", NOWHERE)
def test_an_address_of_nonsense_is_not_there(db: None, path: str) -> None:
    assert logged_in("ada").get(path).status_code == 404
