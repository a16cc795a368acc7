"""What a node is asked, and its answers, by its own token.

    GET  nodes/NAME/questions/       -> what waits for its answer
    POST nodes/NAME/questions/ID/    answer -> 204

That something waits, a node learns from a header of its document's answer.
"""

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from nodes import questions
from nodes.api import bodies
from nodes.api.authentication import OnlyThisNode, node_of
from workers import question as wire
from workers.wire import WireError


class QuestionsView(APIView):
    permission_classes = [OnlyThisNode]

    @extend_schema(
        responses={200: OpenApiResponse(OpenApiTypes.OBJECT, "The questions, and the parts that they share.")}
    )
    def get(self, request: Request, name: str) -> HttpResponse:
        """Everything that waits for this node's answer, oldest first."""
        body = wire.dump(questions.open_for(node_of(request)))
        return HttpResponse(body, content_type="application/json")


class AnswerView(APIView):
    permission_classes = [OnlyThisNode]
    parser_classes = [bodies.parser(wire.parse_answer, wire.MAX_BYTES)]

    @extend_schema(request=OpenApiTypes.OBJECT, responses={204: None})
    def post(self, request: Request, name: str, question: str) -> Response:
        """Answer a question: once, and in time."""
        said = request.data
        if not isinstance(said, wire.Answer):
            raise bodies.unreadable("body: is empty")
        try:
            questions.answer(node_of(request), int(question), said)
        except WireError as error:
            raise bodies.unreadable(error) from error
        return Response(status=status.HTTP_204_NO_CONTENT)
