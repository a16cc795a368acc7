"""``make demo`` as people run it: from the program's start to the end of everything it made."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from lab import sandbox

DEMO = [sys.executable, "-m", "lab.demo"]
ENTER = [sys.executable, "-m", "lab.enter"]


@pytest.fixture
def environment() -> dict[str, str]:
    """That of a machine: this sandbox is one for the demo, which makes a sandbox of its own."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    return {name: value for name, value in os.environ.items() if name != sandbox.MACHINE}


def test_it_stays_up_until_it_is_told_to_end_and_leaves_nothing(environment: dict[str, str]) -> None:
    with subprocess.Popen(DEMO, stdout=subprocess.PIPE, text=True, env=environment) as demo:
        assert demo.stdout is not None
        said = ""
        while "Ctrl-C ends" not in said:
            line = demo.stdout.readline()
            assert line, said
            said += line
        assert "every one of 6 pings came back" in said
        assert re.search(r"backend1 +routed_bridge +10\.11\.0\.0/16 +65536 .* 6/6 +up", said)
        assert re.search(r"from \\ to +n1 +n2 +n3\nn1 +- +[\d.]+ ms +[\d.]+ ms\n", said)
        assert re.search(r"service root/svc/web on n1 is attached: 10\.11\.0\.3\n", said)
        assert "asks http://192.0.2.1:8080/: 'root/svc/web on n1'" in said
        with urlopen(re.search(r"web pages +(http\S+)", said)[1] + "healthz", timeout=10) as answer:  # type: ignore[index]
            assert answer.status == 200
        routes = subprocess.run(
            [*ENTER, "n1", "ip", "route"], stdout=subprocess.PIPE, text=True, check=True
        ).stdout
        assert "10.11.4.0/22 via 192.0.2.2" in routes
        demo.send_signal(signal.SIGTERM)
        rest, _ = demo.communicate(timeout=20)
    assert demo.returncode == 0
    assert rest.endswith("removed everything\n")
    directory = re.search(r"logs +(\S+?)/\*", said)
    assert directory
    assert not Path(directory[1]).exists()


def test_nobody_can_enter_a_node_that_is_not_there() -> None:
    done = subprocess.run([*ENTER, "n99", "true"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("node n99: no worker of a lab runs on this machine")
