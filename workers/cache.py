"""The last good document, on disk: what restores the network while the control plane is away.

    STATE_DIR/document.json    the bytes as they were served
    STATE_DIR/confirmed.json   those of the last document that was confirmed (``confirm``)

The bytes carry their own digests, so they are verified again on every read: a file that
was cut or altered is reported and ignored, never half believed.
"""

import os
import threading
from pathlib import Path

from workers import document, files
from workers.document import Document, DocumentError


class CacheError(Exception):
    """The cached document cannot be used; says the file, why and the remedy."""


class Cache:
    """For any thread: one that keeps a document meets another that writes the next."""

    def __init__(self, directory: Path, node: str) -> None:
        self.path = directory / "document.json"
        self.confirmed = directory / "confirmed.json"
        self.node = node
        self._version = ""
        """Of what is at ``path``."""
        self._lock = threading.Lock()

    def read(self) -> Document | None:
        """What the control plane last said; None: it was never heard.

        Raises CacheError when there is a file and it is not a whole document for this node.
        """
        with self._lock:
            found = self._read(self.path)
            self._version = found.version if found else ""
            return found

    def read_confirmed(self) -> Document | None:
        """The last document that was confirmed; None: there was none. Raises CacheError."""
        return self._read(self.confirmed)

    def write(self, body: bytes, version: str) -> None:
        """Keep ``body``; raises OSError."""
        with self._lock:
            self._write(self.path, body)
            self._version = version

    def confirm(self, version: str) -> bool:
        """Keep the cached document as the confirmed one; False when it is no longer of that version.

        Raises OSError.
        """
        with self._lock:
            if version != self._version:
                return False
            self._write(self.confirmed, self.path.read_bytes())
            return True

    def drop(self) -> None:
        """Forget everything: the node was removed from the cluster."""
        with self._lock:
            for path in (self.path, self.confirmed):
                if path.exists():
                    files.remove(path)
            self._version = ""

    def _read(self, path: Path) -> Document | None:
        try:
            return verify(path.read_bytes(), self.node)
        except FileNotFoundError:
            return None
        except (OSError, DocumentError) as error:
            raise CacheError(f"{path}: {error}. It is ignored until the control plane answers") from error

    def _write(self, path: Path, body: bytes) -> None:
        os.makedirs(path.parent, mode=0o700, exist_ok=True)
        files.replace(path, body, 0o600)


def verify(body: bytes, node: str) -> Document:
    """Read a document and make sure that it is this node's; raises DocumentError."""
    found = document.parse(body)
    if found.node != node:
        raise DocumentError(
            f"it is for node {found.node!r}, not {node!r}; set NETADMIN_NODE and NETADMIN_TOKEN of one node"
        )
    return found
