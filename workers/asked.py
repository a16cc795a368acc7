"""What an answer to a question may stand on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workers import document as documents
from workers.config import Settings
from workers.document import Document, DocumentError
from workers.kernel.door import Kernel


@dataclass(frozen=True, slots=True)
class Ground:
    settings: Settings
    kernel: Kernel
    """Doors that no repair uses."""
    document: Document | None
    """In force; None: never read one."""
    shared: Mapping[str, Any]
    """Parts of the question that all nodes share, by digest."""

    def drafted(self, head: Any) -> Document:
        """The document of this head in the question; raises DocumentError when it is for another node."""
        lists = {network["peers"] for network in head["networks"]} - {""}
        peers = {digest: documents.canonical(self.shared[digest]) for digest in lists}
        document = documents.parse(documents.assemble(documents.canonical(head), peers))
        if document.node != self.settings.node:
            raise DocumentError(f"the draft is for node {document.node!r}, not {self.settings.node!r}")
        return document
