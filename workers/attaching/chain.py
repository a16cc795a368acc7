"""The door to the plugins: every call a process, by argument vector.

Its input and what it says are files in memory, so neither side waits for the other, and the kernel
tells its end (pidfd_open(2)): ``subprocess`` would look for that once a millisecond. After its time it is
ended with all that it started: ``host-local`` waits for ever for a store that somebody holds.
"""

import json
import logging
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from workers import wire
from workers.attaching import calls
from workers.attaching import entry as entries
from workers.attaching.calls import Call
from workers.attaching.entry import Entry

PATIENCE = 60.0
"""Seconds for one plugin."""
ENDING = 5.0
"""Seconds for one that is ended: what it asked of the kernel last is done first."""
ORPHANED = 1.0
"""Seconds for those that a killed worker left: ``host-local`` that is ended between making a lease and
writing whose it is leaves one that no DEL gives back."""
ADMIN = "/usr/sbin:/sbin"
"""Where plugins find iptables, whatever PATH the worker was started with."""
LAST = 500
"""Characters that are kept of what is no answer, of a message and of its details."""
log = logging.getLogger("netadmin.attaching")


class PluginError(Exception):
    """A plugin refused; ``PLUGIN COMMAND: its own words``."""


class NotAnswered(PluginError):
    """It is not there, or was not done in time: that says nothing of what it was asked about."""


def add(entry: Entry, netns: str) -> str:
    """Attach; the final result, JSON. Raises PluginError, and what was done is left to ``delete``."""
    result = ""
    for call in calls.calls(calls.ADD, entry, netns):
        result = _run(call, result)
        _verify(call, result)
    return result


def check(entry: Entry, netns: str) -> None:
    """Ask the plugins whether all is as they made it; raises PluginError."""
    if calls.can_check(entry):
        result = calls.final_result(calls.CHECK, entry, netns)
        for call in calls.calls(calls.CHECK, entry, netns):
            _run(call, result)


def delete(entry: Entry, netns: str) -> list[PluginError]:
    """Detach, down to the first plugin whatever the others say; what they said."""
    errors = []
    result = calls.final_result(calls.DEL, entry, netns)
    for call in calls.calls(calls.DEL, entry, netns):
        try:
            _run(call, result)
        except PluginError as error:
            errors.append(error)
    return errors


def end_orphans(ids: set[str]) -> None:
    """Wait until plugins that a killed worker left running for these attachments have come to their end, and
    end those that do not: they would go on making what is about to be taken away."""
    wanted = {f"CNI_CONTAINERID={one}".encode() for one in ids}
    patient = time.monotonic() + ORPHANED
    for process in Path("/proc").iterdir() if wanted else ():
        if process.name.isdecimal() and _environment(process) & wanted:
            _end(int(process.name), patient)


def _environment(process: Path) -> set[bytes]:
    try:
        return set((process / "environ").read_bytes().split(b"\0"))
    except OSError:  # it has ended, or is none that we started
        return set()


def _end(pid: int, patient: float) -> None:
    """``patient``: until when it may come to its end by itself."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if _tells(handle, max(patient - time.monotonic(), 0.0)):
            return
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        if not _tells(handle, ENDING):
            log.error("plugin %d was ended, and has not ended in %g s", pid, ENDING)
    except ProcessLookupError:
        pass  # between the two calls
    finally:
        os.close(handle)


def _tells(handle: int, patience: float) -> bool:
    """Whether a process ends within so many seconds."""
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(patience * 1000))


def _verify(call: Call, result: str) -> None:
    """What is no result would stand in the way of everything that is done with it later; what cannot be
    told on, of every other attachment too."""
    try:
        entries.verify(result)
        wire.read(Any, json.loads(result), "result")
    except (ValueError, RecursionError) as error:
        why = _printable(str(error))
        raise PluginError(f"{_named(call)}: answered what is no result ({why}): {result[:LAST]!r}") from error


def _run(call: Call, previous: str) -> str:
    """What it answered; what it logs to its standard error is kept for a failure (CNI specification 1.0.0,
    section 2)."""
    named = _named(call)
    with _in_memory(call.stdin(previous)) as given, _in_memory() as answer, _in_memory() as logged:
        try:
            process = subprocess.Popen(
                [os.path.join(call.environment["CNI_PATH"], call.program)],
                stdin=given,
                stdout=answer,
                stderr=logged,
                env={**_inherited(), **call.environment},
                start_new_session=True,
            )
        except OSError as error:
            raise NotAnswered(f"{named}: cannot be started ({error.strerror})") from error
        if not _ends(process, PATIENCE):
            raise NotAnswered(f"{named}: was not done after {PATIENCE:g} s and was ended")
        said, errors = _content(answer), _content(logged) if process.returncode else b""
    if process.returncode:
        words = _words(said) or _words(errors) or f"exit status {process.returncode}"
        raise PluginError(f"{named}: {words}")
    return said.decode(errors="replace").strip()


def _named(call: Call) -> str:
    return f"{call.program} {call.environment['CNI_COMMAND']}"


def _content(descriptor: int) -> bytes:
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)


@lru_cache(maxsize=1)
def _inherited() -> dict[str, str]:
    """What the worker was started with, but for its own settings, and where plugins find iptables."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("NETADMIN_")}
    return {**given, "PATH": f"{given.get('PATH', '/usr/bin:/bin')}:{ADMIN}"}


def _ends(process: subprocess.Popen[bytes], patience: float) -> bool:
    """Whether it ends by itself within so many seconds; else it is ended."""
    handle = os.pidfd_open(process.pid)
    try:
        ended = _tells(handle, patience)
    finally:
        os.close(handle)
    if not ended:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return ended


@contextmanager
def _in_memory(content: bytes = b"") -> Iterator[int]:
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
        return ": ".join(_printable(str(error[key])) for key in ("msg", "details") if error.get(key))
    except (ValueError, AttributeError, TypeError, RecursionError):
        return _printable(text)


def _printable(text: str) -> str:
    """Its end, on one line. With a NUL or half a character in it the control plane would take nothing that
    the node says of any attachment."""
    line = " ".join(text.strip()[-LAST:].split())
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in line)
