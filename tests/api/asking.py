"""What a service asks for, as the tests of the API ask for it."""

from typing import Any

from networks.models import Allocation
from tests.api.test_holdings import standing, state
from tests.conftest import Client

URL = "/api/v1/allocations/"
ASK = {"service": "prod/svc/web", "resource": "ip#0", "node": "n1", "network": "backend1"}


def ask(client: Client, query: str = "", **values: Any) -> Any:
    return client.post(f"{URL}{query}", {**ASK, **values})


def asked(client: Client, **values: Any) -> Allocation:
    response = ask(client, **values)
    assert response.status_code == 202, response.json()
    return Allocation.objects.get(pk=response.json()["id"])


def attached(client: Client, node: Client, address: str = "10.11.0.2", **values: Any) -> Allocation:
    row = asked(client, **values)
    assert state(node, standing(row, address)).status_code == 204
    row.refresh_from_db()
    return row
