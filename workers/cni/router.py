"""The door to the weave router: one HTTP request to look, the script ``weave`` to change something.

A look starts no process. What the script says is cut to its last lines; after its time it is ended
with all that it started. Nothing goes through a shell, and it does not see our settings.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from workers.cni import weave
from workers.cni.weave import Router
from workers.host import Weave

CONTROL = ("127.0.0.1", 6784)
LOOK = 1.0
"""Seconds for a report."""
LARGEST = 8 * 1024 * 1024
"""Bytes of a report that are read."""
QUICK, SLOW = 30.0, 180.0
"""Seconds for the script; those that may have to fetch images take longer."""
LAST = 500
"""Bytes of what it said that are kept."""


class WeaveError(Exception):
    """The script could not do it; its own words."""


def look(plugins: Path) -> Weave:
    """Script, router and plugins as they are now."""
    return replace(
        _report(),
        script=shutil.which("weave") or "",
        plugins=str(plugins),
        origin=frozenset(name for name in weave.PLUGINS if _is_program(Path(weave.ORIGIN) / name)),
    )


def launch(router: Router) -> None:
    """Start it; raises WeaveError."""
    if not all(_is_program(Path(weave.ORIGIN) / name) for name in weave.PLUGINS):
        _run(["setup"], SLOW)
    given = ["--nickname", router.nickname, "--ipalloc-range", router.range]
    _run(["launch", *given, *router.peers], SLOW)


def follow(router: Router, before: Router) -> None:
    """Make the one that runs what it must be; new peers are looked for before old ones are left."""
    if router.range != before.range:
        reset()
        launch(router)
        return
    if new := [peer for peer in router.peers if peer not in before.peers]:
        _run(["connect", *new], QUICK)
    if old := [peer for peer in before.peers if peer not in router.peers]:
        _run(["forget", *old], QUICK)


def reset() -> None:
    """End it, with its bridge and its data; raises WeaveError."""
    _run(["reset"], QUICK)


def reaches(path: str) -> bool | None:
    """Whether a plugin can be started by this path; None: nothing is there."""
    return _is_program(Path(path)) if os.path.lexists(path) else None


def link(path: str, target: str) -> None:
    """Raises OSError."""
    os.symlink(target, path)


def _report() -> Weave:
    connection = HTTPConnection(*CONTROL, timeout=LOOK)
    try:
        connection.request("GET", "/report", headers={"Accept": "application/json"})
        answer = connection.getresponse()
        return weave.decode(answer.read(LARGEST))
    except ConnectionRefusedError:
        return Weave()
    except (OSError, HTTPException, ValueError) as error:
        return Weave(trouble=f"does not report at {':'.join(map(str, CONTROL))} ({error})")
    finally:
        connection.close()


def _run(arguments: Sequence[str], seconds: float) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NETADMIN_")}
    named = f"weave {' '.join(arguments)}"
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(
                ["weave", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            raise WeaveError(f"{named}: {error.strerror}") from error
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise WeaveError(f"{named}: was not done after {seconds:g} s and was ended") from error
        if status != 0:
            said.seek(max(said.seek(0, os.SEEK_END) - LAST, 0))
            raise WeaveError(f"{named}: exit status {status}: {said.read().decode(errors='replace').strip()}")


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
