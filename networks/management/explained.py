"""The way of a packet as ``net explain`` prints it.

10.11.0.2 (container 0f3c59d2 on n1) -> 10.11.4.9 (nobody on n2)

     way    node  hop     found                           declared, where it differs
     there  n1    bridge  obr_backend1 10.11.0.1/22 up
>>>  there  n1    route   none (Network is unreachable)   10.11.4.0/22 via 192.0.2.2 dev eth0
"""

from collections.abc import Iterator

from netadmin.commandline import table
from networks.explanation import Explanation, Hop, Tried

FIRST, OTHER, UNKNOWN, SAME = ">>>", " ! ", " ? ", ""
HEADER = ("", "way", "node", "hop", "found", "declared, where it differs")


def text(found: Explanation) -> str:
    rows = [HEADER, *_rows(found)]
    blocks = [_ends(found), table(rows if any(row[-1] for row in rows[1:]) else [row[1:-1] for row in rows])]
    if found.tried:
        blocks.append("echoes\n" + table([_echo(one) for one in found.tried]))
    blocks += [_difference(hop) for hop in found.hops if hop.same is False]
    return "\n\n".join([*blocks, f"verdict: {found.verdict}"])


def _ends(found: Explanation) -> str:
    one, two = (
        f"{end['address']} ({end['holder']}"
        + (f" on {end['node']}" if end["node"] and end["kind"] == "container" else "")
        + (f", {end['network']})" if end["network"] else ")")
        for end in found.ends
    )
    return f"{one} -> {two}"


def _rows(found: Explanation) -> Iterator[tuple[str, ...]]:
    for place, hop in enumerate(found.hops):
        declared = "" if hop.same else hop.declared
        yield _mark(place, hop, found), hop.way, hop.node, hop.kind, hop.found or "not known", declared


def _mark(place: int, hop: Hop, found: Explanation) -> str:
    if place == found.first:
        return FIRST
    return {True: SAME, False: OTHER, None: UNKNOWN}[hop.same]


def _echo(one: Tried) -> tuple[str, ...]:
    crossing = one.crossing
    outcome = {
        "crosses": f"{crossing.rtt:.2f} ms, up to {crossing.largest} bytes",
        "narrow": f"{crossing.rtt:.2f} ms, only up to {crossing.largest} of {crossing.size} bytes",
        "lost": f"lost, {crossing.sent} sent",
    }[one.state]
    said = f" ({crossing.said})" if crossing.said else ""
    return "  from", one.node, crossing.source, "to", crossing.destination, outcome + said


def _difference(hop: Hop) -> str:
    return f"{hop.why}.\n  {hop.remedy}" if hop.remedy else f"{hop.why}."
