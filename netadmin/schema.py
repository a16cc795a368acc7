"""The published schema: what every operation answers when it refuses."""

from typing import Any

from netadmin.rest import MEDIA_TYPE

FAULT = {
    "type": "object",
    "description": "One thing that is wrong, as a person reads it.",
    "properties": {
        "field": {"type": "string"},
        "value": {"type": "string"},
        "why": {"type": "string"},
        "remedy": {"type": "string"},
    },
    "required": ["field", "value", "why", "remedy"],
}
PROBLEM = {
    "type": "object",
    "description": "RFC 9457.",
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/Fault"}},
    },
    "required": ["type", "title", "status", "detail", "errors"],
    "example": {
        "type": "urn:netadmin:problem:invalid",
        "title": "The request cannot be carried out as it stands",
        "status": 400,
        "detail": "network=10.11.0.1/16: has host bits set. Declare 10.11.0.0/16",
        "errors": [
            {
                "field": "network",
                "value": "10.11.0.1/16",
                "why": "has host bits set",
                "remedy": "Declare 10.11.0.0/16",
            }
        ],
    },
}
REFUSAL = {
    "description": "Refused, with every fault found.",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


def with_refusals(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Post-processing hook: every operation may answer with a problem document."""
    result["components"]["schemas"].update(Fault=FAULT, Problem=PROBLEM)
    for operations in result["paths"].values():
        for operation in operations.values():
            operation["responses"]["default"] = REFUSAL
    return result
