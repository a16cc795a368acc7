"""Where an attachment's network namespace is to be looked for, from its text. Pure.

container#web   a container of any runtime: of this name or id, or as OpenSVC names the container
                resource ``container#web`` of the service
docker:web      podman:web   lxc:web     of that runtime
4242            a process of the node
/run/x          a file
blue            a named namespace, /run/netns/blue
(empty)         the service's own, /run/netns/NS..svc..NAME, made when it is not there
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

RUNTIMES = ("docker", "podman", "lxc")
RESOURCE = "container#"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,252}")
"""Of a container or a namespace: no path, and no option of a command."""
LONGEST = 200
"""Characters of a file name, with room for what a suffix adds."""


class UnfitNetns(ValueError):
    """The text names no namespace in any of these forms."""


@dataclass(frozen=True, slots=True)
class Container:
    runtimes: tuple[str, ...]
    names: tuple[str, ...]
    """To be asked for in this order."""


@dataclass(frozen=True, slots=True)
class File:
    path: Path


@dataclass(frozen=True, slots=True)
class Own:
    """A namespace of the service's own."""

    path: Path


Place = Container | File | Own


def place(netns: str, service: str, named: Path) -> Place:
    """``named``: the directory of namespaces that have names. Raises UnfitNetns."""
    if not netns:
        return Own(named / own_name(service))
    if netns.startswith(RESOURCE):
        return Container(RUNTIMES, _resource_names(_checked(netns.removeprefix(RESOURCE), netns), service))
    runtime, colon, name = netns.partition(":")
    if colon and runtime in RUNTIMES:
        return Container((runtime,), (_checked(name, netns),))
    if netns.startswith("/"):
        return File(Path(netns))
    if netns.isdecimal():
        return File(Path(f"/proc/{int(netns)}/ns/net"))
    return File(named / _checked(netns, netns))


def own_name(service: str) -> str:
    """``NS..svc..NAME``; with a digest where that is no file name."""
    name = service.replace("/", "..")
    if NAME.fullmatch(name) and len(name) <= LONGEST:
        return name
    return f"{re.sub(r'[^A-Za-z0-9_.-]', '_', name)[:LONGEST]}-{sha256(service.encode()).hexdigest()[:12]}"


def _resource_names(name: str, service: str) -> tuple[str, ...]:
    """``container#0`` of ``NS/svc/web`` is ``web.container.0`` in namespace root, else
    ``NS..web.container.0``; its lxc container may have the service's name."""
    namespace, _, rest = service.partition("/")
    short = rest.rpartition("/")[2]
    resource = [f"{short}.container.{name}"] if namespace == "root" else []
    resource.append(f"{namespace}..{short}.container.{name}")
    return tuple([*resource, name] if name.isdecimal() else [name, *resource])


def _checked(name: str, netns: str) -> str:
    if not NAME.fullmatch(name):
        raise UnfitNetns(f"netns={netns}: {name!r} is no name of a container or namespace")
    return name
