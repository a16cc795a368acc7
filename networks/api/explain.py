"""/api/v1/explain/: the way of a packet between two addresses.

POST explain/ {"source": "10.11.0.7", "destination": "n2"}   -> 202 operation, 200 with ?wait= once it is done
GET  operations/ID/                                          result: hops, first difference, echoes, verdict
"""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from netadmin import rest, roles
from networks import explaining
from networks.api.operations import WAIT, OperationSerializer, answer
from nodes import questions

END = "An address; ADDRESS@NODE on a local bridge; or the name of a node, service, container or host."


class PacketSerializer(rest.Resource):
    source = serializers.CharField(max_length=255, help_text=END)  # type: ignore[assignment]  # a field named like an option
    destination = serializers.CharField(max_length=255, help_text=END)
    network = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=63,
        help_text="In which a node's name means its bridge address.",
    )


class ExplainView(APIView):
    """It changes nothing, so whoever may read may ask; echoes to other addresses than the cluster's are
    sent for operators."""

    write_role = roles.VIEWER

    @extend_schema(
        request=PacketSerializer,
        parameters=[WAIT],
        responses={200: OperationSerializer, 202: OperationSerializer},
    )
    def post(self, request: Request) -> Response:
        """Ask the nodes on the way of a packet what their kernels do with it, and try it."""
        given: dict[str, Any] = PacketSerializer.read(request.data)
        operation = explaining.ask(
            given["source"],
            given["destination"],
            given.get("network", ""),
            by=request.user.username,
            outside=roles.has_role(request.user, roles.OPERATOR),
            within=questions.patience(rest.seconds_to_wait(request, questions.LONGEST_WAIT)),
        )
        return answer(request, operation)
