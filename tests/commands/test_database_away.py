"""The database goes and comes back under a control plane that serves: 503 with Retry-After, then on."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from lab.waiting import until
from tests import postgres
from tests.commands.processes import ControlPlane, free_port


class Asked:
    """One request to the control plane, as curl would do it."""

    def __init__(self, url: str, token: str = "") -> None:
        headers = {"Authorization": f"Token {token}"} if token else {}
        try:
            answer = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            self.status: int = answer.status
            self.headers, self.body = answer.headers, answer.read()


@pytest.fixture
def database() -> Iterator[postgres.Server]:
    with postgres.server() as running:
        yield running


def test_it_answers_503_meanwhile_and_goes_on_afterwards(tmp_path: Path, database: postgres.Server) -> None:
    control = ControlPlane(tmp_path)
    control.environment["NETADMIN_DATABASE_URL"] = database.url
    control.manage("migrate").check_returncode()
    control.manage("user", "add", "vera", "--role", "viewer").check_returncode()
    token = control.manage("user", "token", "vera").stdout.split()[-1]
    host = f"127.0.0.1:{free_port()}"
    networks, health = f"http://{host}/api/v1/networks/", f"http://{host}/healthz"

    def works() -> bool:
        try:
            return Asked(networks, token).status == 200
        except OSError:
            return False

    with control.serving("--no-broker", "--bind", host):
        until(works, what="the control plane serves", within=60)
        database.stop()
        for _ in range(3):  # each connection of the pool learns it by itself
            refused = Asked(networks, token)
            assert (refused.status, refused.headers["Retry-After"]) == (503, "2")
            assert refused.headers["Content-Type"] == "application/problem+json"
            assert json.loads(refused.body)["type"] == "urn:netadmin:problem:database-away"
        assert Asked(health).status == 503
        assert Asked(f"http://{host}/login/").status == 200
        database.start()
        until(works, what="the control plane goes on", within=10)
        assert Asked(health).body == b"ok\n"
        for _ in range(3):  # nobody notices that the server hung up
            assert hung_up(database) > 0
            assert Asked(networks, token).status == 200


def hung_up(database: postgres.Server) -> int:
    """The server ends all other connections; how many there were."""
    ending = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
    others = "pid <> pg_backend_pid() AND usename = %s"
    with psycopg.connect(database.url, autocommit=True) as connection:
        return len(connection.execute(f"{ending} WHERE {others}", [postgres.USER]).fetchall())
