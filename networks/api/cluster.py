"""/api/v1/cluster/: what holds for all networks and nodes."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from netadmin import rest, roles
from networks import cluster
from nodes.models import Cluster


class ClusterSerializer(rest.Resource):
    """What holds for all networks and nodes."""

    name = serializers.CharField(required=False, help_text="The last label of every DNS name.")
    dns = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="Addresses of the DNS servers."
    )
    allowed_networks = serializers.ListField(
        child=serializers.CharField(), required=False,
        help_text="CIDRs inside which networks may be declared; empty: anywhere.",
    )  # fmt: skip
    cni_plugins = serializers.CharField(required=False, help_text="Directory on the nodes.")
    cni_config = serializers.CharField(required=False, help_text="Directory on the nodes.")
    look_interval = serializers.IntegerField(
        required=False, help_text="Seconds between two looks of a node when nothing else triggers one."
    )
    probe_interval = serializers.IntegerField(
        required=False, help_text="Seconds between two rounds of a node's probes; 0: no probes."
    )
    confirm_seconds = serializers.IntegerField(
        required=False,
        help_text="A node that does not reach the control plane for so long after a change takes it back; "
        "0: never.",
    )
    lease_grace = serializers.IntegerField(
        required=False,
        help_text="Seconds for which a container must have been gone before a node frees its addresses.",
    )
    version = serializers.IntegerField(read_only=True, help_text="Also the ETag; give it in If-Match.")


class ClusterView(APIView):
    """The cluster. Reading needs the role viewer, writing admin."""

    write_role = roles.ADMIN

    @extend_schema(responses=ClusterSerializer)
    def get(self, request: Request) -> Response:
        """The cluster."""
        return _answer(Cluster.current())

    @extend_schema(parameters=[rest.IF_MATCH], request=ClusterSerializer, responses=ClusterSerializer)
    def patch(self, request: Request) -> Response:
        """Change what is given and keep the rest."""
        given = ClusterSerializer.read(request.data, partial=True)
        expected = rest.expected_version(request)
        return _answer(cluster.change(by=request.user.username, expected=expected, **given))


def _answer(row: Cluster) -> Response:
    body: dict[str, Any] = {**cluster.describe(row), "version": row.version}
    return Response(body, headers={"ETag": rest.etag(row.version)})
