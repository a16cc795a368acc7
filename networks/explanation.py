"""What came of an explanation: the answers of the nodes, put together.

    steps of the operation + answers -> hops in order, the first that differs, what came back, one sentence

A node that has not answered leaves what the rows say of it, and that it is not known.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from networks.passages import BACK
from nodes import questions
from nodes.models import Node, Operation, Question
from workers import wire
from workers.explained import Crossing, Explained
from workers.explained import Hop as Answered


@dataclass(frozen=True, slots=True)
class Hop:
    """One thing on the way."""

    way: str
    """``there`` or ``back``."""
    node: str
    kind: str
    declared: str
    found: str
    """Empty: the node has not said."""
    same: bool | None
    """None: not known."""
    why: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Tried:
    """Echoes of one node."""

    node: str
    crossing: Crossing

    @property
    def state(self) -> str:
        """``crosses``, ``narrow`` (only small ones), or ``lost``."""
        if not self.crossing.received:
            return "lost"
        return "crosses" if self.crossing.largest >= self.crossing.size else "narrow"


@dataclass(frozen=True, slots=True)
class Explanation:
    ends: list[dict[str, str]]
    hops: list[Hop]
    tried: list[Tried]
    unheard: dict[str, str]
    """Nodes on the way that have not answered: waiting, failed, late or silent."""
    verdict: str

    @property
    def first(self) -> int | None:
        """Place of the first hop that is not as declared; None: there is none so far."""
        return next((place for place, hop in enumerate(self.hops) if hop.same is False), None)

    @property
    def state(self) -> str:
        """``waiting``, ``differs``, ``unknown``, or as ``Tried.state``; ``untried`` without an echo."""
        if "waiting" in self.unheard.values():
            return "waiting"
        if self.first is not None:
            return "differs"
        if self.unheard:
            return "unknown"
        return _main(self.ends, self.tried).state if self.tried else "untried"


def result(operation: Operation) -> Explanation:
    """What is known by now. One query."""
    rows = {row.node.name: row for row in operation.questions.defer("body").select_related("node")}
    states = {name: questions.state_of(row, operation) for name, row in rows.items()}
    answers = {name: answer for name, row in rows.items() if (answer := explained(row))}
    hops = [hop for step in operation.asked["steps"] for hop in _hops(step, answers, rows, states)]
    tried = [Tried(name, one) for name, answer in answers.items() for one in answer.crossings]
    unheard = {name: state for name, state in states.items() if state != "answered"}
    found = operation.asked["ends"]
    return Explanation(found, hops, tried, unheard, _verdict(found, hops, tried, unheard))


def explained(row: Question) -> Explained | None:
    """What a node answered; None: it did not."""
    answer: Explained | None = (
        wire.read(Explained, row.answer, "content") if row.state == "answered" else None
    )
    return answer


def _hops(
    step: dict[str, Any], answers: dict[str, Explained], rows: dict[str, Question], states: dict[str, str]
) -> Iterator[Hop]:
    name, way = step["node"], step["way"]
    if step["step"] is None:
        for told in step["told"]:
            yield Hop(way, name, told["kind"], told["declared"], "", False, told["why"], told["remedy"])
        return
    answer = answers.get(name)
    found = next((one.hops for one in answer.passages if one.step == step["step"]), ()) if answer else ()
    for hop in found:
        yield _heard(way, rows[name].node, hop)
    if not found:
        row = rows.get(name)
        why = _unheard(name, states.get(name, "late"), row.why if row else "")
        for told in step["told"]:
            yield Hop(way, name, told["kind"], told["declared"], "", None, why)


def _heard(way: str, node: Node, hop: Answered) -> Hop:
    why = hop.why
    if why and node.applied_version != node.desired_version:
        why += "; it has not carried out the newest declaration yet"
    return Hop(way, node.name, hop.kind, hop.declared, hop.found, hop.same, why, hop.remedy)


def _unheard(name: str, state: str, why: str) -> str:
    words = {
        "waiting": "is asked",
        "silent": "is not heard of",
        "late": "has not answered",
        "failed": f"cannot answer ({why})",
    }
    return f"{name} {words[state]}"


# -- the verdict


def _verdict(
    found: list[dict[str, str]], hops: list[Hop], tried: list[Tried], unheard: dict[str, str]
) -> str:
    if waiting := [name for name, state in unheard.items() if state == "waiting"]:
        return f"Waiting for {' and '.join(waiting)}"
    packets = _packets(found, tried)
    if different := next((hop for hop in hops if hop.same is False), None):
        back = "On the way back, " if different.way == BACK else ""
        return f"{back}{different.why}; {packets}"
    if unheard:
        silent = " and ".join(hop.why for hop in _first_of_each(hops))
        return f"{silent}, so that part of the way is not known; {packets}"
    free = next((hop for hop in hops if hop.kind == "address" and hop.found == "nobody"), None)
    lost = bool(tried) and _main(found, tried).state == "lost"
    if free and lost:
        return f"As declared, but nobody holds {_held(found, free)}, so nothing answers"
    joint = "but" if tried and _main(found, tried).state != "crosses" else "and"
    return f"As declared, {joint} {packets}"


def _first_of_each(hops: Iterable[Hop]) -> list[Hop]:
    """Of each node one that is not known, in the order of the way."""
    found: dict[str, Hop] = {}
    for hop in hops:
        if hop.same is None:
            found.setdefault(hop.node, hop)
    return list(found.values())


def _held(found: list[dict[str, str]], hop: Hop) -> str:
    """The address of an end that nobody holds."""
    free = [end for end in found if end["node"] == hop.node and end["holder"] == "nobody"]
    return free[0]["address"] if free else "it"


def _main(found: list[dict[str, str]], tried: list[Tried]) -> Tried:
    """The echo over the whole way: from the source's node to the destination, else the longest there is."""
    source, destination = found
    wanted = [
        (source["node"], destination["address"]),
        (destination["node"], source["address"]),
    ]
    for key in wanted:
        for one in tried:
            if (one.node, one.crossing.destination) == key:
                return one
    return tried[0]


def _packets(found: list[dict[str, str]], tried: list[Tried]) -> str:
    """What came back over the whole way."""
    if not tried:
        return "no packet was sent to try it"
    main = _main(found, tried)
    one = main.crossing
    nodes = [end["node"] or end["address"] for end in found]
    between = f"between {nodes[0]} and {nodes[1]}" if nodes[0] != nodes[1] else f"on {nodes[0]}"
    if main.state == "lost":
        return f"packets are lost {between}" + (f" ({one.said})" if one.said else "")
    if main.state == "narrow":
        said = f" ({one.said})" if one.said else ""
        return f"of {one.size} bytes, which it should carry, only {one.largest} cross {between}{said}"
    return f"packets cross ({one.rtt:.2f} ms, up to {one.largest} bytes)"


def represent(operation: Operation) -> dict[str, Any]:
    """As a JSON value."""
    found = result(operation)
    first = found.first
    return {
        "ends": found.ends,
        "state": found.state,
        "verdict": found.verdict,
        "first_difference": None if first is None else {"index": first, "sentence": found.hops[first].why},
        "hops": [asdict(hop) for hop in found.hops],
        "echoes": [{"node": one.node, "state": one.state, **asdict(one.crossing)} for one in found.tried],
        "unheard": found.unheard,
    }
