"""manage.py serve: what runs, and that nothing of it is left."""

import os
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen

import pytest

from tests.commands.conftest import Refusal
from tests.commands.processes import ControlPlane, children, free_port, runs, status_of, until

SECRETS = ("broker.conf", "broker.acl", "broker.secret", "broker.sock", "secret_key")
WITHIN = 15.0
"""Seconds for an end, on a busy machine: children have 5 s to end by themselves."""


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a database, to be copied."""
    directory = tmp_path_factory.mktemp("migrated")
    done = ControlPlane(directory).manage("migrate", "--verbosity", "0")
    assert done.returncode == 0, done.stderr
    return directory


@pytest.fixture
def control(migrated: Path, tmp_path: Path) -> ControlPlane:
    shutil.copytree(migrated, tmp_path / "data")
    return ControlPlane(tmp_path / "data")


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def serving(control: ControlPlane, port: int) -> Iterator[Popen[bytes]]:
    """A control plane that answers, with its broker."""
    with control.serving("--bind", f"127.0.0.1:{port}") as process:
        answered(control, process, port)
        yield process


def answered(control: ControlPlane, process: Popen[bytes], port: int, host: str = "127.0.0.1") -> None:
    """Wait until pages are served."""

    def answers() -> bool:
        assert process.poll() is None, control.log
        return status_of(f"http://{host}:{port}/admin/login/") == 200

    until(answers, what=f"the log-in page of {host} is there")


def gone(family: dict[int, str]) -> bool:
    return not any(map(runs, family))


def connects(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def pid_of(process: Popen[bytes], word: str) -> int:
    """The direct child whose command line has this word."""
    family = children(process.pid)
    return next(pid for pid, command in family.items() if word in command)


def test_it_serves_pages_and_a_broker_and_ends_on_sigterm(
    control: ControlPlane, serving: Popen[bytes], port: int
) -> None:
    assert connects(control.broker_port)
    assert {name: control.mode(name) for name in SECRETS} == dict.fromkeys(SECRETS, 0o600)
    family = children(serving.pid)
    assert len(family) == 3, family  # the broker; the web server and its worker
    serving.terminate()
    assert serving.wait(WITHIN) == 0
    until(lambda: gone(family), what="all processes are gone", within=5)
    assert f"serving http://127.0.0.1:{port}/" in control.log


def test_it_ends_on_ctrl_c(serving: Popen[bytes]) -> None:
    family = children(serving.pid)
    serving.send_signal(signal.SIGINT)
    assert serving.wait(WITHIN) == 0
    until(lambda: gone(family), what="all processes are gone", within=5)


def test_nothing_is_left_when_it_is_killed(serving: Popen[bytes]) -> None:
    family = children(serving.pid)
    serving.kill()
    serving.wait()
    until(lambda: gone(family), what="all processes are gone", within=WITHIN)


@pytest.mark.parametrize(
    ("word", "name"), [("valkey", "embedded broker"), ("granian", "web server on 127.0.0.1:")]
)
def test_everything_ends_when_one_process_ends(
    control: ControlPlane, serving: Popen[bytes], word: str, name: str
) -> None:
    family = children(serving.pid)
    os.kill(pid_of(serving, word), signal.SIGKILL)
    assert serving.wait(WITHIN) == 1
    until(lambda: gone(family), what="all processes are gone", within=5)
    last = control.log.splitlines()[-1]
    assert f"CommandError: {name}" in last
    assert last.endswith("ended with status -9; why is in the output above. Everything else was stopped.")


def test_it_serves_on_several_addresses_beside_a_broker_of_ones_own(control: ControlPlane) -> None:
    first, second = free_port(), free_port("::1")
    addresses = ("--bind", f"127.0.0.1:{first}", "--bind", f"[::1]:{second}")
    with control.serving(*addresses, NETADMIN_BROKER_URL=f"redis://127.0.0.1:{free_port()}/0") as process:
        answered(control, process, first)
        answered(control, process, second, "[::1]")
        assert "valkey" not in str(children(process.pid))
        assert not connects(control.broker_port)


def test_it_says_which_server_could_not_start(control: ControlPlane) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = holder.getsockname()[1]
        with control.serving("--bind", f"127.0.0.1:{taken}") as process:
            assert process.wait(60) == 1
    assert f"web server on 127.0.0.1:{taken}: ended with status" in control.log
    assert "Address already in use" in control.log


def test_it_says_that_the_brokers_port_is_taken(control: ControlPlane, port: int) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", control.broker_port))
        holder.listen()
        with control.serving("--bind", f"127.0.0.1:{port}") as process:
            assert process.wait(60) == 1
    assert "embedded broker: ended with status 1" in control.log
    assert "Address already in use" in control.log


def test_it_refuses_a_database_that_lacks_migrations(tmp_path: Path) -> None:
    refused = ControlPlane(tmp_path).manage("serve")
    assert refused.returncode == 1
    assert "The database lacks " in refused.stderr
    assert refused.stderr.strip().endswith("Run: manage.py migrate")


@pytest.mark.parametrize("text", ["8000", "127.0.0.1:", ":8000", "127.0.0.1:http", "127.0.0.1:0"])
def test_it_refuses_what_is_no_address(refusal: Refusal, text: str) -> None:
    assert refusal(f"serve --bind={text}") == (
        f"--bind={text}: is not HOST:PORT. Give one like 127.0.0.1:8000 or [::1]:8000"
    )
