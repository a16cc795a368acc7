"""/api/v1/services/: what services have, and a configuration applied.

GET  services/                  service by service, with its resources that the filter leaves
GET  services/prod/svc/web/     one of them
POST services/                  a configuration, as it stands, made what its node has for it

An answer to GET has an ETag of its content: asked again with If-None-Match it is 304 while nothing changed.
"""

from typing import Any

from django.db.models import QuerySet
from django.utils.decorators import method_decorator
from django.views.decorators.http import conditional_page
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from netadmin import rest
from networks import attaching, services
from networks.api.allocations import WAIT, AllocationSerializer, seconds_of
from networks.models import OF_SERVICES, Allocation
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


KNOWN = OpenApiParameter(
    "If-None-Match", str, OpenApiParameter.HEADER, description="The ETag of what was read before."
)
UNCHANGED = OpenApiResponse(None, "It is as it was read.")


class ServiceSerializer(rest.Resource):
    """A service on a node, with its configuration."""

    service = serializers.CharField(help_text="NAMESPACE/svc/NAME, or NAME of the namespace root.")
    node = serializers.CharField(help_text="For which node it is read: KEYWORD@NODE wins there.")
    text = serializers.CharField(
        trim_whitespace=False,
        allow_blank=True,
        help_text="The configuration: sections, with KEYWORD = VALUE.",
    )


class ServiceResourceSerializer(AllocationSerializer):
    standing = serializers.CharField(help_text=f"One word: {', '.join(Allocation.STANDINGS)}.")

    class Meta(AllocationSerializer.Meta):
        fields = [*AllocationSerializer.Meta.fields, "standing"]


class StandingSerializer(serializers.Serializer[Any]):
    """A service, and how it is with what it asked for."""

    service = serializers.CharField()
    standing = serializers.CharField(help_text="The worst of its resources.")
    nodes = serializers.ListField(child=serializers.CharField())
    resources = ServiceResourceSerializer(many=True)


class ServiceFilter(filters.FilterSet):  # type: ignore[misc]
    """Of resources: services have those that are left, and those without any are left out."""

    service = filters.CharFilter(lookup_expr="icontains", label="Part of the path.")
    network = filters.CharFilter("network__name", label="Of this network.")
    node = filters.CharFilter("node__name", label="On this node.")
    state = filters.ChoiceFilter(choices=[(state, state) for state in OF_SERVICES])
    standing = filters.ChoiceFilter(method="stands", choices=[(word, word) for word in Allocation.STANDINGS])

    class Meta:
        model = Allocation
        fields = ["service"]

    def stands(self, rows: "QuerySet[Allocation]", field: str, word: str) -> "QuerySet[Allocation]":
        return rows.filter(Allocation.STANDINGS[word])


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


@method_decorator(conditional_page, name="dispatch")
class ServicesView(generics.GenericAPIView[Allocation]):
    """What services have. Reading needs the role viewer, writing operator."""

    queryset = services.asked_for()
    serializer_class = StandingSerializer
    filter_backends = [rest.Filters]
    filterset_class: Any = ServiceFilter

    @extend_schema(parameters=[KNOWN], responses={200: StandingSerializer(many=True), 304: UNCHANGED})
    def get(self, request: Request) -> Response:
        """Services by path, with their resources. A fixed number of queries."""
        rows = self.filter_queryset(self.get_queryset())
        page = self.paginate_queryset(rows.order_by("service").values_list("service", flat=True).distinct())
        found = services.standings(rows.filter(service__in=page or []))
        return self.get_paginated_response(StandingSerializer(found, many=True).data)

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
        seconds = seconds_of(request)
        given = ServiceSerializer.read(request.data)
        applied = services.apply(**given, by=request.user.username)
        rows = attaching.wait_beside_others([row.pk for row, _ in applied.resources], seconds)
        done = all(attaching.is_done(row) for row in rows)
        code = status.HTTP_200_OK if done else status.HTTP_202_ACCEPTED
        return Response(_represent(applied, {row.pk: row for row in rows}), status=code)


@method_decorator(conditional_page, name="dispatch")
class ServiceView(APIView):
    @extend_schema(parameters=[KNOWN], responses={200: StandingSerializer, 304: UNCHANGED})
    def get(self, request: Request, service: str) -> Response:
        """One service: NAMESPACE/svc/NAME, or NAME of the namespace root; 404 while it has no resource."""
        return Response(StandingSerializer(services.find(service)).data)


def _represent(applied: Applied, now: dict[int, Any]) -> dict[str, Any]:
    """What has gone meanwhile is not shown any more."""
    found = [(now[row.pk], change) for row, change in applied.resources if row.pk in now]
    return {
        "service": applied.service,
        "node": applied.node,
        "resources": [{**AllocationSerializer(row).data, "change": change} for row, change in found],
        "passed_over": list(applied.passed_over),
    }
