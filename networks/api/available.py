"""/api/v1/networks/NAME/available-ips/: what is free, and keeping it.

    GET                                                     some free addresses
    POST {}                                                 any one
    POST {"count": 1000, "node": "n1"}                      any so many, in the part of a node
    POST [{"address": "10.11.4.9"}, {"hostname": "nas"}]    several wishes: all of them, or none

One object without ``count`` is answered with one allocation, anything else with a list.
``release-ips/`` gives several back; one is given back by DELETE of its allocation.
"""

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from netadmin import rest
from netadmin.problems import Fault, Problem
from networks import reservations, rules, wishes
from networks.api.allocations import reserved
from networks.wishes import Wish

SHOWN, MOST_SHOWN = 10, 1000
EXAMPLES = [
    OpenApiExample("Any one", {}, request_only=True),
    OpenApiExample("A thousand on a node", {"count": 1000, "node": "n1"}, request_only=True),
    OpenApiExample(
        "Two by name", [{"address": "10.11.4.9", "hostname": "nas"}, {"address": "10.11.4.10"}],
        request_only=True,
    ),
]  # fmt: skip
NODE = OpenApiParameter("node", str, description="In the part of this node; else in any.")
FAMILY = OpenApiParameter("family", int, enum=[4, 6], description="Default: IPv4 if the network has it.")
COUNT = OpenApiParameter("count", int, description=f"How many, {SHOWN} unless given.")


class WishSerializer(rest.Resource):
    """An address to be kept, or several."""

    address = serializers.CharField(required=False, help_text="This one; else any that is free.")
    count = serializers.IntegerField(
        required=False, help_text="So many; the answer then is a list, also of one."
    )
    node = serializers.CharField(
        required=False, help_text="In the part of this node. Needed for networks that are not routed."
    )
    family = serializers.IntegerField(
        required=False, help_text="4 or 6. Default: IPv4 if the network has it."
    )
    service = serializers.CharField(required=False, allow_blank=True, help_text="For whom; any text.")
    hostname = serializers.CharField(required=False, allow_blank=True)
    comment = serializers.CharField(required=False, allow_blank=True, help_text="What it is for.")


class FreeSerializer(serializers.Serializer[Any]):
    address = serializers.CharField()
    node = serializers.CharField(help_text="In whose part it lies.")


class ReleaseSerializer(rest.Resource):
    """Reservations that are not needed any more: by id, or by address."""

    ids = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=rules.LARGEST_NUMBER),
        max_length=wishes.MOST,
        required=False,
    )
    addresses = serializers.ListField(child=serializers.CharField(), max_length=wishes.MOST, required=False)
    node = serializers.CharField(
        required=False, help_text="Which one is meant of a network that is not routed."
    )


class AvailableView(APIView):
    """Free addresses of a network. Reading needs the role viewer, writing operator."""

    @extend_schema(parameters=[NODE, FAMILY, COUNT], responses=FreeSerializer(many=True))
    def get(self, request: Request, name: str) -> Response:
        """Some addresses that are free, in the order in which they would be kept. Nothing is kept by it."""
        found = reservations.available(name, _asked(request))
        shown = [{"address": str(one.address), "node": one.node.name if one.node else None} for one in found]
        return Response(shown)

    @extend_schema(
        request={"application/json": {"oneOf": [
            {"$ref": "#/components/schemas/WishRequest"},
            {"type": "array", "items": {"$ref": "#/components/schemas/WishRequest"}},
        ]}},
        responses={201: {"oneOf": [
            {"$ref": "#/components/schemas/Allocation"},
            {"type": "array", "items": {"$ref": "#/components/schemas/Allocation"}},
        ]}},
        examples=EXAMPLES,
    )  # fmt: skip
    def post(self, request: Request, name: str) -> Response:
        """Keep addresses for what is not started through here: all of them or, with any fault, none."""
        wanted, several = _wishes(request.data)
        shown = reserved(name, reservations.reserve(name, wanted, by=request.user.username))
        return Response(shown if several else shown[0], status=status.HTTP_201_CREATED)


class ReleaseView(APIView):
    """Giving many reservations back. Needs the role operator."""

    @extend_schema(request=ReleaseSerializer, responses={204: None})
    def post(self, request: Request, name: str) -> Response:
        """Give reservations of the network back: all of them or, with any fault, none."""
        given = ReleaseSerializer.read(request.data)
        if ("ids" in given) == ("addresses" in given):
            raise Problem(Fault("ids", "", "or addresses: one of the two is needed", "Give one of them"))
        by = request.user.username
        if "ids" in given:
            reservations.release(given["ids"], network=name, by=by)
        else:
            addresses = [wishes.address(text, "addresses") for text in given["addresses"]]
            reservations.release_addresses(name, addresses, node=given.get("node", ""), by=by)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _wishes(data: Any) -> tuple[list[Wish], bool]:
    """What is wished for, and whether it is answered with a list."""
    if not isinstance(data, list):
        wish = _wish(data)
        return [wish], isinstance(data, dict) and "count" in data
    if len(data) > wishes.MOST:
        remedy = f"Ask for at most {wishes.MOST} at once"
        raise Problem(Fault("body", f"{len(data)} wishes", "are more than one request may have", remedy))
    found = []
    for place, item in enumerate(data):
        with wishes.placed(data, place):
            found.append(_wish(item))
    return found, True


def _wish(item: Any) -> Wish:
    given = WishSerializer.read(item)
    if "address" in given:
        given["address"] = wishes.address(given["address"])
    return Wish(**given)


def _asked(request: Request) -> Wish:
    """The wish in the query."""
    rest.refuse_unknown(request, "node", "family", "count", "format")
    count = _number(request, "count", SHOWN)
    if not 1 <= count <= MOST_SHOWN:
        raise Problem(Fault("count", str(count), "is none of 1 to 1000", "Leave it out, or give one"))
    family = _number(request, "family", 0)
    return Wish(node=rest.text_of(request, "node"), family=family, count=count)


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise Problem(Fault(name, text, "is no number", "Leave it out, or give one"))
    return int(text)
