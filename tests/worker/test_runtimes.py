"""How runtimes are asked for a container: programs in their place say what docker and lxc said."""

from pathlib import Path

import pytest

from workers.attaching import runtimes
from workers.attaching.places import Container, place

IDENTITY = "3f1c4ab09d52"
DOCKER = f"""#!/bin/sh
echo "docker $*" >> "$LOG"
case "$*" in
"container inspect --format {{{{.State.Pid}}}} web" | \
"container inspect --format {{{{.State.Pid}}}} {IDENTITY}")
    echo 52 ;;
*)
    echo
    echo "Error response from daemon: No such container: nope" >&2
    exit 1 ;;
esac
"""
LXC = """#!/bin/sh
echo "lxc-info $*" >> "$LOG"
case "$*" in
"-p -H -n web" | "-p -H -n db")
    echo 334 ;;
*)
    echo "nope doesn't exist" >&2
    exit 1 ;;
esac
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Both runtimes are installed, and podman is not; what they were asked for."""
    for name, text in (("docker", DOCKER), ("lxc-info", LXC)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    return tmp_path / "log"


def asked(netns: str) -> Container:
    found = place(netns, "root/svc/app", Path("/run/netns"))
    assert isinstance(found, Container)
    return found


@pytest.mark.parametrize(
    ("netns", "found"),
    [
        ("docker:web", (52, "docker container web, process 52")),
        (f"docker:{IDENTITY}", (52, f"docker container {IDENTITY}, process 52")),
        ("lxc:web", (334, "lxc container web, process 334")),
        ("container#web", (52, "docker container web, process 52")),
        (f"container#{IDENTITY}", (52, f"docker container {IDENTITY}, process 52")),
        ("container#db", (334, "lxc container db, process 334")),
    ],
)
def test_a_container_is_found_by_name_and_by_id(log: Path, netns: str, found: tuple[int, str]) -> None:
    assert runtimes.process(asked(netns)) == found


def test_each_runtime_is_asked_in_turn_for_every_name(log: Path) -> None:
    with pytest.raises(runtimes.NotRunning, match=r"no container absent or .* runs in docker, lxc$"):
        runtimes.process(asked("container#absent"))
    names = ("absent", "app.container.absent", "root..app.container.absent")
    assert log.read_text().splitlines() == [
        *(f"docker container inspect --format {{{{.State.Pid}}}} {name}" for name in names),
        *(f"lxc-info -p -H -n {name}" for name in names),
    ]


def test_without_the_runtime_it_says_what_is_missing(log: Path) -> None:
    with pytest.raises(runtimes.NotRunning, match="none of podman is installed"):
        runtimes.process(asked("podman:web"))
