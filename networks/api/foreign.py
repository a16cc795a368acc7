"""/api/v1/foreign-networks/: CNI files that nobody declared, by the name of the network in them."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from networks import foreign


class ForeignFileSerializer(serializers.Serializer[Any]):
    node = serializers.CharField()
    path = serializers.CharField()


class ForeignNetworkSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    type = serializers.CharField(help_text="Always undef.")
    network = serializers.CharField(help_text="Always undef.")
    size = serializers.CharField(help_text="Always 1.")
    files = ForeignFileSerializer(many=True)


class ForeignNetworksView(APIView):
    """Networks of others. Reading needs the role viewer."""

    @extend_schema(responses=ForeignNetworkSerializer(many=True))
    def get(self, request: Request) -> Response:
        """By name; portmap alone is no network, and what is declared is not of others."""
        return Response([represent(one) for one in foreign.listed()])


def represent(one: foreign.ForeignNetwork) -> dict[str, Any]:
    return {
        "name": one.name,
        "type": foreign.UNDEFINED,
        "network": foreign.UNDEFINED,
        "size": str(foreign.SIZE),
        "files": [{"node": node, "path": path} for node, path in one.files],
    }
