"""Run a program in PID, mount and network namespaces of its own: nothing of it outlives it.

    python -m lab.sandbox -- python -m pytest tests/lab

    outer    waits, passes signals on
      init     PID 1 of the sandbox; the kernel kills it when outer dies, however that happens,
               and kills every other process of the sandbox when init ends
        program  an ordinary process in a fresh network namespace, with /proc of the sandbox

Network namespaces that the program makes exist only as file descriptors of its processes,
so they vanish as well. The machine's own network namespace stays in reach for what people
connect to: ``machine()`` is it, inherited as an open file. (util-linux' unshare(1) does the
same but for one thing: it does not pass SIGTERM on.)
"""

import os
import select
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn

from lab import syscalls

MACHINE = "NETADMIN_LAB_MACHINE"
"""Environment name of the file descriptor of the machine's network namespace."""
_PASSED_ON = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT}


class NotPermitted(Exception):
    """The lab cannot make namespaces here; the sentence says what it needs."""


def inside() -> bool:
    """Whether this process runs in a sandbox."""
    return MACHINE in os.environ


def machine() -> int:
    """File descriptor of the machine's own network namespace; it stays open."""
    return int(os.environ[MACHINE])


def run(argv: Sequence[str]) -> int:
    """Run a program in a fresh sandbox; returns its exit status (128 + N after signal N).

    Raises NotPermitted without the rights to make namespaces.
    """
    network = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        syscalls.unshare(syscalls.CLONE_NEWPID | syscalls.CLONE_NEWNS | syscalls.CLONE_NEWNET)
    except PermissionError as error:
        raise NotPermitted(
            f"The lab makes network namespaces and needs root (CAP_SYS_ADMIN and CAP_NET_ADMIN): "
            f"{error.strerror}; run it with sudo or in a privileged container."
        ) from error
    outer = os.pidfd_open(os.getpid())
    unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, {*_PASSED_ON, signal.SIGCHLD})
    sys.stdout.flush()
    init = os.fork()
    if init == 0:
        _in_child(lambda: _init(argv, outer, network, unblocked))
    status = _supervise(init)
    signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
    return status


def _init(argv: Sequence[str], outer: int, network: int, unblocked: set[int | signal.Signals]) -> int:
    syscalls.die_with_parent(signal.SIGKILL)
    if select.select([outer], [], [], 0)[0]:  # it ended before the line above
        return 1
    syscalls.mount("none", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)
    syscalls.mount("proc", "/proc", "proc", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)
    program = os.fork()
    if program == 0:
        _in_child(lambda: _exec(argv, network, unblocked))
    os.close(network)
    return _supervise(program)


def _exec(argv: Sequence[str], network: int, unblocked: set[int | signal.Signals]) -> int:
    signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
    os.set_inheritable(network, True)
    os.environ[MACHINE] = str(network)
    try:
        os.execvp(argv[0], list(argv))
    except OSError as error:
        print(f"{argv[0]}: {error.strerror}", file=sys.stderr, flush=True)
        return 127


def _in_child(body: Callable[[], int]) -> NoReturn:
    """The rest of a forked process: it never returns into what its parent was doing."""
    status = 1
    try:
        status = body()
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
    finally:
        os._exit(status)


def _supervise(child: int) -> int:
    """Pass signals on to the child and reap, until it ends; returns its exit status."""
    while True:
        caught = signal.sigwaitinfo({*_PASSED_ON, signal.SIGCHLD})
        if caught.si_signo != signal.SIGCHLD:
            if caught.si_code <= 0:  # sent by kill(2); a terminal's own reach every process of its group
                os.kill(child, caught.si_signo)
        elif (status := _reap(child)) is not None:
            return status


def _reap(child: int) -> int | None:
    """Collect every process that ended; the exit status if the child is one of them."""
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return None
            if pid == child:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
    return None


def main(arguments: Sequence[str]) -> int:
    argv = list(arguments[1:] if arguments[:1] == ["--"] else arguments)
    if not argv:
        print("usage: python -m lab.sandbox -- PROGRAM [ARGUMENT ...]", file=sys.stderr)
        return 2
    try:
        return run(argv)
    except NotPermitted as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
