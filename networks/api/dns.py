"""/api/v1/dns/records/: what the cluster DNS serves."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from netadmin import rest
from networks.dns import listing, loaded
from networks.dns.zones import Zones
from networks.models import Address


class RecordSerializer(serializers.Serializer[Any]):
    """One record."""

    zone = serializers.CharField(help_text="The apex of its zone.")
    name = serializers.CharField(source="record.name", help_text="Lower case, with the final dot.")
    type = serializers.ChoiceField(listing.TYPES, source="record.type")
    ttl = serializers.IntegerField(source="record.ttl", help_text="Seconds.")
    content = serializers.CharField(source="record.content", help_text="As in a master file.")


class RecordsView(generics.GenericAPIView[Any]):
    """The records of the cluster DNS."""

    queryset = Address.objects.none()
    serializer_class = RecordSerializer
    filter_backends: list[Any] = []

    @extend_schema(
        responses=RecordSerializer(many=True),
        parameters=[
            OpenApiParameter("name", str, description="Part of the name."),
            OpenApiParameter("type", str, enum=listing.TYPES),
            OpenApiParameter("zone", str, description="In this zone, with or without the final dot."),
        ],
    )
    def get(self, request: Request) -> Response:
        """The records, zone by zone, each by name: what ``manage.py dns dump`` prints."""
        rest.refuse_unknown(request, "name", "type", "zone", *rest.PAGING)
        given = request.query_params
        found = listing.records(
            Zones(loaded.facts()),
            name=given.get("name", ""),
            kind=given.get("type", ""),
            zone=given.get("zone", ""),
        )
        page = self.paginate_queryset(list(found))
        return self.get_paginated_response(RecordSerializer(page or [], many=True).data)
