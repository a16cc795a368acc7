"""A real PowerDNS with our process beside it, on the database of the tests and a real broker.

    test --commit--> database, broker --> dns serve --> PowerDNS <-- dig

The processes live as long as the session. Each test finds the cluster c1 with the DNS server 10.0.0.53,
the nodes n1 to n4 and the network backend1, 10.11.0.0/16 and fd10::/48.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from django.conf import settings
from django.db import connection
from pytest_django import DjangoDbBlocker

from lab import sandbox
from lab.dns import NameServer
from lab.namespaces import Namespace
from lab.waiting import until
from netadmin import broker, embedded_broker
from netadmin.environment import kept_secret
from netadmin.processes import Children
from networks import cluster
from networks.dns import changes
from networks.models import Network
from nodes import brokeraccess, tokens
from tests import factories

BROKER_PORT = 16379


@pytest.fixture(scope="session", autouse=True)
def _in_a_sandbox() -> None:
    if not sandbox.inside():
        pytest.fail(
            "tests/dns runs in a sandbox: python -m lab.sandbox -- python -m pytest tests/dns", pytrace=False
        )


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of the control plane."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def control_plane(data: Path, django_db_setup: None) -> dict[str, str]:
    """Settings for a process that reads the database of the tests."""
    database = connection.settings_dict
    found = {"NETADMIN_DATA_DIR": str(data)}
    if connection.vendor == "postgresql":
        server = f"{database['USER']}@{quote(database['HOST'], safe='')}:{database['PORT']}"
        return {**found, "NETADMIN_DATABASE_URL": f"postgres://{server}/{database['NAME']}"}
    (data / "netadmin.sqlite3").symlink_to(database["NAME"])
    return found


@pytest.fixture(scope="session")
def _broker(data: Path, _no_broker: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The embedded one, with the rights that it gives."""
    environment = replace(settings.ENVIRONMENT, data_dir=data, broker_port=BROKER_PORT)
    secret = kept_secret(embedded_broker.secret_path(environment))
    with django_db_blocker.unblock():
        argv = embedded_broker.prepare(environment, brokeraccess.access_list(tokens.hashed(secret)))
    before = broker.app.conf.broker_url
    with Children(data) as children:
        children.start("broker", argv)
        until(lambda: embedded_broker.answers(environment), what="the broker answers", within=60)
        path = embedded_broker.socket_path(environment)
        broker.app.conf.update(broker_url=f"redis+socket://control:{secret}@{path}")
        yield
    broker.app.conf.update(broker_url=before)


@pytest.fixture(scope="session")
def host() -> Iterator[Namespace]:
    """The machine that the DNS server runs on."""
    with Namespace("dns") as namespace:
        namespace.run(["ip", "link", "set", "lo", "up"])
        yield namespace


@pytest.fixture(scope="session")
def _running(
    control_plane: dict[str, str], host: Namespace, _broker: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NameServer]:
    directory = tmp_path_factory.mktemp("dns") / "server"
    with NameServer(directory, host, control_plane, recursor=True) as server:
        yield server


@pytest.fixture
def backend1(transactional_db: None, django_db_serialized_rollback: None) -> Network:
    cluster.change(name="c1", dns=["10.0.0.53"], by="ada")
    factories.the_nodes()
    return factories.a_network(network="10.11.0.0/16 fd10::/48", mask_per_node="22 64")


@pytest.fixture
def server(_running: NameServer, backend1: Network) -> NameServer:
    """It serves what is there by now, also its new zones."""
    served()
    for zone in ("c1", "11.10.in-addr.arpa"):
        until(lambda zone=zone: _running.ask(zone, "SOA"), what=f"{zone} is served", within=20)
    return _running


def served(within: float = 20) -> None:
    """Wait until every change up to now is served."""
    now = changes.serial()
    until(
        lambda: changes.servers() and not changes.unserved(now), what="all changes are served", within=within
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Beside a failure, the end of the server's logs."""
    report = yield
    running = getattr(item, "funcargs", {}).get("_running")
    if report.failed and isinstance(running, NameServer):
        report.sections += [
            (f"log of {program.name}", program.tail(15)) for program in (running.backend, running.pdns)
        ]
    return report
