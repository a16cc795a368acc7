"""/api/v1/allocations/: which addresses are in use or kept, and by whom."""

from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from netaddr import AddrFormatError, IPAddress, IPNetwork
from rest_framework import generics, serializers

from netadmin.problems import Fault, Problem
from networks.models import Allocation


class AllocationSerializer(serializers.ModelSerializer[Allocation]):
    address = serializers.CharField()
    network = serializers.CharField(source="network.name")
    node = serializers.CharField(source="node.name", default=None, allow_null=True)

    class Meta:
        model = Allocation
        fields = [
            "address", "network", "node", "service", "resource", "hostname", "container", "interface",
            "netns", "expose", "state", "learnt", "since",
        ]  # fmt: skip


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
        return rows.filter(
            address__range=(IPAddress(cidr.first, cidr.version), IPAddress(cidr.last, cidr.version))
        )


class AllocationsView(generics.ListAPIView[Allocation]):
    """Addresses in use or kept, by network and address."""

    queryset = Allocation.objects.select_related("network", "node").defer("network__peers_body")
    serializer_class = AllocationSerializer
    filterset_class: Any = AllocationFilter
