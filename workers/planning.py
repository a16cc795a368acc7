"""Answers a question of kind ``plan``: what this node would do for a draft, on its real kernel.

head + peer lists -> Document -> look (changes nothing) -> steps, findings
                                      + scene           -> risks
"""

import socket
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from workers.asked import Ground
from workers.changes import Change, Plan, Verb
from workers.cni.store import Store
from workers.config import Settings
from workers.document import Document
from workers.host import Host
from workers.kernel import lookup, routes
from workers.kernel.door import Kernel
from workers.kernel.messages import family
from workers.kernel.netlink import NetlinkError
from workers.kernel.routes import Route
from workers.objects import wanted
from workers.observe import table
from workers.plan import plan as made
from workers.planned import MOST_FINDINGS, MOST_STEPS, Count, Planned, Step
from workers.reconcile import look
from workers.risks import Path, Scene, drawn, risks


def plan(body: Mapping[str, Any], ground: Ground) -> Planned:
    """Raises DocumentError for a draft that is not this node's, and what a look raises."""
    start = time.monotonic()
    document = ground.drafted(body["head"])
    observed, first = look(document, ground.settings, ground.kernel)
    todo = Plan(
        (*first.changes, *_second_look(first, document, observed.host, ground.settings)), first.findings
    )
    around = scene(todo, document, observed.host, ground)
    counts = Counter((change.verb.value, _kind(change), around.network(change)) for change in todo.changes)
    return Planned(
        version=document.version,
        steps=tuple(_step(change, around) for change in todo.changes[:MOST_STEPS]),
        counts=tuple(Count(*sort, number) for sort, number in counts.items()),
        findings=todo.findings[:MOST_FINDINGS],
        risks=risks(todo, around),
        milliseconds=round((time.monotonic() - start) * 1000, 3),
    )


def _second_look(first: Plan, document: Document, host: Host, settings: Settings) -> tuple[Change, ...]:
    """What the look after the first round would still find: who may send into a tunnel is guarded until
    the tunnel is gone."""
    gone = {change.object.key for change in first.changes if change.verb is Verb.REMOVE}
    left = {name: link for name, link in host.links.items() if ("link", name) not in gone}
    if len(left) == len(host.links):
        return ()
    then, _ = wanted(document, replace(host, links=left), settings)
    now, _ = wanted(document, host, settings)
    return made(then, now).changes


def scene(todo: Plan, document: Document, host: Host, ground: Ground) -> Scene:
    """What is there beside the objects of the plan."""
    added = {(family(str(one.net)), one.table) for change in todo.changes for one in drawn(change)}
    nodes = {
        address: peer.node
        for network in document.networks
        for peer in network.peers
        for address in (*peer.addresses, *peer.gateways)
        if peer.node != document.node
    }
    return Scene(
        host=host,
        leases=Store(ground.settings.cni_store).leases(),
        paths=tuple(_paths(ground.settings, ground.kernel, host)),
        foreign=tuple(_foreign(added, ground, host)),
        peers=nodes,
        owners=_owners(ground.document) | _owners(document),
    )


def _owners(document: Document | None) -> dict[str, str]:
    return {
        cidr: network.name
        for network in (document.networks if document else ())
        for peer in network.peers
        for cidr in peer.subnets
    }


def _foreign(tables: Iterable[tuple[int, int]], ground: Ground, host: Host) -> Iterator[Route]:
    names = _names(host)
    for kind, number in sorted(tables):
        for body in table(kind, number, ground.kernel):
            route = routes.decode(body, names)
            if route.protocol != ground.settings.protocol:
                yield route


def _paths(settings: Settings, kernel: Kernel, host: Host) -> Iterator[Path]:
    """How the control plane and the broker are reached now; what is not reached cannot be cut off."""
    names = _names(host)
    for url, to, vital in (
        (settings.url, "the control plane", True),
        (settings.broker_url, "the broker", False),
    ):
        for address in _addresses(url):
            try:
                body = kernel.netlink.ask(lookup.encode(address))
            except NetlinkError:
                continue  # no route
            yield Path(address, to, lookup.decode(body, names).route, vital)


def _addresses(url: str) -> list[str]:
    """Of the host of a URL; none when its name is not known."""
    host = urlsplit(url).hostname
    if not host:
        return []
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return sorted({str(place[0]).partition("%")[0] for *_, place in found})


def _names(host: Host) -> dict[int, str]:
    return {link.index: link.name for link in host.links.values()}


def _step(change: Change, around: Scene) -> Step:
    was = str(change.was) if change.was else ""
    return Step(change.verb.value, _kind(change), str(change.object), around.network(change), was)


def _kind(change: Change) -> str:
    return type(change.object).__name__.lower()
