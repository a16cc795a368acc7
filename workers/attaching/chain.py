"""The door to the plugins: every call a process, by argument vector.

Its input is a file in memory and what it says is read to the end, so neither side waits for the
other. After its time it is ended with all that it started: ``host-local`` waits for ever for a
store that somebody holds.
"""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workers.attaching import calls
from workers.attaching.calls import Call
from workers.attaching.entry import Entry

PATIENCE = 60.0
"""Seconds for one plugin."""
ADMIN = "/usr/sbin:/sbin"
"""Where plugins find iptables, whatever PATH the worker was started with."""
LAST = 500
"""Bytes that are kept of what is no answer."""


class PluginError(Exception):
    """A plugin refused; ``PLUGIN COMMAND: its own words``."""


def add(entry: Entry, netns: str) -> str:
    """Attach; the final result, JSON. Raises PluginError, and what was done is left to ``delete``."""
    result = ""
    for call in calls.calls(calls.ADD, entry, netns):
        result = _run(call, result)
    return result


def check(entry: Entry, netns: str) -> None:
    """Ask the plugins whether all is as they made it; raises PluginError."""
    if calls.can_check(entry):
        result = calls.final_result(calls.CHECK, entry)
        for call in calls.calls(calls.CHECK, entry, netns):
            _run(call, result)


def delete(entry: Entry, netns: str) -> list[PluginError]:
    """Detach, down to the first plugin whatever the others say; what they said."""
    errors = []
    result = calls.final_result(calls.DEL, entry)
    for call in calls.calls(calls.DEL, entry, netns):
        try:
            _run(call, result)
        except PluginError as error:
            errors.append(error)
    return errors


def end_orphans(ids: set[str]) -> None:
    """End plugins that a killed worker left running for these attachments: they would go on making
    what is about to be taken away."""
    wanted = {f"CNI_CONTAINERID={one}".encode() for one in ids}
    for process in Path("/proc").iterdir() if wanted else ():
        if process.name.isdecimal() and _environment(process) & wanted:
            _end(int(process.name))


def _environment(process: Path) -> set[bytes]:
    try:
        return set((process / "environ").read_bytes().split(b"\0"))
    except OSError:  # it has ended, or is none that we started
        return set()


def _end(pid: int) -> None:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        pass  # between the two calls
    finally:
        os.close(handle)


def _run(call: Call, previous: str) -> str:
    named = f"{call.program} {call.environment['CNI_COMMAND']}"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("NETADMIN_")}
    path = f"{inherited.get('PATH', '/usr/bin:/bin')}:{ADMIN}"
    with _in_memory(call.stdin(previous)) as given:
        try:
            process = subprocess.Popen(
                [os.path.join(call.environment["CNI_PATH"], call.program)],
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**inherited, "PATH": path, **call.environment},
                start_new_session=True,
            )
        except OSError as error:
            raise PluginError(f"{named}: cannot be started ({error.strerror})") from error
    try:
        said, _ = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise PluginError(f"{named}: was not done after {PATIENCE:g} s and was ended") from error
    if process.returncode:
        raise PluginError(f"{named}: {_words(said) or f'exit status {process.returncode}'}")
    return said.decode(errors="replace").strip()


@contextmanager
def _in_memory(content: bytes) -> Iterator[int]:
    """Descriptor of an unnamed file with this content, at its beginning."""
    descriptor = os.memfd_create("cni", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def _words(said: bytes) -> str:
    """Message and details of an error result; of anything else its end."""
    text = said.decode(errors="replace").strip()
    try:
        error = json.loads(text)
        return ": ".join(str(error[key]) for key in ("msg", "details") if error.get(key))
    except (ValueError, AttributeError, TypeError):
        return text[-LAST:]
