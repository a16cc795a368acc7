"""One boot of the guest kernel, for one command.

    python -m tests.umlinux.run -- ip link add tunnel type ipip external

    host: linux ... root=hostfs      guest: guest-init -> OUT/command -> OUT/rc -> power off

The guest sees the host's files read-only, with the same interpreter and programs, and a network
of its own that has nothing but a loopback. It needs no rights on the host.
"""

import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.umlinux import build

ROOT = Path(__file__).resolve().parent.parent.parent
MEMORY = 1024
"""MiB; a sparse file on the host, of which only what the guest touches takes room."""
INSIDE = Path("/mnt")
"""Where the guest has the directory that it may write to."""


class GuestFailed(Exception):
    """The guest ended before its command did; the message has the end of its console."""


def run(argv: Sequence[str], out: Path, *, env: Mapping[str, str], within: float) -> int:
    """Boot, run a program from the checkout's root as root, power off; the program's exit status.

    ``out``: an empty directory, in the guest at INSIDE; ``out/console`` is all that was written.
    ``env``: added to the guest's environment. Raises GuestFailed when the program did not end by
    itself within ``within`` seconds; NotBuilt when there is no kernel.
    """
    kernel = build.kept()
    if kernel is None:
        raise build.NotBuilt("there is no guest kernel yet; make it with: python -m tests.umlinux.build")
    exports = [f"export {name}={shlex.quote(value)}" for name, value in env.items()]
    lines = [*exports, f"cd {shlex.quote(str(ROOT))}", f"exec {shlex.join(argv)}"]
    (out / "command").write_text("\n".join(lines) + "\n")
    ended = _boot(kernel, out, within)
    # The kernel's own status says nothing: it is 0 also after a power-off in the middle.
    if not (out / "rc").exists():
        console = "\n".join((out / "console").read_text(errors="replace").splitlines()[-20:])
        raise GuestFailed(f"the guest ended before its command did ({ended}); its console:\n{console}")
    return int((out / "rc").read_text())


def _boot(kernel: Path, out: Path, within: float) -> str:
    """Run the kernel to its end; how that was."""
    words = [
        *(f"mem={MEMORY}M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "quiet"),
        *(f"init={Path(__file__).with_name('guest-init')}", f"NA_OUT={out}"),
        *(f"NA_ROOT={ROOT}", f"NA_PYTHON={sys.executable}"),
        *("con=null", "con0=null,fd:1", "ssl=null", f"uml_dir={out}/uml"),
    ]
    with (
        (out / "console").open("w") as console,
        subprocess.Popen(
            [str(kernel), *words],
            env={"TMPDIR": str(_memory_directory(out)), "PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as guest,
    ):
        try:
            return f"exit status {guest.wait(within)}"
        except subprocess.TimeoutExpired:
            return f"its {within:g} s were over"
        finally:
            _end(guest)


def _end(guest: subprocess.Popen[bytes]) -> None:
    """All processes of a guest that still runs."""
    if guest.poll() is None:
        os.killpg(guest.pid, signal.SIGTERM)
        try:
            guest.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(guest.pid, signal.SIGKILL)


def _memory_directory(out: Path) -> Path:
    """Where the guest's memory may be: with room, and on a file system from which programs may run."""
    for candidate in (Path("/dev/shm"), out):
        there = os.statvfs(candidate)
        if not there.f_flag & os.ST_NOEXEC and there.f_bavail * there.f_frsize > MEMORY << 20:
            return candidate
    raise build.NotBuilt(
        f"the guest needs {MEMORY} MiB of room in /dev/shm or {out}, mounted without noexec; set TMPDIR"
    )


def main(arguments: Sequence[str]) -> int:
    argv = list(arguments[1:] if arguments[:1] == ["--"] else arguments)
    if not argv:
        print("usage: python -m tests.umlinux.run -- PROGRAM [ARGUMENT ...]", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="netadmin-guest-") as out:
        try:
            status = run(argv, Path(out), env={}, within=600)
        except (GuestFailed, build.NotBuilt) as error:
            print(error, file=sys.stderr)
            return 1
        sys.stdout.write((Path(out) / "console").read_text(errors="replace"))
        return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
