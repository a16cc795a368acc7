"""What a node must hold for services, and what it says of it, by its own token.

    GET  nodes/NAME/holdings/   If-None-Match: "VERSION" -> 304, or 200 and the holdings
    POST nodes/NAME/holdings/   statement -> 204

That there is a newer version, a node learns from a header of its document's answer.
"""

from django.http import HttpResponse, HttpResponseNotModified
from django.utils.http import parse_etags, quote_etag
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from networks import holdings, standings
from nodes.api import bodies
from nodes.api.authentication import OnlyThisNode, node_of
from workers import holdings as wire


class HoldingsView(APIView):
    permission_classes = [OnlyThisNode]
    parser_classes = [bodies.parser(wire.parse_statement, wire.MAX_BYTES)]

    @extend_schema(
        parameters=[OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER)],
        responses={
            200: OpenApiResponse(OpenApiTypes.OBJECT, "The holdings; their version is the ETag."),
            304: OpenApiResponse(None, "They still are that version."),
        },
    )
    def get(self, request: Request, name: str) -> HttpResponse:
        """What the node must hold for services; 304 while it is the version in If-None-Match."""
        node = node_of(request)
        known = parse_etags(request.headers.get("If-None-Match", ""))
        if _etag(node.holdings) in (tag.removeprefix("W/") for tag in known):
            return _headed(HttpResponseNotModified(), node.holdings)
        held = holdings.of_node(node)
        return _headed(HttpResponse(wire.dump(held), content_type="application/json"), held.version)

    @extend_schema(request=OpenApiTypes.OBJECT, responses={204: None})
    def post(self, request: Request, name: str) -> Response:
        """State what the node holds; a statement older than its newest is ignored."""
        said = request.data
        if not isinstance(said, wire.Statement):
            raise bodies.unreadable("body: is empty")
        if said.node != name:
            raise bodies.unreadable(f"node={said.node}: is the statement of another node")
        standings.take_in(node_of(request), said)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _etag(version: int) -> str:
    return quote_etag(str(version))


def _headed(response: HttpResponse, version: int) -> HttpResponse:
    response["ETag"] = _etag(version)
    response["Cache-Control"] = "private, no-cache"
    return response
