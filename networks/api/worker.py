"""What a node asks and says, by its own token.

    GET  nodes/NAME/desired/   If-None-Match: "VERSION" -> 304, or 200 and the document's bytes; either
                               says in headers how many questions wait (``nodes.api.questions``), and
                               which version of its holdings there is (``networks.api.holdings``)
    POST nodes/NAME/report/    report -> 204

Nothing else opens to a node's token. An unchanged node costs one query: the token's row
brings the node with it, and with it the version that the node is to have.
"""

from typing import Any

from django.http import HttpResponse, HttpResponseNotModified
from django.utils.http import parse_etags, quote_etag
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from netadmin import roles
from netadmin.problems import Fault, Missing
from networks import desired, usage
from networks.api.nodes import FindingSerializer
from networks.lookups import the_node
from nodes.api import bodies
from nodes.api.authentication import NodePrincipal, OnlyThisNode
from nodes.models import Node, Report
from workers import holdings, question
from workers import report as wire


class ThisNodeOrAPerson(BasePermission):
    message = OnlyThisNode.message

    def has_permission(self, request: Request, view: Any) -> bool:
        asked = OnlyThisNode() if isinstance(request.user, NodePrincipal) else roles.ByRole()
        return asked.has_permission(request, view)


class DesiredView(APIView):
    """The desired-state document of one node."""

    permission_classes = [ThisNodeOrAPerson]

    @extend_schema(
        parameters=[OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER)],
        responses={
            200: OpenApiResponse(OpenApiTypes.OBJECT, "The document; its version is the ETag."),
            304: OpenApiResponse(None, "It still is that version."),
        },
    )
    def get(self, request: Request, name: str) -> HttpResponse:
        """What the node must have; 304 while it is the version in If-None-Match."""
        node = _node(request, name)
        known = parse_etags(request.headers.get("If-None-Match", ""))
        # The weak comparison of RFC 9110, 13.1.2: a proxy that compresses makes an ETag weak.
        if quote_etag(node.desired_version) in (tag.removeprefix("W/") for tag in known):
            return _headed(HttpResponseNotModified(), node.desired_version, node)
        version, body = desired.document(node)
        return _headed(HttpResponse(body, content_type="application/json"), version, node)


def _node(request: Request, name: str) -> Node:
    if isinstance(request.user, NodePrincipal) and request.user.node is not None:
        return request.user.node
    return the_node(name)


def _headed(response: HttpResponse, version: str, node: Node) -> HttpResponse:
    response["ETag"] = quote_etag(version)
    response[question.HEADER] = str(node.questions)
    response[holdings.HEADER] = str(node.holdings)
    response["Cache-Control"] = "private, no-cache"
    return response


class InterfaceSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    kind = serializers.CharField(help_text="bridge, veth, ...; empty for hardware.")
    mac = serializers.CharField()
    mtu = serializers.IntegerField()
    up = serializers.BooleanField()
    ours = serializers.BooleanField()
    addresses = serializers.ListField(child=serializers.CharField())
    rx_bytes = serializers.IntegerField()
    tx_bytes = serializers.IntegerField()
    rx_packets = serializers.IntegerField()
    tx_packets = serializers.IntegerField()


class LeaseSerializer(serializers.Serializer[Any]):
    network = serializers.CharField()
    address = serializers.CharField()
    container = serializers.CharField()
    interface = serializers.CharField()
    lost = serializers.BooleanField(default=False, help_text="Its container is gone.")


class ReportSerializer(serializers.ModelSerializer[Report]):
    """The newest report of a node, in full."""

    findings = FindingSerializer(many=True)
    interfaces = InterfaceSerializer(many=True)
    leases = LeaseSerializer(many=True, help_text="But for those of attachments of services.")
    files = serializers.DictField(
        child=serializers.CharField(), help_text="CNI configuration files: name to content."
    )
    capabilities = serializers.DictField(help_text="kernel, worker, python, plugins ...")
    last_plan = serializers.ListField(
        child=serializers.CharField(), help_text="What the last apply that changed something carried out."
    )

    class Meta:
        model = Report
        exclude = ["node"]


class ReportView(APIView):
    """What a node says is really there."""

    parser_classes = [bodies.parser(wire.parse, wire.MAX_BYTES)]

    def get_permissions(self) -> list[Any]:
        return [OnlyThisNode()] if self.request.method == "POST" else [roles.ByRole()]

    @extend_schema(responses=ReportSerializer)
    def get(self, request: Request, name: str) -> Response:
        """The newest report, for people."""
        report = Report.objects.filter(node=the_node(name)).first()
        if report is None:
            raise Missing(Fault("node", name, "has not reported yet", "Start its worker"))
        return Response(ReportSerializer(report).data)

    @extend_schema(request=OpenApiTypes.OBJECT, responses={204: None})
    def post(self, request: Request, name: str) -> Response:
        """Hand a report in, by the node's token; one older than the newest is ignored."""
        said = request.data
        if not isinstance(said, wire.Report):
            raise bodies.unreadable("body: is empty")
        if said.node != name:
            raise bodies.unreadable(f"node={said.node}: is the report of another node")
        usage.take_in(request.user.node, said)
        return Response(status=status.HTTP_204_NO_CONTENT)
