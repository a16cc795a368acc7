"""/api/v1/operations/: what nodes were asked together, how far it is and what came of it.

GET operations/              newest first, without what came of them
GET operations/ID/?wait=5    answered when no node is waited for any more, or after so long
GET operations/ID/nodes/     the nodes one by one, with their answers
"""

from collections.abc import Callable
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from netadmin import rest
from networks import explaining, explanation, planned, planning
from nodes import questions
from nodes.models import Operation, Question
from nodes.questions import LONGEST_WAIT, Progress

RESULTS: dict[str, Callable[[Operation], Any]] = {
    planning.KIND: planned.represent,
    explaining.KIND: explanation.represent,
}
"""What came of an operation as a JSON value, by its kind."""
WAIT = OpenApiParameter(
    "wait", float, description=f"Seconds, at most {LONGEST_WAIT:g}, to wait for the answers. Default: 0."
)
STATES = ("waiting", "answered", "failed", "late", "silent")


class ProgressSerializer(serializers.Serializer[Any]):
    """How many nodes stand how."""

    asked = serializers.IntegerField()
    waiting = serializers.IntegerField(help_text="May still answer.")
    answered = serializers.IntegerField()
    failed = serializers.IntegerField(help_text="Said why they cannot.")
    late = serializers.IntegerField(help_text="Did not answer by the deadline.")
    silent = serializers.IntegerField(help_text="Were not heard of, and so not waited for.")


class OperationSerializer(serializers.ModelSerializer[Operation]):
    """What nodes were asked together; nothing is changed by it."""

    done = serializers.BooleanField(help_text="No node is waited for any more.")
    progress = ProgressSerializer()
    result = serializers.DictField(help_text="What came of it so far; its fields depend on the kind.")

    class Meta:
        model = Operation
        fields = ["id", "kind", "subject", "by", "at", "deadline", "asked", "done", "progress", "result"]


class ListedSerializer(serializers.ModelSerializer[Operation]):
    class Meta:
        model = Operation
        fields = ["id", "kind", "subject", "by", "at", "deadline", "asked"]


class AnswerSerializer(serializers.Serializer[Any]):
    """One node's part of an operation."""

    node = serializers.CharField()
    state = serializers.ChoiceField(STATES)
    answered = serializers.DateTimeField(allow_null=True)
    answer = serializers.DictField(allow_null=True, help_text="Its fields depend on the operation's kind.")
    why = serializers.CharField(help_text="What kept it from answering.")


class OperationFilter(filters.FilterSet):  # type: ignore[misc]
    class Meta:
        model = Operation
        fields = ["kind", "subject", "by"]


def represent(operation: Operation, progress: Progress) -> dict[str, Any]:
    """An operation as a JSON value."""
    result = RESULTS[operation.kind](operation) if operation.kind in RESULTS else {}
    return {
        **ListedSerializer(operation).data,
        "done": progress.done,
        "progress": {"asked": progress.asked, **{state: getattr(progress, state) for state in STATES}},
        "result": result,
    }


def answer(request: Request, operation: Operation) -> Response:
    """An operation once it is done, or after the seconds of ``wait``: 200, or 202 while it is not."""
    seconds = rest.seconds_to_wait(request, LONGEST_WAIT)
    progress = questions.wait_beside_others(operation, seconds)
    code = status.HTTP_200_OK if progress.done else status.HTTP_202_ACCEPTED
    where = f"/api/v1/operations/{operation.pk}/"
    return Response(represent(operation, progress), status=code, headers={"Location": where})


class OperationViewSet(viewsets.GenericViewSet[Operation]):
    """What nodes were asked. It is kept for a day."""

    queryset = Operation.objects.defer("shared")
    serializer_class = OperationSerializer
    pagination_class = rest.NewestFirst
    filter_backends = [rest.Filters]
    filterset_class = OperationFilter
    lookup_value_regex = rest.NUMBER

    @extend_schema(responses=ListedSerializer(many=True))
    def list(self, request: Request) -> Response:
        """The operations, newest first."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(ListedSerializer(page, many=True).data)

    @extend_schema(parameters=[WAIT], responses={200: OperationSerializer, 202: OperationSerializer})
    def retrieve(self, request: Request, pk: str) -> Response:
        """One operation, and what came of it: 202 while nodes are waited for."""
        return answer(request, questions.find(int(pk)))

    @extend_schema(
        parameters=[OpenApiParameter("state", enum=STATES)],
        responses=AnswerSerializer(many=True),
        filters=False,
    )
    @action(detail=True, pagination_class=rest.Pages)
    def nodes(self, request: Request, pk: str) -> Response:
        """Its nodes with their answers, in cluster order."""
        operation = questions.find(int(pk))
        rows = _in_state(operation, request.query_params.get("state", "")).select_related("node")
        page: Any = self.paginate_queryset(rows)  # type: ignore[arg-type]
        return self.get_paginated_response([_answer(row, operation) for row in page])


def _in_state(operation: Operation, state: str) -> "QuerySet[Question]":
    over = operation.deadline <= timezone.now()
    rows = operation.questions.defer("body").order_by("node__position")
    if state == "late":
        return rows.filter(state="waiting") if over else rows.none()
    return rows.filter(Q(state=state) if state != "waiting" or not over else Q(pk=None)) if state else rows


def _answer(row: Question, operation: Operation) -> dict[str, Any]:
    return {
        "node": row.node.name,
        "state": questions.state_of(row, operation),
        "answered": row.answered,
        "answer": row.answer,
        "why": row.why,
    }
