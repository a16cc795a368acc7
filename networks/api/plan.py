"""What came of a plan, as a JSON value: nodes that would do the same, together.

{"summary": {"nodes", "changing", "add", "change", "remove", "conflicts", "worst"},
 "groups": [{"nodes": [...], "state", "level", "changes", "risks", "findings", ...}]}
"""

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from netadmin.problems import Fault, Problem
from networks import planning
from nodes.models import Operation
from workers.planned import Planned

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


def represent(operation: Operation) -> dict[str, Any]:
    found = planning.result(operation)
    return {
        "summary": {
            "nodes": sum(len(group.nodes) for group in found.groups),
            "changing": found.changing,
            **{verb: found.verbs[verb] for verb in ("add", "change", "remove")},
            "conflicts": found.conflicts,
            "worst": found.worst,
            "cut": found.cut,
        },
        "groups": [_group(group) for group in found.groups],
    }


def _group(group: planning.Group) -> dict[str, Any]:
    plan = group.plan or Planned("")
    return {
        "nodes": group.nodes,
        "state": group.state,
        "why": group.why,
        "level": group.level,
        "counts": [asdict(count) for count in plan.counts],
        "changes": [asdict(step) for step in plan.steps],
        "risks": [asdict(risk) for risk in plan.risks],
        "findings": [asdict(finding) for finding in plan.findings],
    }
