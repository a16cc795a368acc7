"""/api/v1/networks/: what is declared, with the reference's keyword names.

JSON -> NetworkSerializer (types only) -> Declaration -> the verbs of ``networks.declare``
NetworkState + segments -> represent -> JSON
"""

from typing import Any

from django.db.models import Q, QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field
from rest_framework import serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.filters import OrderingFilter
from rest_framework.request import Request
from rest_framework.response import Response

from netadmin import rest
from netadmin.problems import Fault, Problem
from networks import conflist, declare, planning
from networks.api import plan as plans
from networks.api.operations import WAIT, OperationSerializer, answer
from networks.declaration import Declaration, EveryNode
from networks.declare import KEYWORDS
from networks.lookups import the_network
from networks.models import Network, Tunnel, TunnelMode, Type
from networks.representation import represent, segment_of
from nodes import questions
from workers.document import PLACEHOLDERS

REF = "#/components/schemas/Network"
EXAMPLES = [
    OpenApiExample(
        "A segment per node",
        {"name": "backend1", "type": "routed_bridge", "network": "10.11.0.0/16", "ips_per_node": 1024},
        request_only=True,
    ),
    OpenApiExample(
        "Through tunnels, one node behind another address",
        {
            "name": "backend2",
            "type": "routed_bridge",
            "network": "10.12.0.0/16 fd12::/48",
            "mask_per_node": "24 64",
            "tunnel": "always",
            "per_node": {"n2": {"addr": "198.51.100.7"}},
        },
        request_only=True,
    ),
    OpenApiExample(
        "The same range on two nodes",
        {"name": "local1", "type": "bridge", "network": "10.10.10.0/24", "nodes": ["n1", "n2"]},
        request_only=True,
    ),
    OpenApiExample(
        "Any other plugin",
        {"name": "direct", "type": "cni", "network": "10.13.0.0/24", "template": conflist.EXAMPLE},
        request_only=True,
    ),
]


class Word(serializers.CharField):
    """A text of a few choices; which they are is judged, and said, by the model layer."""


def one_of(choices: Any) -> type[Word]:
    return extend_schema_field({"type": "string", "enum": list(choices.values)})(type("Word", (Word,), {}))


class OverridesSerializer(rest.Resource):
    """Keywords that differ on one node; an empty text takes one back."""

    subnet = serializers.CharField(
        required=False, allow_blank=True, help_text="Of a routed_bridge: the node's segment."
    )
    addr = serializers.CharField(
        required=False, allow_blank=True, help_text="By which addresses peers reach the node."
    )
    gateway = serializers.CharField(
        required=False, allow_blank=True, help_text="Next hop of the peers towards the node's segment."
    )
    network = serializers.CharField(
        required=False, allow_blank=True, help_text="Of a bridge, or of type cni: the node's own range."
    )


class PerNode(serializers.DictField):
    """Node name to its overrides."""

    child = OverridesSerializer()
    _name = serializers.CharField()

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        given: dict[str, Any] = super().to_internal_value(data)
        return {self._name.run_validation(name): dict(value) for name, value in given.items()}


class SegmentSerializer(serializers.Serializer[Any]):
    """What one node has of a routed_bridge network."""

    node = serializers.CharField()
    subnet = serializers.CharField(help_text="One CIDR per family.")
    address = serializers.CharField(help_text="The bridge's, with prefix length, one per family.")
    addr = serializers.CharField(help_text="Override; empty: the node's addresses.")
    gateway = serializers.CharField(help_text="Override; empty: as addr.")


class ConvergenceSerializer(serializers.Serializer[Any]):
    """How far its nodes are."""

    nodes = serializers.IntegerField(help_text="How many nodes are to have it.")
    converged = serializers.IntegerField(help_text="How many have it as declared.")


class ProbesSerializer(serializers.Serializer[Any]):
    """How the pairs of its nodes stand, of both families."""

    peers = serializers.IntegerField(help_text="How many pairs there are; the others add up to it.")
    up = serializers.IntegerField(help_text="Full packets cross, both ways.")
    mtu = serializers.IntegerField(help_text="Small packets cross, full ones are lost.")
    down = serializers.IntegerField(help_text="Nothing crosses, or no answer does.")
    pending = serializers.IntegerField(help_text="Not known yet.")


class NetworkSerializer(rest.Resource):
    """A backend network; the keywords are those of the reference."""

    name = serializers.CharField(help_text="1 to 63 of a-z, 0-9, _ and -.")
    type = one_of(Type)(required=False, help_text="Default: bridge.")
    network = serializers.CharField(
        required=False, allow_blank=True, help_text="A CIDR, or one of each family with a space between."
    )
    nodes = serializers.ListField(
        child=serializers.CharField(), required=False, allow_null=True,
        help_text="Only on these nodes; null: on every node, also on those that join later.",
    )  # fmt: skip
    ips_per_node = serializers.IntegerField(
        required=False, help_text="Addresses of a segment, rounded up to a power of two. Default: 1024."
    )
    mask_per_node = serializers.CharField(
        required=False, allow_blank=True,
        help_text="Prefix length of a segment, one per CIDR; wins over ips_per_node.",
    )  # fmt: skip
    tunnel = one_of(Tunnel)(required=False, help_text="Default: auto.")
    tunnel_mode = one_of(TunnelMode)(required=False, help_text="Default: ipip.")
    tables = serializers.ListField(
        child=serializers.CharField(), required=False,
        help_text="Routing tables that each get every route, by name or number. Default: main.",
    )  # fmt: skip
    dev = serializers.CharField(
        required=False, allow_blank=True, help_text="An existing bridge; empty: obr_NAME is made."
    )
    public = serializers.BooleanField(
        required=False, help_text="Traffic that leaves is not masqueraded. Default: false."
    )
    mtu = serializers.IntegerField(
        required=False, allow_null=True, help_text="Bytes; null: what underlays and tunnels carry."
    )
    template = serializers.CharField(
        required=False, allow_blank=True,
        help_text="Of type cni: the CNI configuration list as JSON text. Placeholders: "
        + "; ".join(f"{{{{{name}}}}} {meaning}" for name, meaning in PLACEHOLDERS.items()) + ".",
    )  # fmt: skip
    comment = serializers.CharField(required=False, allow_blank=True)
    tags = serializers.ListField(child=serializers.CharField(), required=False)
    per_node = PerNode(required=False, help_text="Keywords that differ on some nodes, by node name.")

    version = serializers.IntegerField(read_only=True, help_text="Also the ETag; give it in If-Match.")
    device = serializers.CharField(read_only=True, help_text="The bridge; empty for types without one.")
    effective_mtu = serializers.IntegerField(
        read_only=True,
        allow_null=True,
        help_text="Bytes: as declared, else computed of what the nodes report; null: none has reported, or "
        "each node of a local bridge takes what its own underlay carries.",
    )
    size = serializers.CharField(
        read_only=True, help_text="All addresses; a decimal text, as IPv6 exceeds 64 bits."
    )
    used = serializers.IntegerField(read_only=True, help_text="Addresses that resources of services report.")
    free = serializers.CharField(read_only=True, help_text="size less used; a decimal text.")
    pct = serializers.CharField(read_only=True, help_text="used of size, for instance 0.01%.")
    leases = serializers.IntegerField(
        read_only=True, help_text="Addresses that the nodes' lease stores handed out."
    )
    segments = SegmentSerializer(many=True, read_only=True)
    convergence = ConvergenceSerializer(read_only=True)
    status = serializers.CharField(
        read_only=True,
        help_text="up; converged: as declared, but not probed; else the worst of its nodes: problem, cut, "
        "mtu, silent, new, converging or probing; off: no range; waiting: no node.",
    )
    probes = ProbesSerializer(read_only=True)
    created = serializers.DateTimeField(read_only=True)
    changed = serializers.DateTimeField(read_only=True)


def declaration(given: dict[str, Any]) -> Declaration:
    """What was given, as the verbs take it."""
    scope: EveryNode | tuple[str, ...] | None = None
    if "nodes" in given:
        scope = EveryNode() if given["nodes"] is None else tuple(given["nodes"])
    return Declaration(
        values={keyword: given[keyword] for keyword in KEYWORDS if keyword in given},
        scope=scope,
        per_node=given.get("per_node", {}),
    )


class NetworkFilter(filters.FilterSet):  # type: ignore[misc]
    name = filters.CharFilter(lookup_expr="icontains", label="Part of the name.")
    tag = filters.CharFilter(method="with_tag", label="Has this tag.")
    node = filters.CharFilter(method="on_node", label="Is to be on this node.")

    class Meta:
        model = Network
        fields = ["type"]

    def with_tag(self, networks: "QuerySet[Network]", field: str, tag: str) -> "QuerySet[Network]":
        """Looked at in Python: SQLite cannot look into a JSON list, and networks are few."""
        tagged = [key for key, tags in networks.values_list("pk", "tags") if tag in tags]
        return networks.filter(pk__in=tagged)

    def on_node(self, networks: "QuerySet[Network]", field: str, node: str) -> "QuerySet[Network]":
        return networks.filter(Q(every_node=True) | Q(nodes__name=node)).distinct()


class NetworkViewSet(viewsets.GenericViewSet[Network]):
    """Networks. Reading needs the role viewer, writing operator."""

    queryset = Network.objects.defer("peers_body")
    serializer_class = NetworkSerializer
    filter_backends = [rest.Filters, OrderingFilter]
    filterset_class = NetworkFilter
    ordering_fields = ("name", "type", "created", "changed")
    lookup_field = "name"
    lookup_value_regex = rest.NAME

    def list(self, request: Request) -> Response:
        """The networks, by name."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(represent(page or []))

    @extend_schema(
        request={"application/json": rest.one_or_several(f"{REF}Request")},
        responses={201: rest.one_or_several(REF)},
        examples=EXAMPLES,
    )
    def create(self, request: Request) -> Response:
        """Declare a network, or several as a list: all of them or, with any fault, none."""
        by = request.user.username
        if not isinstance(request.data, list):
            return self._answer(declare.declare(*_read(request.data), by=by), status.HTTP_201_CREATED)
        declared = declare.declare_all(rest.read_all(request.data, _read), by=by)
        return Response(represent(declared), status=status.HTTP_201_CREATED)

    def retrieve(self, request: Request, name: str) -> Response:
        """One network."""
        return self._answer(self._found(name))

    @extend_schema(
        parameters=[rest.FORCE, rest.IF_MATCH], responses={200: NetworkSerializer, 201: NetworkSerializer}
    )
    def update(self, request: Request, name: str) -> Response:
        """Make the network exactly this, whether or not it exists: what is not given has its default."""
        network, new = declare.replace(
            name,
            self._wanted(request, name),
            by=request.user.username,
            expected=rest.expected_version(request),
            force=rest.forced(request),
        )
        return self._answer(network, status.HTTP_201_CREATED if new else status.HTTP_200_OK)

    @extend_schema(parameters=[rest.FORCE, rest.IF_MATCH])
    def partial_update(self, request: Request, name: str) -> Response:
        """Change what is given and keep the rest."""
        network = declare.change(
            name,
            self._wanted(request, name),
            by=request.user.username,
            expected=rest.expected_version(request),
            force=rest.forced(request),
        )
        return self._answer(network)

    @extend_schema(parameters=[rest.FORCE, rest.IF_MATCH])
    def destroy(self, request: Request, name: str) -> Response:
        """Withdraw the network from every node."""
        declare.withdraw(
            name,
            by=request.user.username,
            expected=rest.expected_version(request),
            force=rest.forced(request),
        )
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(responses=SegmentSerializer(many=True), filters=False)
    @action(detail=True, pagination_class=None)
    def segments(self, request: Request, name: str) -> Response:
        """What each node has of the network, in cluster order."""
        rows = self._found(name).segments.exclude(node=None).exclude(subnet="").select_related("node")
        return Response([segment_of(row) for row in rows.order_by("node__position")])

    @extend_schema(
        request={"application/json": {"$ref": f"{REF}Request"}},
        parameters=[plans.VERB, rest.FORCE, rest.IF_MATCH, WAIT],
        responses={200: OperationSerializer, 202: OperationSerializer},
        filters=False,
    )
    @action(detail=True, methods=["post"], pagination_class=None)
    def plan(self, request: Request, name: str) -> Response:
        """Ask the nodes what they would do for a draft of this network, and change nothing.

        The draft is judged as PATCH (of a new network: POST), PUT or DELETE would be. 202 while nodes
        are waited for; then the operation has the rest.
        """
        verb, by = plans.verb(request), request.user.username
        expected, force = rest.expected_version(request), rest.forced(request)
        wanted = Declaration() if verb == "withdraw" else self._wanted(request, name)
        operation = planning.ask(
            lambda: planning.VERBS[verb](name, wanted, by=by, expected=expected, force=force),
            [name],
            {"verb": verb, "force": force, "draft": request.data},
            by=by,
            within=questions.patience(rest.seconds_to_wait(request, questions.LONGEST_WAIT)),
        )
        return answer(request, operation)

    def _found(self, name: str) -> Network:
        return the_network(name, self.get_queryset())

    def _answer(self, network: Network, code: int = status.HTTP_200_OK) -> Response:
        [shown] = represent([network])
        return Response(shown, status=code, headers={"ETag": rest.etag(shown["version"])})

    def _wanted(self, request: Request, name: str) -> Declaration:
        data = {"name": name, **request.data} if isinstance(request.data, dict) else request.data
        said, declaration = _read(data)
        if said != name:
            raise Problem(
                Fault("name", said, "a network keeps its name", "Declare another, withdraw this one")
            )
        return declaration


def _read(data: Any) -> tuple[str, Declaration]:
    """Name and declaration of a JSON value."""
    given = NetworkSerializer.read(data)
    return given["name"], declaration(given)
