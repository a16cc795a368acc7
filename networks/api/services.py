"""/api/v1/services/: a service's configuration, as it stands, made what its node has for it."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from netadmin import rest
from networks import attaching, services
from networks.api.allocations import WAIT, AllocationSerializer
from networks.attaching import LONGEST_WAIT
from networks.services import Applied

EXAMPLE = """\
[container#0]
type = docker
name = web

[ip#0]
type = cni
network = backend1
netns = container#0
expose = 443/tcp:8443
"""


class ServiceSerializer(rest.Resource):
    """A service on a node, with its configuration."""

    service = serializers.CharField(help_text="NAMESPACE/svc/NAME, or NAME of the namespace root.")
    node = serializers.CharField(help_text="For which node it is read: KEYWORD@NODE wins there.")
    text = serializers.CharField(
        trim_whitespace=False,
        allow_blank=True,
        help_text="The configuration: sections, with KEYWORD = VALUE.",
    )


class AppliedResourceSerializer(AllocationSerializer):
    change = serializers.CharField(help_text="requested, changed, unchanged or releasing.")

    class Meta(AllocationSerializer.Meta):
        fields = [*AllocationSerializer.Meta.fields, "change"]


class AppliedSerializer(serializers.Serializer[Any]):
    """What became of a service's ip resources."""

    service = serializers.CharField()
    node = serializers.CharField()
    resources = AppliedResourceSerializer(many=True)
    passed_over = serializers.ListField(
        child=serializers.CharField(), help_text="Sections that are no ip resource of type cni, and why."
    )


class ServicesView(APIView):
    @extend_schema(
        request=ServiceSerializer,
        parameters=[WAIT],
        responses={200: AppliedSerializer, 202: AppliedSerializer},
        examples=[
            OpenApiExample(
                "A web server", {"service": "prod/svc/web", "node": "n1", "text": EXAMPLE}, request_only=True
            )
        ],
    )
    def post(self, request: Request) -> Response:
        """Apply a service's configuration on a node: resources that are not in it are released.

        200 when all of it is carried out, 202 while it is not.
        """
        seconds = rest.seconds_to_wait(request, LONGEST_WAIT)
        given = ServiceSerializer(data=request.data).checked()
        applied = services.apply(**given, by=request.user.username)
        rows = attaching.wait_beside_others([row.pk for row, _ in applied.resources], seconds)
        done = all(attaching.is_done(row) for row in rows)
        code = status.HTTP_200_OK if done else status.HTTP_202_ACCEPTED
        return Response(_represent(applied, {row.pk: row for row in rows}), status=code)


def _represent(applied: Applied, now: dict[int, Any]) -> dict[str, Any]:
    """What has gone meanwhile is not shown any more."""
    found = [(now[row.pk], change) for row, change in applied.resources if row.pk in now]
    return {
        "service": applied.service,
        "node": applied.node,
        "resources": [{**AllocationSerializer(row).data, "change": change} for row, change in found],
        "passed_over": list(applied.passed_over),
    }
