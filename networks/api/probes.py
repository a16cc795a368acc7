"""/api/v1/networks/NAME/probes/: what crosses between which nodes."""

from collections.abc import Iterable
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from netadmin.problems import Fault, Problem
from networks import pairs
from networks.lookups import the_network
from networks.models import Network
from networks.pairs import WORST_FIRST, PairState

FAMILIES = {"4": 4, "6": 6}
FILTERS = {"node": "source", "peer": "peer", "state": "state"}
"""Parameters of a query, and what of a pair they are compared with."""


class PairSerializer(serializers.Serializer[Any]):
    """What crossed from one node to another, in one family."""

    node = serializers.CharField(source="source", help_text="The node that probed.")
    peer = serializers.CharField(help_text="The node it probed.")
    family = serializers.IntegerField(help_text="4 or 6.")
    state = serializers.ChoiceField(
        WORST_FIRST, help_text="up; mtu: small packets pass, full ones are lost; down; pending."
    )
    loss = serializers.FloatField(help_text="Of the small packets of the last round, from 0 to 1.")
    rtt = serializers.FloatField(help_text="Milliseconds; 0: none came back.")
    largest = serializers.IntegerField(help_text="Bytes of the largest packet that passed; 0: none.")
    at = serializers.DateTimeField(allow_null=True, help_text="When it was probed last.")
    code = serializers.CharField(help_text="Why it is not up: no-route, blocked, mtu, peer-down ...")
    why = serializers.CharField()
    remedy = serializers.CharField()
    way = serializers.CharField(help_text="The route or tunnel it takes.")


class ProbesView(generics.GenericAPIView[Any]):
    """Pairs of a network's nodes."""

    queryset = Network.objects.defer("peers_body")
    serializer_class = PairSerializer

    @extend_schema(
        responses=PairSerializer(many=True),
        parameters=[
            OpenApiParameter("node", str, description="From this node."),
            OpenApiParameter("peer", str, description="To this node."),
            OpenApiParameter("family", OpenApiTypes.INT, description="4 or 6."),
            OpenApiParameter("state", str, enum=WORST_FIRST, description="That stand so."),
        ],
    )
    def get(self, request: Request, name: str) -> Response:
        """The pairs, in cluster order. Of a node with many peers only those that are not up."""
        network = the_network(name, self.get_queryset())
        found = pairs.of_network(network, network.scope())
        page = self.paginate_queryset(list(_filtered(found, request)))
        return self.get_paginated_response(PairSerializer(page or [], many=True).data)


def _filtered(found: Iterable[PairState], request: Request) -> Iterable[PairState]:
    given = request.query_params
    _require(given.get("family"), "family", tuple(FAMILIES))
    _require(given.get("state"), "state", WORST_FIRST)
    wanted: dict[str, Any] = {FILTERS[name]: given[name] for name in FILTERS if name in given}
    if "family" in given:
        wanted["family"] = FAMILIES[given["family"]]
    return (pair for pair in found if all(getattr(pair, name) == value for name, value in wanted.items()))


def _require(value: str | None, field: str, known: tuple[str, ...]) -> None:
    if value is not None and value not in known:
        raise Problem(Fault(field, value, f"is none of {', '.join(known)}", f"Use {field}={known[0]}"))
