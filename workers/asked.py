"""What an answer to a question may stand on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workers.config import Settings
from workers.document import Document
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
