"""Rows -> Facts: what the zones are made of. A fixed number of queries."""

from django.db.models import QuerySet
from netaddr import IPNetwork

from networks import expose
from networks.dns import changes, reverse
from networks.dns.names import Holder
from networks.dns.zones import Facts
from networks.models import Address, Network, Segment, State, Type
from nodes.models import Cluster

COLUMNS = (
    "allocation__service",
    "allocation__resource",
    "allocation__node__name",
    "allocation__node__weight",
    "address",
    "allocation__hostname",
    "allocation__dns_name_suffix",
    "allocation__expose",
)


def facts() -> Facts:
    """The serial is read first: what is changed meanwhile is seen again under a newer one."""
    serial = changes.serial()
    cluster = Cluster.current()
    return Facts(
        cluster=cluster.name,
        servers=tuple(cluster.dns),
        reverse=tuple(reverse.apexes(_ranges())),
        holders=frozenset(_holder(*row) for row in served().values_list(*COLUMNS)),
        serial=serial,
    )


def served() -> "QuerySet[Address]":
    """Addresses of services that are attached and passed their last check."""
    attached = Address.objects.filter(allocation__state=State.ATTACHED, allocation__healthy=True)
    return attached.exclude(allocation__service="").exclude(allocation__node=None).order_by()


def _holder(
    service: str,
    resource: str,
    node: str,
    weight: int,
    address: object,
    hostname: str,
    suffix: str,
    ports: list[str],
) -> Holder:
    return Holder(
        service,
        resource,
        node,
        weight,
        str(address),
        hostname,
        suffix,
        expose.parse_all(ports) if ports else (),
    )


def _ranges() -> set[IPNetwork]:
    """Of every network, and of nodes that have another one; what never leaves a host has no names."""
    networks = Network.switched_on().exclude(type=Type.LOOPBACK)
    texts = [*networks.values_list("network", flat=True)]
    texts += (
        Segment.objects.filter(network__in=networks).exclude(own_range="").values_list("own_range", flat=True)
    )
    return {IPNetwork(cidr) for text in texts for cidr in text.split()}
