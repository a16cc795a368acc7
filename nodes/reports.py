"""What a node said: stored as its newest report, and an event for what is worth remembering."""

import time
from dataclasses import asdict

from django.db import transaction
from django.utils import timezone

from netadmin.problems import Fault, NodeGone
from nodes import events, probes
from nodes.models import Node, Report
from workers import report as wire

SMALLEST_MTU, LARGEST_MTU = 576, 65535
AHEAD = 60 * 10**9
"""Nanoseconds that the clock of a node may be ahead of ours."""


@transaction.atomic
def accept(node: Node, said: wire.Report) -> bool:
    """Store a report; False: it is older than the newest one and was ignored.

    The node's row is the lock: of two reports at once, the second sees the first. Raises
    NodeGone when the node was removed in the meantime.
    """
    if not Node.objects.select_for_update(no_key=True).filter(pk=node.pk).exists():
        raise gone(node.name)
    now = timezone.now()
    held = Report.objects.filter(node=node).first()
    if held is not None and not is_newer(said.sequence, held.sequence):
        return False
    row = Report(
        node=node,
        received=now,
        sequence=said.sequence,
        version=said.version,
        outcome=said.outcome,
        milliseconds=said.milliseconds,
        routes=said.routes,
        findings=[asdict(finding) for finding in said.findings],
        interfaces=[asdict(interface) for interface in said.interfaces],
        leases=[asdict(lease) for lease in said.leases],
        files=said.files,
        capabilities=said.capabilities,
        last_plan=list(said.changes) if said.changes or held is None else held.last_plan,
        last_plan_at=now if said.changes else (held.last_plan_at if held else None),
        probes=probes.summary(said.probes, held.probes if held else []),
        pairs=probes.pairs(said.probes),
        foreign=said.foreign,
        refused=said.refused,
    )
    row.save(force_insert=held is None)
    Node.objects.filter(pk=node.pk).update(
        last_seen=now, applied_version=said.version, underlay=underlay(said)
    )
    _remember(node, said, held)
    _remember_probes(node, row, held)
    return True


def is_newer(said: int, newest: int) -> bool:
    """Whether a number that a node counts by its clock is behind its newest one. One that is far ahead of our
    own clock is no measure: the node's clock was wrong, and nothing would be newer once it is right."""
    return said > newest or newest > time.time_ns() + AHEAD


def underlay(said: wire.Report) -> dict[str, int]:
    """What the node stands on: addresses of interfaces that are up and not ours, and their MTU.

    A node may report what it likes: an MTU that no network can have is left out.
    """
    return {
        address: interface.mtu
        for interface in said.interfaces
        if interface.up and not interface.ours and interface.kind != "loopback"
        if SMALLEST_MTU <= interface.mtu <= LARGEST_MTU
        for address in interface.addresses
        if not address.startswith("fe80:")
    }


def gone(name: str) -> NodeGone:
    """What a node that was removed is told."""
    return NodeGone(
        Fault("node", name, "was removed from the cluster", "Stop its worker, or add the node again")
    )


def _remember(node: Node, said: wire.Report, held: Report | None) -> None:
    actor = f"node {node.name}"
    if said.refused and (held is None or said.refused != held.refused):
        gone_back = {"before": {"version": said.refused}, "after": {"version": said.version}}
        events.record(actor, "rolled back", "node", node.name, **gone_back)
    if said.drift:
        events.record(actor, "repaired", "node", node.name, after=list(said.drift))
    elif said.changes:
        events.record(actor, "applied", "node", node.name, after=list(said.changes))
    before = {str(wire.Finding(**finding)) for finding in held.findings} if held else set()
    after = {str(finding) for finding in said.findings}
    if after != before:
        events.record(actor, "reported", "node", node.name, before=sorted(before), after=sorted(after))


def _remember_probes(node: Node, row: Report, held: Report | None) -> None:
    """Pairs that came up or went down since all were known last; one event for all of them."""
    before = probes.failures(held.probes) if held else []
    after = probes.failures(row.probes)
    if after != before:
        events.record(f"node {node.name}", "probed", "node", node.name, before=before, after=after)
