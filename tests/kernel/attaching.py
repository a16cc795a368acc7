"""Attachments on a node of the kernel tests: what must be held, who holds it, what is there of it."""

import os
import signal
import subprocess
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.namespaces import Namespace
from lab.waiting import until
from tests.documents import bridge, document
from tests.kernel.faults import Strike, dying
from tests.kernel.node import Node
from workers import holdings
from workers.attaching import chain, sight
from workers.attaching.attacher import Attacher
from workers.attaching.hostports import HostPorts
from workers.attaching.journal import Journal
from workers.attaching.keeper import Keeper
from workers.cni.gate import Gate
from workers.cni.store import Store
from workers.document import Document
from workers.holdings import Attachment, Holdings, Port, Standing
from workers.kernel import namespaces, nft, ports, rulesets, tables

NETWORK = document(bridge(), look_interval=1.0)
Rude = Callable[[str], Node]
"""Makes a node whose list ends with a plugin that is this shell script; CNI_COMMAND tells it what to do."""


def attachment(netns: str = "", number: int = 1, **values: Any) -> Attachment:
    """Of service ``root/svc/webNUMBER`` in ``local1``."""
    defaults: dict[str, Any] = {
        "id": f"{number:032x}",
        "network": "local1",
        "service": f"root/svc/web{number}",
        "resource": "ip#0",
        "interface": "eth12",
    }
    return Attachment(netns=netns, **{**defaults, **values})


def exposed(*ports: tuple[int, int, str]) -> tuple[Port, ...]:
    """From container port, host port and protocol."""
    return tuple(Port(port, protocol, host) for port, host, protocol in ports)


MAPPED = exposed((80, 8001, "tcp"), (53, 5353, "udp"))


def held(node: Node, *attachments: Attachment, version: int = 1) -> None:
    """What the control plane last said is on the disk."""
    node.settings.state_dir.mkdir(exist_ok=True)
    body = holdings.dump(Holdings("n1", version, attachments))
    (node.settings.state_dir / "holdings.json").write_bytes(body)


@contextmanager
def an_attacher(node: Node, document: Document) -> Iterator[Attacher]:
    """It has found what is there, as that of a worker that starts."""
    journal = Journal(node.settings.state_dir)
    with HostPorts(node.settings.nft_table) as host_ports:
        for entry in journal.read().values():
            host_ports.restore(entry)
        host_ports.keep()
        yield Attacher(node.settings, journal, host_ports, lambda: with_directories(node, document))


@contextmanager
def a_keeper(node: Node, document: Document) -> Iterator[Keeper]:
    """Started as by a worker; the control plane is away."""
    keeper = Keeper(node.settings, lambda: with_directories(node, document), Gate(lambda: None))
    keeper.start()
    try:
        yield keeper
    finally:
        keeper.stop()
        keeper.join()


def with_directories(node: Node, document: Document) -> Document:
    return replace(document, cni_config=str(node.directory))


def standing(keeper: Keeper, one: Attachment) -> Standing | None:
    found = keeper.statement()
    return next((s for s in found.attachments if s.id == one.id), None) if found else None


def becomes(keeper: Keeper, one: Attachment, state: str, within: float = 10) -> Standing:
    def there() -> Standing | None:
        seen = standing(keeper, one)
        return seen if seen and seen.state == state else None

    return until(there, what=f"{one.service} is {state}", within=within)  # type: ignore[return-value]


def leases(node: Node, network: str = "local1") -> dict[str, str]:
    return {
        str(one.address): one.container
        for one in Store(node.settings.cni_store).entries()
        if one.network == network
    }


def addresses(inside: Namespace, interface: str = "eth12") -> list[str]:
    shown = inside.call(["ip", "-o", "addr", "show", "dev", interface, "scope", "global"]).stdout
    return sorted(line.split()[3] for line in shown.splitlines())


def mapped(node: Node) -> set[str]:
    """Host ports of IPv4 in our own table, as nft shows them."""
    table = node.namespace.call(["nft", "list", "table", "inet", ports.name(node.settings.nft_table)]).stdout
    return {text for holder, text in tables.parse(table).elements if holder == ports.MAPS[4]}


def veths(node: Node) -> list[str]:
    """Ends of containers' interfaces on the node."""
    shown = node.ip("-o link show type veth")
    return [line.split()[1] for line in shown.splitlines() if line.split()[1].startswith("veth")]


def remains(node: Node) -> dict[str, object]:
    """What an attachment could leave behind."""
    return {
        "leases": leases(node),
        "links": veths(node),
        "rules": node.nft("list tables"),
        "journal": [path.name for path in (node.settings.state_dir / "attachments").iterdir()],
        "namespaces": [path.name for path in node.settings.netns_dir.glob("*")],
    }


def is_empty(node: Node) -> bool:
    """Whether attachments have left nothing behind."""
    found = remains(node)
    rules = found.pop("rules")
    return not any(found.values()) and "_ports" not in str(rules)


Work = Callable[[Attacher], object]


def dies(node: Node, document: Document, work: Work, nth: int) -> bool:
    """Do it in a process that is killed at its ``nth`` step; False: it came to the end."""

    def run() -> None:
        with struck(Strike(nth, dying)), an_attacher(node, document) as attacher:
            work(attacher)

    return _is_killed(run)


def dies_while_a_plugin_runs(node: Node, document: Document, work: Work, after: float) -> bool:
    """As ``dies``, so many seconds behind the start of the first plugin, which goes on."""

    def run() -> None:
        with pytest.MonkeyPatch.context() as patch, an_attacher(node, document) as attacher:
            patch.setattr(chain.subprocess, "Popen", _started_and(after))
            work(attacher)

    return _is_killed(run)


def _is_killed(run: Callable[[], object]) -> bool:
    """Whether a process that does it is killed. One that fails does not go on with the tests of its parent:
    that is an error here."""
    child = os.fork()
    if child == 0:
        try:
            run()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - shown, and told by the exit status
            traceback.print_exc()
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL), "it failed by itself, see above"
    return status == signal.SIGKILL


def _started_and(after: float) -> Callable[..., Any]:
    real = subprocess.Popen

    def start(*args: Any, **options: Any) -> Any:
        real(*args, **options)
        time.sleep(after)
        os.kill(os.getpid(), signal.SIGKILL)

    return start


@contextmanager
def struck(strike: Strike) -> Iterator[None]:
    """Every door of an attachment obeys ``strike``: before it does anything, and behind it."""
    doors = (
        (Journal, "write"),
        (Journal, "finish"),
        (Journal, "remove"),
        (chain, "_run"),
        (nft.Nft, "carry_out"),
        (nft.Nft, "replace"),
        (nft.Nft, "remove"),
        (rulesets.Rulesets, "commit"),
        (namespaces, "make"),
        (namespaces, "fresh"),
        (namespaces, "remove"),
        (sight, "remove_outside"),
        (sight, "mend_outside"),
    )
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in doors:
            patch.setattr(owner, name, _both(getattr(owner, name), strike))
        yield


def _both(door: Callable[..., Any], strike: Strike) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        strike.error()
        result = door(*args)
        strike.error()
        return result

    return call


def symlink(path: Path, namespace: Namespace) -> None:
    """``path`` leads to the namespace from now on."""
    path.unlink(missing_ok=True)
    path.symlink_to(namespace.path)


def a_program(path: Path, script: str) -> None:
    """A shell script in the place of whatever is there."""
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
