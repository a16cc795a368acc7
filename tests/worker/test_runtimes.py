"""How runtimes are asked for a container: programs in their place say what the three have said."""

import json
import sys
from pathlib import Path

import pytest

from workers.attaching import runtimes
from workers.attaching.places import Container, place

RECORDED = json.loads((Path(__file__).parents[1] / "recorded" / "runtimes.json").read_text())
RUNS, PODMAN_HAS_NONE, DOCKER_HAS_NONE, LXC_RUNS, LXC_HAS_NONE = (RECORDED[at] for at in (0, 2, 3, 5, 7))
PROGRAM = f"""#!{sys.executable}
import json, sys
with open("LOG", "a") as log:
    print(json.dumps(["NAME", *sys.argv[1:]]), file=log)
status, output, errors, _ = RUNS if sys.argv[-1] in THERE else ABSENT
sys.stdout.write(output)
sys.stderr.write(errors)
sys.exit(status)
"""
IDENTITY = "3f1c4ab09d52"
INSPECT = ("container", "inspect", "--format", "{{.State.Pid}}")


class Installed:
    """Programs in a directory of their own, and how they were called."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def put(self, name: str, there: list[str], runs: object, absent: object) -> None:
        """It has these containers."""
        text = PROGRAM.replace("LOG", str(self._directory / "log")).replace("NAME", name)
        for word, value in (("THERE", there), ("RUNS", runs), ("ABSENT", absent)):
            text = text.replace(word, repr(value))
        (self._directory / name).write_text(text)
        (self._directory / name).chmod(0o755)

    @property
    def calls(self) -> list[tuple[str, ...]]:
        return [tuple(json.loads(line)) for line in (self._directory / "log").read_text().splitlines()]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installed:
    monkeypatch.setenv("PATH", str(tmp_path))
    return Installed(tmp_path)


@pytest.fixture
def all_three(installed: Installed) -> Installed:
    installed.put("docker", ["web", IDENTITY], RUNS, DOCKER_HAS_NONE)
    installed.put("podman", ["db"], RUNS, PODMAN_HAS_NONE)
    installed.put("lxc-info", ["web", "mail"], LXC_RUNS, LXC_HAS_NONE)
    return installed


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
        ("container#db", (52, "podman container db, process 52")),
        ("container#mail", (334, "lxc container mail, process 334")),
    ],
)
def test_a_container_is_found_by_name_and_by_id(
    all_three: Installed, netns: str, found: tuple[int, str]
) -> None:
    assert runtimes.process(asked(netns)) == found


def test_each_runtime_is_asked_in_turn_for_every_name(all_three: Installed) -> None:
    with pytest.raises(runtimes.NotRunning, match=r"no container absent or .* runs in docker, podman, lxc$"):
        runtimes.process(asked("container#absent"))
    names = ("absent", "app.container.absent", "root..app.container.absent")
    assert all_three.calls == [
        *(("docker", *INSPECT, name) for name in names),
        *(("podman", *INSPECT, name) for name in names),
        *(("lxc-info", "-p", "-H", "-n", name) for name in names),
    ]


def test_without_the_runtime_it_says_what_is_missing(installed: Installed) -> None:
    installed.put("docker", ["web"], RUNS, DOCKER_HAS_NONE)
    with pytest.raises(runtimes.NotRunning, match="none of podman is installed"):
        runtimes.process(asked("podman:web"))
