"""Questions: what a node is asked, and what it answers. Nothing is changed by them, but that ``leases``
may ask to free those of containers that are gone.

    any answer to GET nodes/NAME/desired/      Netadmin-Questions: how many wait
    GET  nodes/NAME/questions/                 {"format": 1, "shared": {digest: part},
                                                "questions": [{"id", "kind", "body"}, ...]}
    POST nodes/NAME/questions/ID/              {"format": 1, "state", "content", "why"}

What the questions of all nodes have in common (a peer list) is in ``shared`` once, by the
digest under which their bodies name it.
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from workers import wire
from workers.explained import Explained
from workers.leaked import Leaked
from workers.planned import Planned

FORMAT = 1
HEADER = "Netadmin-Questions"
MAX_BYTES = 4 * 1024 * 1024
"""Of an answer."""
STATES = ("answered", "failed")
CONTENTS: dict[str, type] = {"plan": Planned, "explain": Explained, "leases": Leaked}
"""The dataclass of an answer's content, by the kind of its question."""


@dataclass(frozen=True, slots=True)
class Question:
    id: int
    kind: str
    """``plan``, ``explain`` ..."""
    body: Any


@dataclass(frozen=True, slots=True)
class Questions:
    """Everything that waits for one node's answer."""

    questions: tuple[Question, ...] = ()
    shared: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    state: str
    content: Any = None
    """Of one that is ``answered``: an object; its fields depend on the kind of the question."""
    why: str = ""
    """Of one that is ``failed``: what kept the node from answering."""


def dump(what: Questions | Answer) -> bytes:
    """The bytes of either."""
    return json.dumps({"format": FORMAT, **asdict(what)}, separators=(",", ":")).encode()


def parse(body: bytes) -> Questions:
    """Read what is asked; raises WireError."""
    questions: Questions = wire.load(Questions, body, FORMAT, "questions")
    return questions


def parse_answer(body: bytes) -> Answer:
    """Read an answer; raises WireError. What is in ``content`` is for the reader of its kind."""
    answer: Answer = wire.load(Answer, body, FORMAT, "answer")
    if answer.state not in STATES:
        raise wire.WireError(f"state={answer.state[:64]}: is none of {', '.join(STATES)}")
    if answer.state == "answered" and not isinstance(answer.content, dict):
        raise wire.WireError("content: is no object")
    return answer


def check(kind: str, answer: Answer) -> None:
    """Raises WireError for the content of an answer that is not of this kind of question."""
    if answer.state == "answered" and kind in CONTENTS:
        wire.read(CONTENTS[kind], answer.content, "content")
