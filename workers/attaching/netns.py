"""The door from an attachment's ``netns`` to the namespace itself, held open.

    text -> place -> path -> descriptor -> /proc/WORKER/fd/N for the plugins

To take an interface away, its namespace is looked for by its number too, wherever it is by now.

Held from the look-up to the end of a call, the namespace cannot become another one meanwhile: a
process id may be given to the next process, a name to the next namespace.
"""

import fcntl
import logging
import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from workers.attaching import places, runtimes, sight
from workers.attaching.entry import Entry
from workers.attaching.journal import OF_THE_MOMENT
from workers.attaching.places import Container, Own
from workers.attaching.runtimes import NotRunning
from workers.holdings import Attachment
from workers.kernel import namespaces, whereabouts
from workers.kernel.whereabouts import Hidden

log = logging.getLogger("netadmin.attaching")


class NotThere(Exception):
    """There is no namespace yet; what is waited for."""


class Unfit(Exception):
    """There is one, or will never be, and it must not be used; says why and the remedy."""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(why)
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Namespace:
    """A context manager; the namespace is held until the end of the block."""

    descriptor: int
    path: str
    """Where it was found."""
    title: str
    """The same for people."""
    own: str = ""
    """Its name, where it is the service's own."""

    @property
    def inode(self) -> int:
        return os.fstat(self.descriptor).st_ino

    @property
    def handed(self) -> str:
        """For CNI_NETNS."""
        return f"/proc/{os.getpid()}/fd/{self.descriptor}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.descriptor)


def find(attachment: Attachment, named: Path) -> Namespace:
    """The namespace that the attachment belongs into now; ``named``: where namespaces have names.

    Raises NotThere, Unfit, OSError.
    """
    try:
        place = places.place(attachment.netns, attachment.service, named)
    except places.UnfitNetns as error:
        raise Unfit(str(error), "Correct netns; its forms are in the documentation") from error
    if isinstance(place, Container):
        return _of_container(place)
    if isinstance(place, Own):
        namespaces.ensure(place.path)
        return _opened(place.path, f"namespace {place.path.name}", place.path.name)
    return _opened(place.path, str(place.path))


def again(entry: Entry) -> Namespace | None:
    """The namespace that an entry was made in, as far as its path still leads there.

    Its number may have been given to another one, so whoever looks inside must not take for ours
    what only has the name. Raises OSError while it cannot be told.
    """
    return _leading(entry, entry.netns)


def wherever(entry: Entry) -> Namespace | None:
    """As ``again``, and where the path leads elsewhere by now (its process ended, the container has another
    one), by any process or mount that leads there: a DEL that cannot reach the interface gives its address
    back all the same, and the next one would have it too. Raises OSError."""
    return again(entry) or (_sought(entry) if sight.may_be_left(entry) else None)


def _sought(entry: Entry) -> Namespace | None:
    """Only one that has what ADD made: the number alone may be that of another one by now."""
    try:
        paths = (path for inode, path in whereabouts.everywhere() if inode == entry.inode)
        found = next((one for path in paths if (one := _leading(entry, path))), None)
    except Hidden as error:
        log.warning("the namespace of %s cannot be looked for: %s", entry.title, error)
        return None
    if found is None:
        return None
    with ExitStack() as unless_ours:
        unless_ours.enter_context(found)
        there = sight.inside(found.descriptor, entry.attachment.interface)
        if there and sight.is_made(entry, there):
            unless_ours.pop_all()
            return found
    return None


def _leading(entry: Entry, path: str) -> Namespace | None:
    """The namespace behind the path, when it has the number. Raises OSError."""
    try:
        found = _opened(Path(path), path)
    except (NotThere, Unfit):
        return None
    if found.inode == entry.inode:
        return found
    os.close(found.descriptor)
    return None


def _of_container(place: Container) -> Namespace:
    try:
        pid, title = runtimes.process(place)
    except NotRunning as error:
        raise NotThere(str(error)) from error
    return _opened(Path(f"/proc/{pid}/ns/net"), title)


def _opened(path: Path, title: str, own: str = "") -> Namespace:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, ProcessLookupError) as error:
        raise NotThere(f"{path} is not there") from error
    except OSError as error:
        if error.errno in OF_THE_MOMENT:
            raise
        raise Unfit(f"{path}: {error.strerror}", "Let netns name a network namespace") from error
    try:
        _check(descriptor, path)
    except Exception:
        os.close(descriptor)
        raise
    return Namespace(descriptor, str(path), title, own)


def _check(descriptor: int, path: Path) -> None:
    found, here = os.fstat(descriptor), os.stat(namespaces.OF_THREAD)
    if found.st_dev != here.st_dev:
        raise NotThere(f"{path} holds no network namespace")  # a container that ended leaves such a file
    if fcntl.ioctl(descriptor, namespaces.NS_GET_NSTYPE) != namespaces.CLONE_NEWNET:
        raise Unfit(f"{path} is a namespace of another kind", "Let netns name a network namespace")
    if found.st_ino == here.st_ino:
        why = f"{path} is the node's own network namespace"
        raise Unfit(why, "Give the container a namespace of its own, e.g. --network none")
