"""/api/v1/allocations/: who holds which addresses, and what services ask for.

POST   allocations/?wait=5     JSON -> Ask -> ``allocations.request`` -> the node -> 201, or 202
PATCH  allocations/ID/         ``allocations.change``
DELETE allocations/ID/?wait=5  ``allocations.release`` -> the node -> 204, or 202
"""

from collections.abc import Sequence
from functools import cache, cached_property
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from netaddr import AddrFormatError, IPAddress, IPNetwork
from rest_framework import serializers, status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from netadmin import rest
from netadmin.problems import Fault, Problem
from networks import allocations, attaching
from networks.attaching import LONGEST_WAIT
from networks.fullness import Reasons
from networks.models import Address, Allocation, Learnt, State
from networks.reservations import Kept
from networks.resources import MOST, Ask
from networks.wishes import TEXTS

PLAIN = (
    "service", "resource", "netns", "interface", "wanted", "expose", "hostname", "dns_name_suffix",
    "wait_dns", "comment", "state", "healthy", "why", "remedy", "container", "mac", "learnt", "since",
    "version",
)  # fmt: skip
"""Fields that are shown as the columns are."""


class AllocationSerializer(serializers.ModelSerializer[Allocation]):
    """What one holder has of a network."""

    network = serializers.CharField(source="network.name")
    node = serializers.CharField(source="node.name", default=None, allow_null=True)
    addresses = serializers.SerializerMethodField(help_text="IPv4 first; none yet while it is requested.")
    why = serializers.SerializerMethodField(
        help_text="What is waited for, or wrong; of a range that is full also who has its addresses."
    )

    class Meta:
        model = Allocation
        fields = ["id", "addresses", "network", "node", *PLAIN]

    def get_addresses(self, row: Allocation) -> list[str]:
        return [str(held.address) for held in row.addresses.all()]

    def get_why(self, row: Allocation) -> str:
        return self._reasons.of(row)

    @cached_property
    def _reasons(self) -> Reasons:
        return Reasons()


def reserved(network: str, kept: Sequence[Kept]) -> list[dict[str, Any]]:
    """New reservations as the serializer would show them, at a tenth of the cost: there may be thousands."""
    plain = _plain()
    return [
        {
            "id": one.pk,
            "addresses": [str(one.address)],
            "network": network,
            "node": one.chosen.node.name if one.chosen.node else None,
            **plain,
            **{name: getattr(one.chosen.wish, name) for name in TEXTS},
            "wanted": [str(one.address)] if one.chosen.wish.address else [],
            "since": one.since,
            "version": one.version,
        }
        for one in kept
    ]


@cache
def _plain() -> dict[str, Any]:
    """What all new reservations have alike."""
    usual = Allocation(state=State.RESERVED, learnt=Learnt.REQUEST)
    return {name: getattr(usual, name) for name in PLAIN}


class AllocationFilter(filters.FilterSet):  # type: ignore[misc]
    network = filters.CharFilter("network__name", label="Of this network.")
    node = filters.CharFilter("node__name", label="On this node.")
    address = filters.CharFilter(method="inside", label="This address, or inside this CIDR.")

    class Meta:
        model = Allocation
        fields = ["service", "container", "state", "healthy", "learnt"]

    def inside(self, rows: "QuerySet[Allocation]", field: str, text: str) -> "QuerySet[Allocation]":
        try:
            cidr = IPNetwork(text)
        except (AddrFormatError, ValueError) as error:
            fault = Fault(field, text, "is neither an address nor a CIDR", "Give one like 10.11.4.0/22")
            raise Problem(fault) from error
        inside = IPAddress(cidr.first, cidr.version), IPAddress(cidr.last, cidr.version)
        return rows.filter(Exists(Address.objects.filter(allocation=OuterRef("pk"), address__range=inside)))


class AskSerializer(rest.Resource):
    """An address of a network for a resource of a service."""

    service = serializers.CharField(help_text="NAMESPACE/svc/NAME, or NAME of the namespace root.")
    resource = serializers.CharField(help_text="For instance ip#0.")
    node = serializers.CharField(help_text="Where the service's container is.")
    network = serializers.CharField(required=False, help_text="Default: default.")
    netns = serializers.CharField(
        required=False, allow_blank=True,
        help_text="The container: container#NAME, docker:NAME, podman:NAME, lxc:NAME, a process id, a path "
        "or the name of a namespace; empty: a namespace of the service's own is made.",
    )  # fmt: skip
    interface = serializers.CharField(
        required=False, allow_blank=True, help_text="There. Default: eth12, or the next that is not taken."
    )
    wanted = serializers.ListField(
        child=serializers.CharField(), required=False,
        help_text="Fixed addresses, at most one per family; a family without one takes what is free.",
    )  # fmt: skip
    expose = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        help_text="PORT/PROTOCOL[:HOSTPORT], like 443/tcp:8443.",
    )
    hostname = serializers.CharField(required=False, allow_blank=True, help_text="Its name in the DNS.")
    dns_name_suffix = serializers.CharField(
        required=False, allow_blank=True, help_text="Appended to the host name in the DNS."
    )
    wait_dns = serializers.FloatField(
        required=False,
        help_text="Seconds for which `?wait=`, once it is attached, goes on until every DNS server has its "
        "names. Without `?wait=` nothing is waited for.",
    )
    comment = serializers.CharField(required=False, allow_blank=True)


ASK = "#/components/schemas/AskRequest"
ONE = "#/components/schemas/Allocation"
EXAMPLES = [
    OpenApiExample(
        "Of a docker container, reached at port 8443 of its node",
        {
            "service": "prod/svc/web", "resource": "ip#0", "node": "n1", "network": "backend1",
            "netns": "docker:web", "expose": ["443/tcp:8443"],
        },
        request_only=True,
    ),
]  # fmt: skip
WAIT = OpenApiParameter(
    "wait",
    float,
    description=f"Seconds, at most {LONGEST_WAIT:g}, to wait for what the node does, and within them, as "
    "long as `wait_dns` says, for the names. Default: 0.",
)


class AllocationViewSet(viewsets.GenericViewSet[Allocation]):
    """Who holds which addresses, and what services ask for. Reading needs the role viewer, writing operator.

    A node carries out what is asked for: until it has, the answer is 202, and ``state`` and ``why`` say how
    far it is.
    """

    queryset = (
        Allocation.objects.select_related("network", "node")
        .defer("network__peers_body")
        .prefetch_related("addresses")
    )
    serializer_class = AllocationSerializer
    filter_backends = [rest.Filters]
    filterset_class: Any = AllocationFilter
    lookup_value_regex = rest.NUMBER

    def list(self, request: Request) -> Response:
        """Who holds which addresses, by network."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(AllocationSerializer(page, many=True).data)

    @extend_schema(
        request={"application/json": rest.one_or_several(ASK)},
        responses={code: rest.one_or_several(ONE) for code in (200, 201, 202)},
        parameters=[WAIT],
        examples=EXAMPLES,
    )
    def create(self, request: Request) -> Response:
        """Ask for an address of a service's resource; or for several as a list: all of them or none.

        201 when it is attached, 202 while it is not, 200 when the same was asked for before and is attached;
        a list is answered 200 when all of it was attached already.
        """
        by, seconds = request.user.username, seconds_of(request)
        if isinstance(request.data, list):
            rows = allocations.request_all(_asks(request.data), by=by)
            were_there = all(map(attaching.is_done, rows))
            return _answer_all(rows, seconds, status.HTTP_200_OK if were_there else status.HTTP_201_CREATED)
        row, new = allocations.request(ask(request.data), by=by)
        return _answer(row, seconds, status.HTTP_201_CREATED if new else status.HTTP_200_OK)

    def retrieve(self, request: Request, pk: str) -> Response:
        """One allocation; 404 when it is gone."""
        return _shown(allocations.find(int(pk)))

    @extend_schema(
        request=AskSerializer(partial=True),
        parameters=[rest.IF_MATCH, WAIT],
        responses={200: AllocationSerializer, 202: AllocationSerializer},
    )
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change what is given and keep the rest; service, resource and node stay what they are."""
        seconds = seconds_of(request)
        given = AskSerializer.read(request.data, partial=True)
        expected = rest.expected_version(request)
        row = allocations.change(int(pk), _changing(given), by=request.user.username, expected=expected)
        return _answer(row, seconds)

    @extend_schema(
        parameters=[
            OpenApiParameter("force", bool, description="The node is dead: its address is free at once."),
            rest.IF_MATCH,
            WAIT,
        ],
        responses={202: AllocationSerializer, 204: None},
    )
    def destroy(self, request: Request, pk: str) -> Response:
        """Take it back: 202 until its node has let go of it, then 204; a reservation is gone at once."""
        seconds = seconds_of(request, "force")
        row = allocations.release(
            int(pk),
            by=request.user.username,
            expected=rest.expected_version(request),
            force=rest.forced(request),
        )
        left = attaching.wait_until_gone(row.pk, seconds) if row else None
        if left is None:
            return Response(status=status.HTTP_204_NO_CONTENT)
        return _shown(left, status.HTTP_202_ACCEPTED)


def seconds_of(request: Request, *others: str) -> float:
    """``?wait=`` of a write; raises Problem for a parameter that is neither that nor one of the others."""
    rest.refuse_unknown(request, "wait", "format", *others)
    return rest.seconds_to_wait(request, LONGEST_WAIT)


def ask(data: Any) -> Ask:
    """What a JSON value asks for."""
    given = AskSerializer.read(data)
    return Ask(given.pop("service"), given.pop("resource"), given.pop("node"), given)


def _asks(data: list[Any]) -> list[Ask]:
    if len(data) > MOST:
        remedy = f"Ask for at most {MOST} at once"
        raise Problem(Fault("body", f"{len(data)} resources", "are more than one request may have", remedy))
    return rest.read_all(data, ask)


def _changing(given: dict[str, Any]) -> dict[str, Any]:
    for name in ("service", "resource", "node"):
        if name in given:
            raise Problem(Fault(name, given[name], "stays what it is", "Release it, and ask anew"))
    return given


def _answer_all(rows: Sequence[Allocation], seconds: float, done: int) -> Response:
    found = attaching.wait_beside_others([row.pk for row in rows], seconds)
    code = done if all(map(attaching.is_done, found)) else status.HTTP_202_ACCEPTED
    return Response(AllocationSerializer(found, many=True).data, status=code)


def _answer(row: Allocation, seconds: float, done: int = status.HTTP_200_OK) -> Response:
    [found] = attaching.wait_beside_others([row.pk], seconds) or [row]
    return _shown(found, done if attaching.is_done(found) else status.HTTP_202_ACCEPTED)


def _shown(row: Allocation, code: int = status.HTTP_200_OK) -> Response:
    headers = {"ETag": rest.etag(row.version), "Location": f"/api/v1/allocations/{row.pk}/"}
    return Response(AllocationSerializer(row).data, status=code, headers=headers)
