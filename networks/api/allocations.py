"""/api/v1/allocations/: who holds which addresses."""

from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from django_filters import rest_framework as filters
from netaddr import AddrFormatError, IPAddress, IPNetwork
from rest_framework import generics, serializers

from netadmin.problems import Fault, Problem
from networks.models import Address, Allocation

PLAIN = (
    "service", "resource", "netns", "interface", "wanted", "expose", "hostname", "dns_name_suffix", "comment",
    "state", "healthy", "why", "remedy", "container", "mac", "learnt", "since",
)  # fmt: skip
"""Fields that are shown as the columns are."""


class AllocationSerializer(serializers.ModelSerializer[Allocation]):
    """What one holder has of a network."""

    network = serializers.CharField(source="network.name")
    node = serializers.CharField(source="node.name", default=None, allow_null=True)
    addresses = serializers.SerializerMethodField(help_text="IPv4 first; none yet while it is requested.")

    class Meta:
        model = Allocation
        fields = ["id", "addresses", "network", "node", *PLAIN]

    def get_addresses(self, row: Allocation) -> list[str]:
        return [str(held.address) for held in row.addresses.all()]


def reserved(row: Allocation, address: IPAddress) -> dict[str, Any]:
    """A new reservation as the serializer would show it, at a tenth of the cost: there may be thousands."""
    return {
        "id": row.pk,
        "addresses": [str(address)],
        "network": row.network.name,
        "node": row.node.name if row.node else None,
        **{name: getattr(row, name) for name in PLAIN},
    }


class AllocationFilter(filters.FilterSet):  # type: ignore[misc]
    network = filters.CharFilter("network__name", label="Of this network.")
    node = filters.CharFilter("node__name", label="On this node.")
    address = filters.CharFilter(method="inside", label="This address, or inside this CIDR.")

    class Meta:
        model = Allocation
        fields = ["service", "container", "state", "learnt"]

    def inside(self, rows: "QuerySet[Allocation]", field: str, text: str) -> "QuerySet[Allocation]":
        try:
            cidr = IPNetwork(text)
        except (AddrFormatError, ValueError) as error:
            fault = Fault(field, text, "is neither an address nor a CIDR", "Give one like 10.11.4.0/22")
            raise Problem(fault) from error
        inside = IPAddress(cidr.first, cidr.version), IPAddress(cidr.last, cidr.version)
        return rows.filter(Exists(Address.objects.filter(allocation=OuterRef("pk"), address__range=inside)))


class AllocationsView(generics.ListAPIView[Allocation]):
    """Who holds which addresses, by network."""

    queryset = (
        Allocation.objects.select_related("network", "node")
        .defer("network__peers_body")
        .prefetch_related("addresses")
    )
    serializer_class = AllocationSerializer
    filterset_class: Any = AllocationFilter
