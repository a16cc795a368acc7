"""The verb of the cluster: change what holds for all networks and nodes."""

from typing import Any

from django.db import transaction

from netadmin.problems import Fault, Problem
from networks import desired, rules
from networks.declare import require_version
from networks.dns import changes
from networks.models import Network
from nodes import events, wakeup
from nodes.models import Cluster

SECONDS = {
    "look_interval": (1, 3600),
    "probe_interval": (0, 3600),
    "confirm_seconds": (0, 3600),
    "lease_grace": (10, 86400),
}
"""Fields that are times: the least and the most."""
NEVER = {"probe_interval": "; 0: no probes", "confirm_seconds": "; 0: nothing is taken back"}
FIELDS = ("name", "dns", "allowed_networks", "cni_plugins", "cni_config", *SECONDS)


@transaction.atomic
def change(*, by: str, expected: int | None = None, **fields: Any) -> Cluster:
    """Change what is given of the cluster and keep the rest."""
    cluster = Cluster.locked()
    require_version(cluster.version, expected)
    before = describe(cluster)
    for field, value in fields.items():
        setattr(cluster, field, value)
    if faults := _faults(cluster):
        raise Problem(*faults)
    after = describe(cluster)
    if after == before:
        return cluster
    cluster.version += 1
    cluster.save()
    changes.changed()
    events.record(by, "changed", "cluster", cluster.name, before=before, after=after)
    wakeup.wake_on_commit(node.name for node in desired.publish([]))
    return cluster


def describe(cluster: Cluster) -> dict[str, Any]:
    return {field: getattr(cluster, field) for field in FIELDS}


def _faults(cluster: Cluster) -> list[Fault]:
    faults = list(rules.check_name("name", cluster.name))
    for text in cluster.dns:
        faults += rules.syntax_faults("dns", str(text), cluster.name)
    for text in cluster.allowed_networks:
        faults += rules.cidr_faults("allowed_networks", str(text))
    for field in ("cni_plugins", "cni_config"):
        faults += rules.directory_faults(field, getattr(cluster, field))
    faults += _wrong_times(cluster)
    return faults or _outside(cluster)


def _wrong_times(cluster: Cluster) -> list[Fault]:
    return [
        Fault(
            field,
            str(value),
            "is out of range",
            f"Use {shortest} to {longest} seconds{NEVER.get(field, '')}",
        )
        for field, (shortest, longest) in SECONDS.items()
        if not shortest <= (value := getattr(cluster, field)) <= longest
    ]


def _outside(cluster: Cluster) -> list[Fault]:
    """Narrowing what is allowed must not outlaw what is there."""
    return [
        Fault(
            "allowed_networks",
            ", ".join(cluster.allowed_networks),
            f"does not hold {fault.value} of network {network.name}",
            "Withdraw that network first, or allow its range too",
        )
        for network in Network.objects.all()
        for fault in rules.allowed_faults(network, cluster, network.cidrs)
    ]
