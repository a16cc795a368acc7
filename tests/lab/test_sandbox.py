import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lab import sandbox

SANDBOX = [sys.executable, "-m", "lab.sandbox", "--"]


@contextmanager
def _started(script: str) -> "Iterator[subprocess.Popen[str]]":
    """A sandbox that has said ``ready``."""
    process = subprocess.Popen([*SANDBOX, "sh", "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def _printed(*argv: str) -> str:
    return subprocess.run([*SANDBOX, *argv], stdout=subprocess.PIPE, text=True, check=True).stdout


def test_it_returns_the_exit_status_of_the_program() -> None:
    assert subprocess.run([*SANDBOX, "sh", "-c", "exit 3"], check=False).returncode == 3


def test_it_says_so_when_there_is_no_such_program() -> None:
    done = subprocess.run([*SANDBOX, "no-such-program"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (127, "no-such-program: No such file or directory\n")


def test_it_sees_no_interface_of_the_machine() -> None:
    assert [line.split()[0] for line in _printed("ip", "-brief", "link").splitlines()] == ["lo"]


def test_it_sees_no_process_of_the_machine() -> None:
    assert len(_printed("ps", "-e", "-o", "pid=").split()) == 2  # init and ps itself


def test_it_keeps_the_network_of_the_machine_in_reach() -> None:
    outside = os.stat("/proc/self/ns/net").st_ino
    code = "import os; from lab import sandbox; print(os.fstat(sandbox.machine()).st_ino)"
    assert int(_printed(sys.executable, "-c", code)) == outside


def test_it_ends_everything_when_the_outer_process_is_killed() -> None:
    with _started("sleep 1000 & setsid sleep 1000 & echo ready; wait") as outer:
        outer.kill()
        assert outer.communicate(timeout=5)[0] == ""  # end of file: nobody is left who could write


def test_it_ends_everything_when_the_program_ends() -> None:
    with _started("setsid sleep 1000 & echo ready; read line") as outer:
        outer.send_signal(signal.SIGTERM)
        assert outer.communicate(timeout=5)[0] == ""


def test_it_passes_a_signal_on_to_the_program() -> None:
    with _started("trap 'exit 5' TERM; echo ready; while :; do sleep 0.01; done") as outer:
        outer.send_signal(signal.SIGTERM)
        assert outer.wait(5) == 5


def test_it_names_the_rights_it_needs() -> None:
    nobody = ["setpriv", "--reuid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
    done = subprocess.run([*nobody, *SANDBOX, "true"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "needs root (CAP_SYS_ADMIN and CAP_NET_ADMIN)" in done.stderr


def test_this_process_is_inside() -> None:
    assert sandbox.inside()
    assert os.fstat(sandbox.machine()).st_ino != os.stat("/proc/self/ns/net").st_ino
