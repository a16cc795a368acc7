"""What of a network can be drafted over REST."""

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from netadmin.problems import Fault, Problem
from networks import planning

VERB = OpenApiParameter(
    "verb",
    enum=list(planning.VERBS),
    description="What is drafted: change what is given (default; a network that is not there is declared), "
    "replace it whole, or withdraw it.",
)


def verb(request: Request) -> str:
    """``?verb=``; raises Problem."""
    text = request.query_params.get("verb", "change")
    if text not in planning.VERBS:
        raise Problem(Fault("verb", text, "cannot be planned", f"Use one of {', '.join(planning.VERBS)}"))
    return text
