"""The worker of one node.

    python -m workers [--config FILE]           stay, and keep the network as declared
    python -m workers [--config FILE] once      look and repair once, then end
    python -m workers [--config FILE] plan      print what would be done; change nothing

Exit status: 0 all is as declared, 1 something is left to do, 2 it could not start.
"""

import argparse
import logging
import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from workers import cache, config, files, logs, systemd, wire
from workers.agent import Agent
from workers.attaching import post
from workers.cache import Cache, CacheError
from workers.cni.gate import Gate
from workers.cni.reserving import Reserving
from workers.config import Settings, SettingsError
from workers.confirm import Confirm
from workers.control import Control, ControlError, Gone, Silent
from workers.courier import ATTEMPTS, TRIAL_PAUSE
from workers.desired import Desired
from workers.document import Document, DocumentError
from workers.holdings import Holdings
from workers.kernel.door import Kernel
from workers.reconcile import Outcome, look, reconcile
from workers.watch import Watch

if TYPE_CHECKING:
    from workers.app import Listener

DONE, LEFT, UNFIT = 0, 1, 2
STOP = 0.5
"""Seconds that a stop waits for the broker's side, then for a run that is under way: both may be
abandoned at any point, and a stop must not take longer than two."""
HEAD_START = 0.5
"""Seconds that the network may take before Celery competes for the processor."""
CAP_NET_ADMIN = 12
log = logging.getLogger("netadmin.worker")


class Unfit(Exception):
    """The worker cannot work here; says why and the remedy."""


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    try:
        settings = config.load(os.environ, options.config)
        _require_rights()
        return {"run": run, "once": once, "plan": plan}[options.do](settings)
    except (SettingsError, Unfit) as error:
        print(f"netadmin worker: {error}", file=sys.stderr)
        return UNFIT


def run(settings: Settings) -> int:
    """Until SIGTERM or SIGINT. The network stays as it is."""
    _be_the_only_one(settings)
    logs.start()
    signalled = _signals()
    with Watch() as watch:
        agent = Agent(settings, watch, systemd.ready)
        log.info("started", extra={"node": settings.node, "url": settings.url})
        agent.start()
        agent.built.wait(HEAD_START)
        listener = _listener(settings, agent)
        os.read(signalled, 1)
        log.info("stopping; the network stays as it is")
        agent.stop()
        if listener:
            listener.stop(STOP)
        agent.join(STOP)
    return DONE


def once(settings: Settings) -> int:
    """One run, from the newest document that can be had; taken back if it cuts the node off."""
    _be_the_only_one(settings)
    store = Cache(settings.state_dir, settings.node)
    confirm = Confirm(store, settings)
    control = Control(settings, confirm.answered)
    fetched = _fetched(control, store, confirm)
    gate = _reserved(control, settings)
    with Kernel() as kernel:
        desired, outcome = _carry_out(fetched, settings, kernel, confirm, gate)
        _prove(confirm, control)
        if confirm.give_up():
            desired, outcome = _carry_out(fetched, settings, kernel, confirm, gate)
    _print(outcome.changes, "changed")
    _print(outcome.left, "NOT changed")
    _print((*desired.findings, *outcome.findings), "problem")
    print(f"{settings.node} version {desired.version[:12]}: {_status(len(outcome.left))}")
    return LEFT if outcome.left or desired.refused else DONE


def plan(settings: Settings) -> int:
    """What ``once`` would do."""
    store = Cache(settings.state_dir, settings.node)
    confirm = Confirm(store, settings)
    desired = confirm.in_force(Desired(_document(Control(settings), store, confirm)[0]))
    assert desired.document
    with Kernel() as kernel:
        _, todo = look(desired.document, settings, kernel)
    _print(todo.changes, "would")
    _print((*desired.findings, *todo.findings), "problem")
    print(f"{settings.node} version {desired.version[:12]}: {_status(len(todo.changes))}")
    return LEFT if todo or desired.refused else DONE


def _carry_out(
    document: Document, settings: Settings, kernel: Kernel, confirm: Confirm, gate: Gate
) -> tuple[Desired, Outcome]:
    """The document, or what is in force in its place."""
    desired = confirm.in_force(Desired(document))
    assert desired.document
    outcome = reconcile(
        desired.document,
        settings,
        kernel,
        before_apply=partial(confirm.before, desired.document),
        let_pass=gate.let_pass,
    )
    confirm.after(desired.document)
    return desired, outcome


def _reserved(control: Control, settings: Settings) -> Gate:
    """The lease store holds what is reserved, as far as that is known; the gate that tells how far. Where
    nothing is known, what is in the store may be reserved still, and stays."""
    found: Holdings | None
    try:
        found = post.verified(control.holdings(0) or b"", settings.node)
    except (ControlError, wire.WireError) as error:
        print(f"reservations from the cache: {error}")
        found = post.cached(settings.state_dir / post.FILE, settings.node)
    gate = Gate(lambda: None)
    gate.named(control.holdings_version)
    if found is None:
        gate.held(0, {})
    else:
        gate.held(found.version, Reserving(settings.cni_store).hold(found.reservations).troubles)
    return gate


def _prove(confirm: Confirm, control: Control) -> None:
    """If a version is on trial, wait until the control plane is reached or the time is up."""
    while confirm.seconds and not confirm.is_over:
        control.hurry(confirm.seconds / ATTEMPTS)
        try:
            control.document(confirm.trial)
        except Silent:
            confirm.unanswered()
            time.sleep(min(TRIAL_PAUSE, max(confirm.until - time.monotonic(), 0)))
        except ControlError as error:
            print(f"the control plane answers: {error}")


def _options(arguments: list[str]) -> argparse.Namespace:
    about, _, usage = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m workers",
        description=about,
        epilog=usage,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("do", nargs="?", choices=["run", "once", "plan"], default="run")
    parser.add_argument(
        "--config", type=Path, help=f"settings; without it {config.DEFAULT_FILE}, if it is there"
    )
    return parser.parse_args(arguments)


def _require_rights() -> None:
    status = Path("/proc/self/status").read_text()
    effective = int(status.partition("CapEff:")[2].split()[0], 16)
    if not effective >> CAP_NET_ADMIN & 1:
        raise Unfit("needs CAP_NET_ADMIN to build networks; start it as root, or from its systemd unit")


def _be_the_only_one(settings: Settings) -> None:
    """Two workers on one node would count each other's work as drift."""
    path = settings.state_dir / "lock"
    try:
        settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        free = files.lock(path)
    except OSError as error:
        raise Unfit(
            f"NETADMIN_STATE_DIR={settings.state_dir}: cannot be written ({error.strerror})"
        ) from error
    if free is None:
        raise Unfit(f"another worker holds {path}; it looks by itself, and 'plan' may run beside it")
    files.sweep(settings.state_dir)


def _listener(settings: Settings, agent: Agent) -> "Listener | None":
    """The broker's side; None without a broker. Celery, half a second of CPU, is imported only now,
    and not at all where the timer alone drives the worker."""
    if not settings.broker_url:
        return None
    from workers.app import HOLDINGS, QUESTIONS, TASK, Listener

    listener = Listener(settings, {TASK: agent.look, QUESTIONS: agent.answer, HOLDINGS: agent.hold})
    listener.start()
    return listener


def _signals() -> int:
    """A descriptor that becomes readable at SIGTERM or SIGINT, from now on."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    return reader


def _fetched(control: Control, store: Cache, confirm: Confirm) -> Document:
    """The newest document, which is the cached one from now on. Raises Unfit."""
    with suppress(CacheError):  # what cannot be read was never in force
        confirm.adopt()
    document, body = _document(control, store, confirm)
    if body:
        store.write(body, document.version)
    return document


def _document(control: Control, store: Cache, confirm: Confirm) -> tuple[Document, bytes]:
    """From the control plane with its bytes, else what was in force; raises Unfit when there is neither."""
    try:
        body = control.document("") or b""
        return cache.verify(body, store.node), body
    except Gone as error:
        raise Unfit(f"{error}; the running worker cleans up") from error
    except (ControlError, DocumentError) as error:
        print(f"from the cache: {error}")
    try:
        if document := confirm.restored():
            return document, b""
    except CacheError as error:
        raise Unfit(str(error)) from error
    raise Unfit(f"there is no document, and none in {store.path}; nothing is touched")


def _print(lines: Iterable[object], what: str) -> None:
    for line in lines:
        print(f"{what}: {line}")


def _status(left: int) -> str:
    return f"{left} to do" if left else "all is as declared"


if __name__ == "__main__":
    status = main(sys.argv[1:])
    logging.shutdown()
    sys.stdout.flush()
    os._exit(status)  # at once: a thread may be in the middle of a request, and holds nothing
