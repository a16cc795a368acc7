"""The embedded broker, its access list, and that nobody waits for it: all on a real server."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from django.conf import settings
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from netadmin import broker, embedded_broker
from netadmin.environment import Environment, EnvironmentProblem, kept_secret
from nodes import brokeraccess, tokens, wakeup
from nodes.models import Node
from tests.commands.conftest import Refusal, Run
from tests.commands.processes import ROOT, ControlPlane, free_port, until

Commit = Callable[..., Any]


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return replace(
        settings.ENVIRONMENT,
        data_dir=tmp_path,
        broker_url="",
        broker_bind=("127.0.0.1",),
        broker_port=free_port(),
    )


@pytest.fixture
def server(
    environment: Environment, nodes: list[Node], monkeypatch: pytest.MonkeyPatch
) -> "Iterator[subprocess.Popen[bytes]]":
    """The embedded broker as ``serve`` starts it, and the control plane connected to it."""
    secret = kept_secret(embedded_broker.secret_path(environment))
    argv = embedded_broker.prepare(environment, brokeraccess.access_list(tokens.hashed(secret)))
    monkeypatch.setattr(settings, "ENVIRONMENT", environment)
    monkeypatch.setattr(broker.app.conf, "broker_url", broker.url())
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    try:
        until(lambda: embedded_broker.answers(environment), what="the broker answers")
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def login(environment: Environment) -> "Iterator[Callable[[str, str], redis.Redis]]":
    """Connections as nodes make them."""
    opened: list[redis.Redis] = []

    def connected(user: str, password: str) -> redis.Redis:
        opened.append(redis.Redis(port=environment.broker_port, username=user, password=password))
        return opened[-1]

    yield connected
    for one in opened:
        one.close()


def sent() -> None:
    """Wait until the background thread has nothing left to do."""
    assert broker._later.done(within=10)


@pytest.mark.usefixtures("server")
class TestAccess:
    def test_a_wake_up_arrives_in_the_queue_of_the_node(
        self, nodes: list[Node], login: Any, django_capture_on_commit_callbacks: Commit
    ) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            token = tokens.for_node(nodes[0], by="ada")
            wakeup.wake_on_commit(["n1", "n2"])
        sent()
        key, message = login("node.n1", token).brpop("node.n1", timeout=5)
        assert key == b"node.n1"
        assert b'"task": "netadmin.look"' in message

    def test_a_queue_never_holds_more_than_one_wake_up(self, nodes: list[Node], login: Any) -> None:
        token = tokens.for_node(nodes[0], by="ada")
        brokeraccess.synchronise()
        for _ in range(3):
            wakeup.wake_up(["n1"])
        client = login("node.n1", token)
        assert client.brpop("node.n1", timeout=5) is not None
        assert client.brpop("node.n1", timeout=0.1) is None

    def test_a_connection_that_is_kept_outlives_the_broker(
        self, nodes: list[Node], login: Any, environment: Environment, server: "subprocess.Popen[bytes]"
    ) -> None:
        token = tokens.for_node(nodes[0], by="ada")
        brokeraccess.synchronise()
        wakeup.wake_up(["n1"])
        server.kill()
        server.wait()
        secret = kept_secret(embedded_broker.secret_path(environment))
        argv = embedded_broker.prepare(environment, brokeraccess.access_list(tokens.hashed(secret)))
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL) as again:
            until(lambda: embedded_broker.answers(environment), what="the broker answers")
            wakeup.wake_up(["n1"])
            assert login("node.n1", token).brpop("node.n1", timeout=5) is not None
            again.kill()

    def test_a_question_takes_no_wake_up_away(self, nodes: list[Node], login: Any) -> None:
        token = tokens.for_node(nodes[0], by="ada")
        brokeraccess.synchronise()
        wakeup.wake_up(["n1"])
        wakeup.tell_of_questions(["n1"])
        client = login("node.n1", token)
        told = [json.loads(client.brpop("node.n1", timeout=5)[1])["headers"]["task"] for _ in range(2)]
        assert told == [broker.TASK, broker.QUESTIONS]

    @pytest.mark.parametrize(
        "command",
        [
            ("BRPOP", "node.n2", "1"),
            ("BRPOP", "node.n10", "1"),
            ("BRPOP", "node.n1", "node.n2", "1"),
            ("LPUSH", "node.n1", "x"),
            ("DEL", "node.n1"),
            ("LLEN", "node.n1"),
            ("KEYS", "*"),
            ("SUBSCRIBE", "x"),
            ("PUBLISH", "x", "y"),
            ("CONFIG", "GET", "*"),
            ("ACL", "LIST"),
            ("CLIENT", "LIST"),
            ("INFO",),
            ("EVAL", "return 1", "0"),
            ("FLUSHALL",),
            ("SHUTDOWN",),
        ],
        ids=" ".join,
    )
    def test_a_node_may_pop_its_own_queue_and_nothing_else(
        self, nodes: list[Node], login: Any, command: tuple[str, ...]
    ) -> None:
        token = tokens.for_node(nodes[0], by="ada")
        brokeraccess.synchronise()
        with pytest.raises(redis.exceptions.NoPermissionError):
            login("node.n1", token).execute_command(*command)

    def test_nobody_gets_in_without_a_password(self, environment: Environment, login: Any) -> None:
        with redis.Redis(port=environment.broker_port) as anonymous, pytest.raises(RedisError):
            anonymous.ping()
        with pytest.raises(redis.exceptions.AuthenticationError):
            login("control", "guessed").ping()

    def test_a_removed_node_is_shut_out_at_once(self, nodes: list[Node], login: Any) -> None:
        client = login("node.n1", tokens.for_node(nodes[0], by="ada"))
        brokeraccess.synchronise()
        client.ping()
        brokeraccess.access_revoked("n1")
        with pytest.raises(RedisError):
            client.ping()

    def test_sync_makes_the_users_what_they_are_to_be(self, run: Run, nodes: list[Node], login: Any) -> None:
        token = tokens.for_node(nodes[1], by="ada")
        brokeraccess.access_granted("gone", tokens.hashed("x"))
        assert run("broker sync") == ["let in: n2", "shut out: gone"]
        assert run("broker sync") == ["let in: n2"]
        login("node.n2", token).ping()

    def test_the_access_list_is_there_after_a_start(
        self, environment: Environment, nodes: list[Node]
    ) -> None:
        token = tokens.for_node(nodes[0], by="ada")
        text = brokeraccess.access_list(tokens.hashed("secret"))
        assert f"user node.n1 reset on #{tokens.hashed(token)} ~node.n1 -@all " in text
        assert token not in text

    def test_a_celery_worker_with_the_nodes_login_runs_the_wake_up(
        self, environment: Environment, nodes: list[Node]
    ) -> None:
        token = tokens.for_node(nodes[0], by="ada")
        brokeraccess.synchronise()
        consumer = Celery("consumer", set_as_current=False)
        consumer.conf.update(
            broker_url=f"redis://node.n1:{token}@127.0.0.1:{environment.broker_port}/0",
            broker_transport_options={"ack_emulation": False, "priority_steps": [0]},
        )
        wakeup.wake_up(["n1"])
        with consumer.connection_for_read() as connection:
            received: list[Any] = []
            with connection.Consumer(
                [broker.queue("n1")], callbacks=[lambda body, message: received.append(message)], no_ack=True
            ):
                connection.drain_events(timeout=5)
        assert received[0].headers["task"] == broker.TASK

    def test_setup_wakes_every_node_in_scope(self, run: Run, nodes: list[Node], login: Any) -> None:
        token = tokens.for_node(nodes[3], by="ada")
        brokeraccess.synchronise()
        assert run("net setup --name default") == ["woke n1, n2, n3, n4"]
        assert login("node.n4", token).brpop("node.n4", timeout=5) is not None


class TestAway:
    def test_a_declaration_does_not_wait_for_a_broker_that_hangs(
        self, run: Run, server: "subprocess.Popen[bytes]", django_capture_on_commit_callbacks: Commit
    ) -> None:
        os.kill(server.pid, signal.SIGSTOP)
        try:
            with django_capture_on_commit_callbacks() as callbacks:
                run("cluster set --kw network#backend1.network=10.11.0.0/16")
            start = time.monotonic()
            for callback in callbacks:
                callback()
            assert callbacks
            assert time.monotonic() - start < 0.1
        finally:
            os.kill(server.pid, signal.SIGCONT)
        sent()

    def test_a_refused_connection_costs_milliseconds(self, server: "subprocess.Popen[bytes]") -> None:
        server.kill()
        server.wait()
        with pytest.raises(OperationalError):
            wakeup.wake_up(["n1"])
        start = time.monotonic()
        with pytest.raises(OperationalError):
            wakeup.wake_up(["n1"])
        assert time.monotonic() - start < 0.2

    def test_the_end_of_a_process_waits_a_second_at_most(
        self, environment: Environment, server: "subprocess.Popen[bytes]"
    ) -> None:
        """Although five different calls wait, of which each takes a second to fail."""
        script = (
            "import django; django.setup()\n"
            "from netadmin import broker; from nodes import wakeup\n"
            "for n in range(5): broker._later.call(broker._logged, wakeup.wake_up, (f'n{n}',))\n"
            "print('end', flush=True)"
        )
        control = ControlPlane(environment.data_dir)
        os.kill(server.pid, signal.SIGSTOP)
        process = subprocess.Popen(
            [sys.executable, "-c", script],
            cwd=ROOT,
            env={**control.environment, "DJANGO_SETTINGS_MODULE": "netadmin.settings"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stdout is not None
            assert process.stdout.readline() == "end\n"
            start = time.monotonic()
            _, log = process.communicate(timeout=30)
            took = time.monotonic() - start
        assert process.returncode == 0
        assert 0.5 < took < 2.5
        assert "the broker does not answer" in log

    def test_sync_says_that_the_broker_is_away(self, refusal: Refusal) -> None:
        assert refusal("broker sync").startswith("broker: ")


def test_it_refuses_a_data_directory_that_is_too_long_for_a_socket(environment: Environment) -> None:
    deep = replace(environment, data_dir=Path("/tmp/" + "d" * 100))
    with pytest.raises(EnvironmentProblem, match="is too long for a socket"):
        embedded_broker.prepare(deep, "")


def test_the_secret_is_made_once(tmp_path: Path) -> None:
    first = kept_secret(tmp_path / "new" / "secret")
    assert kept_secret(tmp_path / "new" / "secret") == first
    assert len(first) > 40
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["secret"]
