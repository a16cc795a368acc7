"""A plan as lines, as one reads it before one types the change itself.

plan of backend1: 3 of 3 nodes would change, 33 to add, 0 to change, 0 to remove

n1: 11 to add
  ! interrupts   change bridge ...: containers go on with up to 1500 bytes ...
  x conflict     bridge obr_backend1: ...
  + bridge obr_backend1 mtu 1500 mac 0a:58:0a:0b:00:01
  ~ ...  (was ...)
  - ...
"""

from collections.abc import Iterator

from networks.planned import Group, Result, Told

SIGNS = {"add": "+", "change": "~", "remove": "-"}
WORDS = {"cut": "CUTS OFF", "interrupt": "interrupts", "note": "note"}
APART = 10
"""Nodes up to which each is shown by itself."""
NAMED = 20
"""Nodes of a group that are named."""


def text(found: Result, subject: str) -> str:
    """The whole plan: risks before changes, the worst node first."""
    groups = found.apart if len(found.plans) <= APART else found.groups
    return "\n\n".join([_headline(found, subject), *("\n".join(_lines(group)) for group in groups)])


def _headline(found: Result, subject: str) -> str:
    of = f"plan of {subject}: " if subject else "plan: "
    if not found.plans:
        return f"{of}it concerns no node"
    lines = [f"{of}{found.changing} of {_nodes(len(found.plans))} would change, {_counts(found.verbs)}"]
    if found.cut:
        lines.append(f"CUTS OFF {_nodes(len(found.cut))} from the control plane: {_names(found.cut)}")
    if found.conflicts:
        lines.append(f"something is in the way or missing on {_nodes(found.conflicts)}")
    if found.unknown:
        lines.append(f"nothing is known of {_nodes(len(found.unknown))}: {_names(found.unknown)}")
    return "\n".join(lines)


def _lines(group: Group) -> Iterator[str]:
    plan = group.plan
    if group.first.plan is None:
        yield f"{_names(group.nodes)}: {group.why}"
        return
    verbs = {verb: sum(c.number for c in plan.counts if c.verb == verb) for verb in SIGNS}
    yield f"{_names(group.nodes)}: {_counts(verbs) if plan.total else 'nothing to do'}"
    for told in group.risks:
        yield f"  ! {WORDS[told.what.level]:<10}  {_where(told)}{told.what}"
    for told in group.findings:
        yield f"  x {told.what.code:<10}  {_where(told)}{told.what}"
    if len(group.nodes) > 1:
        yield f"  as {group.first.node} would do it:"
    for step in group.steps:
        yield f"  {SIGNS[step.verb]} {step.object}" + (f"  (was {step.before})" if step.before else "")
    if group.untold:
        yield f"  and {group.untold} more changes"


def _where(told: Told) -> str:
    return "" if told.everywhere else f"on {_names(told.nodes)}: "


def _counts(verbs: dict[str, int]) -> str:
    return ", ".join(f"{verbs[verb]} to {verb}" for verb in SIGNS)


def _nodes(number: int) -> str:
    return f"{number} node" + ("" if number == 1 else "s")


def _names(names: tuple[str, ...] | list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"
