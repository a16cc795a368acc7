"""What one run found and did, as the report that goes to the control plane."""

import dataclasses
import os
import platform
import time
from collections.abc import Iterable
from typing import Any

from workers import VERSION
from workers.changes import Change
from workers.cni import plugins, weave
from workers.config import Settings
from workers.desired import Desired
from workers.host import Host
from workers.objects import conf_directory
from workers.probing.prober import NO_PROBES
from workers.reconcile import Outcome
from workers.report import Finding, Lease, Probed, Report


def report(
    settings: Settings,
    desired: Desired,
    outcome: Outcome,
    drift: Iterable[Change],
    findings: Iterable[Finding],
    leases: tuple[Lease, ...],
    probes: tuple[Probed, ...],
) -> Report:
    """The whole report of a run; ``findings`` are those that the run itself does not know of."""
    capabilities = _capabilities(settings, desired)
    place, observed = plugins.directory(settings, desired.document), outcome.observed
    ours = {name.rpartition(".")[0]: content for name, content in observed.files.items()}
    no_plugin = plugins.missing(place) + plugins.not_there(ours, place, capabilities["plugins"])
    return Report(
        node=settings.node,
        sequence=time.time_ns(),
        version=desired.version,
        outcome=_outcome(desired, outcome),
        changes=tuple(map(str, outcome.changes)),
        drift=tuple(map(str, drift)),
        findings=(*desired.findings, *outcome.findings, *findings, *no_plugin),
        interfaces=observed.interfaces,
        routes=observed.routes,
        leases=leases,
        files=observed.files,
        capabilities=capabilities | _router(observed.host),
        milliseconds=outcome.milliseconds,
        probes=probes,
        foreign=dict(observed.confs),
        refused=desired.refused,
    )


def probed(last: Report, probes: tuple[Probed, ...], findings: tuple[Finding, ...]) -> Report:
    """The report of the last run once more, with what probes found since, and what is in their way."""
    return dataclasses.replace(
        last,
        sequence=time.time_ns(),
        outcome="unchanged" if last.outcome == "applied" else last.outcome,
        changes=(),
        drift=(),
        findings=(*(one for one in last.findings if one.code != NO_PROBES), *findings),
        probes=probes,
    )


def failed(settings: Settings, desired: Desired, error: Exception, last: Report | None) -> Report:
    """The report of a run that ended with an exception; what is there is told as it was ``last``."""
    remedy = "The worker tries again; its log has the details"
    finding = Finding("failed", "", f"worker of {settings.node}", f"{type(error).__name__}: {error}", remedy)
    known = last or Report(settings.node, 0, "", "failed", capabilities=_capabilities(settings, desired))
    return dataclasses.replace(
        known,
        sequence=time.time_ns(),
        version=desired.version,
        outcome="failed",
        changes=(),
        drift=(),
        findings=(*desired.findings, finding),
        milliseconds=0.0,
        refused=desired.refused,
    )


def same(one: Report, other: Report | None) -> bool:
    """Whether the second tells nothing that the first did not, but for counters and times."""
    return other is not None and _essence(one) == _essence(other)


def _essence(of: Report) -> Report:
    interfaces = tuple(
        dataclasses.replace(one, rx_bytes=0, tx_bytes=0, rx_packets=0, tx_packets=0) for one in of.interfaces
    )
    outcome = "unchanged" if of.outcome == "applied" else of.outcome
    return dataclasses.replace(
        of,
        sequence=0,
        milliseconds=0,
        outcome=outcome,
        changes=(),
        drift=(),
        interfaces=interfaces,
        probes=tuple(map(_verdicts, of.probes)),
    )


def _verdicts(of: Probed) -> Probed:
    """Without what every round measures anew."""
    pairs = tuple(dataclasses.replace(pair, loss=0.0, rtt=0.0, at=0.0) for pair in of.pairs)
    return dataclasses.replace(of, rtt=0.0, pairs=pairs)


def _outcome(desired: Desired, outcome: Outcome) -> str:
    if desired.document is None:
        return "no-document"
    if outcome.left:
        return "failed"
    if desired.refused:
        return "rolled-back"
    return "applied" if outcome.changes else "unchanged"


def _router(host: Host) -> dict[str, str]:
    return {"weave": weave.summary(host.weave)} if host.weave else {}


def _capabilities(settings: Settings, desired: Desired) -> dict[str, Any]:
    place = plugins.directory(settings, desired.document)
    return {
        "kernel": os.uname().release,
        "worker": VERSION,
        "python": platform.python_version(),
        "plugins": list(plugins.names(place)),
        "cni_plugins": str(place),
        "cni_config": conf_directory(desired.document, settings),
    }
