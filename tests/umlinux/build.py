"""The guest kernel: Debian's kernel source as a user-mode Linux, built once and kept.

    python -m tests.umlinux.build      # when the running kernel lacks devices and there is none yet

    guest.config + linux-source package  ->  $XDG_CACHE_HOME/netadmin/umlinux/VERSION-HASH/linux

VERSION is the source package's, HASH that of guest.config. A kernel that was built serves until
guest.config changes or another version of the source package is installed.
"""

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.umlinux import devices

SOURCE = "linux-source-6.12"
"""In Debian 12 (security) and 13."""
PACKAGES = (SOURCE, "flex", "bison", "bc", "make", "gcc", "libc6-dev", "libelf-dev", "xz-utils")
CONFIG = Path(__file__).with_name("guest.config")
ARCHIVE = Path(f"/usr/src/{SOURCE}.tar.xz")
KERNEL = "linux"
_NOT_NEEDED = f"{SOURCE}/drivers/gpu/drm/amd/include"
"""A third of the archive's bytes: register numbers of graphics cards."""
_EVERY = 250
"""Compiled files between two lines of progress."""


class NotBuilt(Exception):
    """The guest kernel cannot be built here; says why and what to do."""


def cache() -> Path:
    """Where kernels are kept; outside of every checkout."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "netadmin" / "umlinux"


def kept() -> Path | None:
    """The guest kernel of this configuration: that of the installed source, else the newest."""
    found = sorted(cache().glob(f"{_version() or '*'}-{_digest()}/{KERNEL}"), key=os.path.getmtime)
    return found[-1] if found else None


def build() -> Path:
    """The guest kernel of this configuration, built when there is none. Raises NotBuilt.

    Two callers at once: one builds, the other waits for it.
    """
    if found := kept():
        return found
    with _alone():
        return kept() or _build()


def _digest() -> str:
    return hashlib.sha256(CONFIG.read_bytes()).hexdigest()[:12]


def _version() -> str:
    """Version of the source package that is installed; empty: it is not."""
    return _installed().get(SOURCE, "")


def _installed() -> dict[str, str]:
    """Those of our packages that are installed, with their versions."""
    query = ["dpkg-query", "-W", "-f=${db:Status-Status} ${Package} ${Version}\n", *PACKAGES]
    shown = subprocess.run(query, capture_output=True, text=True, check=False).stdout
    rows = [line.split() for line in shown.splitlines()]
    return {row[1]: row[2] for row in rows if row[0] == "installed"}


@contextmanager
def _alone() -> Iterator[None]:
    """Nobody else builds meanwhile."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("waiting for another build")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build() -> Path:
    if platform.machine() != "x86_64":
        raise NotBuilt(f"machine={platform.machine()!r}: user-mode Linux exists for x86_64 only")
    began, digest = time.monotonic(), _digest()
    work, log = cache() / "build", cache() / "build.log"
    shutil.rmtree(work, ignore_errors=True)  # left by a build that was killed
    work.mkdir()
    log.write_text("")
    _install(log)
    _say(f"unpacking {SOURCE} {_version()}")
    _run(["tar", "-xf", str(ARCHIVE), "-C", str(work), f"--exclude={_NOT_NEEDED}"], log)
    source = work / SOURCE
    _say("configuring")
    _make(source, log, f"KCONFIG_ALLCONFIG={CONFIG}", "allnoconfig")
    if lost := _lost((source / ".config").read_text()):
        raise NotBuilt(f"{SOURCE} {_version()} does not know or allow: {', '.join(lost)}; adapt {CONFIG}")
    _say("compiling")
    _make(source, log, f"-j{os.cpu_count()}", KERNEL)
    _run(["strip", "-o", str(work / KERNEL), str(source / KERNEL)], log)
    built = cache() / f"{_version()}-{digest}" / KERNEL
    built.parent.mkdir(exist_ok=True)
    os.rename(work / KERNEL, built)
    shutil.rmtree(work)
    _say(f"{built} after {time.monotonic() - began:.0f} s")
    return built


def _install(log: Path) -> None:
    """Debian packages that are missing, as deploy/setup.sh does it: with the lists that are there first."""
    missing = [package for package in PACKAGES if package not in _installed()]
    if not missing:
        return
    if not shutil.which("apt-get") or os.geteuid() != 0:
        raise NotBuilt(f"the guest kernel needs, installed by root on Debian 12 or 13: {' '.join(missing)}")
    _say(f"installing {' '.join(missing)}")
    apt = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "-y", "--no-install-recommends"]
    try:
        _run([*apt, "install", *missing], log)
    except NotBuilt:
        _run([*apt, "update"], log)
        _run([*apt, "install", *missing], log)


def _lost(config: str) -> list[str]:
    """Options of ours that are not on in what the kernel made of them."""
    made = set(config.splitlines())
    return [line for line in CONFIG.read_text().splitlines() if line.endswith("=y") and line not in made]


def _make(source: Path, log: Path, *arguments: str) -> None:
    """Behind everything else that runs on the machine."""
    _run(["nice", "-n", "19", "make", "-C", str(source), "ARCH=um", *arguments], log)


def _run(argv: Sequence[str], log: Path) -> None:
    """Run a program, its output into the log; a line of progress now and then. Raises NotBuilt."""
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):  # this may be a part of `make test`
        environment.pop(name, None)
    compiled = 0
    with (
        log.open("a") as told,
        subprocess.Popen(
            argv,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as program,
    ):
        assert program.stdout is not None
        for line in program.stdout:
            told.write(line)
            if re.match(r"\s+CC\s", line):
                compiled += 1
                if compiled % _EVERY == 0:
                    _say(f"compiled {compiled} files")
    if program.returncode:
        tail = "\n".join(log.read_text().splitlines()[-15:])
        raise NotBuilt(f"{' '.join(argv)} failed ({program.returncode}); the log is {log}:\n{tail}")


def _say(what: str) -> None:
    print(f"guest kernel: {what}", flush=True)


def main() -> int:
    try:
        if not devices.native():
            build()
    except NotBuilt as error:
        print(f"guest kernel: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
