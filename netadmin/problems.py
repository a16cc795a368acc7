"""What can be wrong, in one tree.

    Problem                 400 invalid     the request cannot be carried out as it stands
      Conflict              409 conflict    it contradicts what is there now
        InUse               409 in-use      somebody holds what would go; force takes it
      Missing               404 missing     there is nothing of that name
      StaleVersion          412 stale       somebody changed it since it was read
      NodeGone              410 gone        the node was removed from the cluster

A problem holds one or more faults; a fault names the field, the value, why it cannot be
and the remedy. The web pages show the same sentences, the command line prints them, the
REST API (``rest.respond``) adds the media type of RFC 9457.
"""

from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong, as a person reads it."""

    field: str
    value: str
    why: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.field}={self.value}: {self.why}. {self.remedy}"


class Problem(Exception):
    status = 400
    code = "invalid"
    title = "The request cannot be carried out as it stands"

    def __init__(self, *faults: Fault) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults

    def under(self, place: str) -> Self:
        """The same problem in a part of what was given: ``[1]`` makes ``network`` ``[1].network``."""
        return type(self)(*(replace(fault, field=f"{place}.{fault.field}") for fault in self.faults))


class Conflict(Problem):
    status = 409
    code = "conflict"
    title = "The request contradicts what is there now"


class InUse(Conflict):
    code = "in-use"
    title = "It is in use"


class Missing(Problem):
    status = 404
    code = "missing"
    title = "There is nothing of that name"


class StaleVersion(Problem):
    status = 412
    code = "stale"
    title = "Somebody changed it since it was read"


class NodeGone(Problem):
    status = 410
    code = "gone"
    title = "The node was removed from the cluster"
