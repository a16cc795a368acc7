"""/api/v1/nodes/: the members of the cluster, for people.

What a node itself asks and says is in ``worker``.
"""

from typing import Any

from django.db.models import F, QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.filters import OrderingFilter
from rest_framework.request import Request
from rest_framework.response import Response

from netadmin import rest, roles
from netadmin.problems import Fault, Problem
from networks import convergence, membership
from networks.lookups import the_node
from nodes import tokens
from nodes.models import Node


class FindingSerializer(serializers.Serializer[Any]):
    """One problem of a node: what is wrong with what, and what helps."""

    code = serializers.CharField(help_text="Short and stable, for scripts.")
    network = serializers.CharField(help_text="Empty: the whole node.")
    subject = serializers.CharField()
    why = serializers.CharField()
    remedy = serializers.CharField()
    level = serializers.CharField(
        help_text="problem, or warning: all is as declared, but it may come to a problem.", default="problem"
    )


class NodeSerializer(rest.Resource):
    """A member of the cluster."""

    name = serializers.CharField(help_text="1 to 63 of a-z, 0-9, _ and -.")
    addresses = serializers.ListField(
        child=serializers.CharField(), required=False,
        help_text="Underlay addresses; without any, the name is looked up.",
    )  # fmt: skip
    cni_plugins = serializers.CharField(
        required=False, allow_blank=True, help_text="Directory; empty: the cluster's."
    )
    cni_config = serializers.CharField(
        required=False, allow_blank=True, help_text="Directory; empty: the cluster's."
    )
    weight = serializers.IntegerField(
        required=False, help_text="Of its services' ports in the DNS (SRV), 0 to 65535; 10 unless given."
    )
    comment = serializers.CharField(required=False, allow_blank=True)

    version = serializers.IntegerField(read_only=True, help_text="Also the ETag; give it in If-Match.")
    position = serializers.IntegerField(read_only=True, help_text="Order of joining, from 0.")
    joined = serializers.DateTimeField(read_only=True)
    last_seen = serializers.DateTimeField(read_only=True, allow_null=True)
    status = serializers.CharField(
        read_only=True, help_text="new, silent, converging, problem, cut, mtu, probing or converged."
    )
    desired_version = serializers.CharField(read_only=True, help_text="Of the document it is to have.")
    applied_version = serializers.CharField(read_only=True, help_text="Of the document it has.")
    refused = serializers.CharField(
        read_only=True, help_text="The desired version, if it was rolled back: it cut the node off."
    )
    findings = FindingSerializer(many=True, read_only=True)


class TokenSerializer(serializers.Serializer[Any]):
    node = serializers.CharField()
    token = serializers.CharField(help_text="Shown this once; only its hash is kept.")


class NodeFilter(filters.FilterSet):  # type: ignore[misc]
    name = filters.CharFilter(lookup_expr="icontains", label="Part of the name.")
    current = filters.BooleanFilter(method="is_current", label="Carries out what is declared now.")

    class Meta:
        model = Node
        fields: list[str] = []

    def is_current(self, nodes: "QuerySet[Node]", field: str, current: bool) -> "QuerySet[Node]":
        same = {"applied_version": F("desired_version")}
        return nodes.filter(**same) if current else nodes.exclude(**same)


def represent(state: convergence.NodeState) -> dict[str, Any]:
    """A node as a JSON value."""
    node = state.node
    return {
        "name": node.name,
        "addresses": node.addresses,
        "cni_plugins": node.cni_plugins,
        "cni_config": node.cni_config,
        "weight": node.weight,
        "comment": node.comment,
        "version": node.version,
        "position": node.position,
        "joined": node.joined,
        "last_seen": node.last_seen,
        "status": state.status,
        "desired_version": node.desired_version,
        "applied_version": node.applied_version,
        "refused": state.refused,
        "findings": state.findings,
    }


class NodeViewSet(viewsets.GenericViewSet[Node]):
    """Nodes. Reading needs the role viewer, writing admin."""

    write_role = roles.ADMIN
    queryset = Node.objects.all()
    serializer_class = NodeSerializer
    filter_backends = [rest.Filters, OrderingFilter]
    filterset_class = NodeFilter
    ordering_fields = ("position", "name", "last_seen")
    lookup_field = "name"
    lookup_value_regex = rest.NAME

    def list(self, request: Request) -> Response:
        """The nodes, in cluster order."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset())) or []
        states = {
            state.node.pk: represent(state)
            for state in convergence.node_states(Node.objects.filter(pk__in=[node.pk for node in page]))
        }
        return self.get_paginated_response([states[node.pk] for node in page if node.pk in states])

    @extend_schema(
        examples=[
            OpenApiExample("A node", {"name": "n1", "addresses": ["192.0.2.1"]}, request_only=True),
        ]
    )
    def create(self, request: Request) -> Response:
        """Add a node; it gets a segment of every network that is on every node."""
        given = NodeSerializer.read(request.data)
        node = membership.add(given.pop("name"), by=request.user.username, **given)
        return self._answer(node, status.HTTP_201_CREATED)

    def retrieve(self, request: Request, name: str) -> Response:
        """One node."""
        return self._answer(the_node(name))

    @extend_schema(parameters=[rest.IF_MATCH])
    def partial_update(self, request: Request, name: str) -> Response:
        """Change what is given and keep the rest; its segments stay."""
        given = NodeSerializer.read(request.data, partial=True)
        if (said := given.pop("name", name)) != name:
            raise Problem(Fault("name", said, "a node keeps its name", "Add another, remove this one"))
        node = membership.change(
            name, by=request.user.username, expected=rest.expected_version(request), **given
        )
        return self._answer(node)

    @extend_schema(parameters=[rest.FORCE, rest.IF_MATCH])
    def destroy(self, request: Request, name: str) -> Response:
        """Remove the node from the cluster: its peers drop its routes, it cleans up if it is alive."""
        membership.remove(
            name,
            by=request.user.username,
            expected=rest.expected_version(request),
            force=rest.forced(request),
        )
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses={201: TokenSerializer})
    @action(detail=True, methods=["post"])
    def token(self, request: Request, name: str) -> Response:
        """Make the node's token, in place of the one it had."""
        token = tokens.for_node(the_node(name), by=request.user.username)
        return Response({"node": name, "token": token}, status=status.HTTP_201_CREATED)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"], write_role=roles.OPERATOR)
    def retry(self, request: Request, name: str) -> Response:
        """Try again what the node rolled back. Needs the role operator."""
        return self._answer(membership.retry(name, by=request.user.username))

    def _answer(self, node: Node, code: int = status.HTTP_200_OK) -> Response:
        [state] = convergence.node_states(Node.objects.filter(pk=node.pk))
        return Response(represent(state), status=code, headers={"ETag": rest.etag(state.node.version)})
