"""What this node must have, as its threads hand it to each other."""

import dataclasses
from dataclasses import dataclass

from workers.document import Document
from workers.report import Finding

LOOK_INTERVAL = 30.0
"""Seconds; until a document says otherwise."""


@dataclass(frozen=True, slots=True)
class Desired:
    """What the control plane last said, or what is in force in its place."""

    document: Document | None = None
    """None: never read one. That is not an empty one: nothing may be removed for it."""
    removed: bool = False
    """The node is no longer in the cluster; ``document`` is empty then."""
    findings: tuple[Finding, ...] = ()
    """What was wrong with a document that could not be taken."""
    refused: str = ""
    """The version that the control plane wants and that was rolled back; ``document`` is another."""

    @property
    def version(self) -> str:
        return self.document.version if self.document else ""

    def without_networks(self, node: str) -> "Desired":
        """The node was removed: an empty document, in the directories of the last one."""
        last = self.document or Document("", "", node, (), LOOK_INTERVAL, "", "", (), ())
        return Desired(emptied(last), removed=True)


def emptied(document: Document) -> Document:
    """The same node without any network."""
    return dataclasses.replace(document, version="", ranges=(), networks=())
