"""What the tests of the control plane share: a database of their own, no broker, the cast's clients.

The database is SQLite in a file, or what NETADMIN_DATABASE_URL says (``tests.postgres``).
"""

from collections.abc import Generator

import pytest
from django.db import connections
from rest_framework.test import APIClient

from netadmin import broker
from nodes import tokens
from nodes.models import Node
from tests import factories

pytest_plugins = ["pytester", "tests.umlinux.plugin"]


@pytest.fixture(scope="session")
def django_db_modify_db_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """SQLite in memory would lock otherwise than in a file: no write-ahead log."""
    test = connections["default"].settings_dict["TEST"]
    if connections["default"].vendor == "sqlite":
        test["NAME"] = str(tmp_path_factory.mktemp("database") / "test.sqlite3")


@pytest.fixture(scope="session", autouse=True)
def _no_broker() -> None:
    """Wake-ups of a test must not reach the broker of a control plane that runs on this machine."""
    broker.app.conf.update(broker_url="redis+socket:///nowhere/broker.sock")


class Client(APIClient):
    """Speaks JSON below ``/api/v1/`` and says who it is by token."""

    def __init__(self, token: str = "") -> None:
        super().__init__(raise_request_exception=False)
        if token:
            self.credentials(HTTP_AUTHORIZATION=f"Token {token}")


def of_user(name: str) -> Client:
    return Client(tokens.for_user(factories.a_user(name), description="test", by="ada"))


def of_node(node: Node) -> Client:
    return Client(tokens.for_node(node, by="ada"))


@pytest.fixture
def anonymous() -> Client:
    return Client()


@pytest.fixture
def vera(db: None) -> Client:
    return of_user("vera")


@pytest.fixture
def oscar(db: None) -> Client:
    return of_user("oscar")


@pytest.fixture
def ada(db: None) -> Client:
    return of_user("ada")


@pytest.fixture
def nodes(db: None) -> list[Node]:
    """n1, n2, n3 and n4."""
    return factories.the_nodes()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Nothing is skipped: what a test misses is a failure that says so."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and nothing may be: {report.longrepr}"
    return report
