"""The last good document, on disk: what restores the network while the control plane is away.

    STATE_DIR/document.json    the bytes as they were served

The bytes carry their own digests, so they are verified again on every read: a file that
was cut or altered is reported and ignored, never half believed.
"""

import os
from pathlib import Path

from workers import document, files
from workers.document import Document, DocumentError


class CacheError(Exception):
    """The cached document cannot be used; says the file, why and the remedy."""


class Cache:
    def __init__(self, directory: Path, node: str) -> None:
        self.path = directory / "document.json"
        self.node = node

    def read(self) -> Document | None:
        """The document in force when the node was last heard of; None: there was none.

        Raises CacheError when there is a file and it is not a whole document for this node.
        """
        try:
            return verify(self.path.read_bytes(), self.node)
        except FileNotFoundError:
            return None
        except (OSError, DocumentError) as error:
            raise CacheError(
                f"{self.path}: {error}. It is ignored until the control plane answers"
            ) from error

    def write(self, body: bytes) -> None:
        """Keep ``body``; raises OSError."""
        os.makedirs(self.path.parent, mode=0o700, exist_ok=True)
        files.replace(self.path, body, 0o600)

    def drop(self) -> None:
        """Forget it: the node was removed from the cluster."""
        if self.path.exists():
            files.remove(self.path)


def verify(body: bytes, node: str) -> Document:
    """Read a document and make sure that it is this node's; raises DocumentError."""
    found = document.parse(body)
    if found.node != node:
        raise DocumentError(
            f"it is for node {found.node!r}, not {node!r}; set NETADMIN_NODE and NETADMIN_TOKEN of one node"
        )
    return found
