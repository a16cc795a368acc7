"""The door to container runtimes: which process is a container's first one.

    docker container inspect --format {{.State.Pid}} NAME    0 when it does not run
    podman container inspect --format {{.State.Pid}} NAME
    lxc-info -n NAME -p -H

Their own commands find their daemon and directories as the operator set them up (DOCKER_HOST,
containers.conf, lxc.conf). The path that docker and podman give for the namespace is empty, or left
from before, for some kinds of network; the process is right for all of them.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from workers.attaching.places import Container

PATIENCE = 10.0
"""Seconds for an answer."""
FORMAT = "{{.State.Pid}}"
ASK: Mapping[str, tuple[str, ...]] = {
    "docker": ("docker", "container", "inspect", "--format", FORMAT),
    "podman": ("podman", "container", "inspect", "--format", FORMAT),
    "lxc": ("lxc-info", "-p", "-H", "-n"),
}
"""Commands; the name of the container follows."""
ABSENT = ("no such container", "no container with name or id", "doesn't exist")
"""What the three say, in lower case, of a container that they do not have."""


class NotRunning(Exception):
    """No such container runs now; says what was asked for, and what the runtimes said beyond that."""


def process(container: Container) -> tuple[int, str]:
    """Its process id, and for people which it is; raises NotRunning."""
    installed = [runtime for runtime in container.runtimes if shutil.which(ASK[runtime][0])]
    said: list[str] = []
    for runtime in installed:
        for name in container.names:
            pid, words = _ask(runtime, name)
            if pid:
                return pid, f"{runtime} container {name}, process {pid}"
            said += [words] if words else []
    raise NotRunning(_sentence(container, installed, said))


def judged(status: int, output: str, errors: str) -> tuple[int, str]:
    """From what a command said: the process id, 0 for none; words where that was unexpected."""
    if status == 0:
        return (int(output) if output.strip().isdecimal() else 0), ""
    lines = errors.strip().splitlines()
    if any(absent in line.lower() for line in lines for absent in ABSENT):
        return 0, ""
    return 0, lines[-1] if lines else ""


def _ask(runtime: str, name: str) -> tuple[int, str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NETADMIN_")}
    try:
        done = subprocess.run(
            [*ASK[runtime], name],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            env=environment,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 0, str(error)
    pid, words = judged(done.returncode, done.stdout, done.stderr)
    return pid, f"{runtime}: {words}" if words else ""


def _sentence(container: Container, installed: Sequence[str], said: Sequence[str]) -> str:
    if not installed:
        return f"none of {', '.join(container.runtimes)} is installed"
    asked = " or ".join(container.names)
    unexpected = f" ({'; '.join(dict.fromkeys(said))})" if said else ""
    return f"no container {asked} runs in {', '.join(installed)}{unexpected}"
