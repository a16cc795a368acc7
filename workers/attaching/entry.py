"""One attachment as it was made, or began to be: all that the plugins were given, and what came of it."""

import ipaddress
import json
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any

from workers.holdings import Attachment

BRIDGES = {"bridge": "cni0", "weave-net": "weave"}
"""What plugins take for a bridge when a list names none."""
IPInterface = ipaddress.IPv4Interface | ipaddress.IPv6Interface


@dataclass(frozen=True, slots=True)
class Entry:
    """What DEL needs to undo an ADD, whether or not that came to its end."""

    attachment: Attachment
    conf: str
    """The configuration list as it was handed to the plugins, JSON."""
    plugins: str
    """Directory of the programs."""
    netns: str
    """Path by which the namespace was found."""
    title: str
    """The same for people."""
    inode: int
    """Of the namespace. The kernel gives a number again once its namespace is gone."""
    own: str = ""
    """Name of the namespace, where it is one of the service's own that the worker made."""
    asked: tuple[str, ...] = ()
    """Addresses that ADD was to give."""
    asked_mac: str = ""
    """MAC that ADD was to give: what its neighbours know a restarted container by; empty: any."""
    by_plugins: bool = False
    """The list has a plugin for host ports; else our own table maps them."""
    result: str = ""
    """What ADD answered, JSON; empty: it did not come to its end."""
    detached: bool = False
    """DEL went through; kept for the addresses that were ``asked`` for, while the container is away."""

    @property
    def addresses(self) -> tuple[IPInterface, ...]:
        """Of the interface, IPv4 first."""
        return _addresses(self.result)

    @property
    def mac(self) -> str:
        """Of the interface; empty when the plugins do not say."""
        inside = (one for one in self._interfaces if one.get("sandbox"))
        return next((one["mac"].lower() for one in inside if one.get("mac")), "")

    @property
    def ends(self) -> tuple[str, ...]:
        """Names of the interface's other ends on the node, and of what else plugins made there for it
        (``bandwidth`` an ifb): a result does not tell which is which."""
        outside = (one["name"] for one in self._interfaces if not one.get("sandbox"))
        return tuple(name for name in outside if name != self.bridge)

    @property
    def bridge(self) -> str:
        """The bridge that the interface is a port of; empty when it is not known."""
        return bridge(_parsed(self.conf))

    @property
    def device(self) -> str:
        """Of the node, behind which the container is: the bridge, or the other end of an interface that is a
        port of none; empty when it is not known."""
        return self.bridge or (self.ends[0] if len(self.ends) == 1 else "")

    @property
    def reaches_itself(self) -> bool:
        """What it sends to its own host port is to come back to it."""
        of_ours = not self.by_plugins and any(port.host_port for port in self.attachment.expose)
        return of_ours or any(plugin.get("hairpinMode") for plugin in _parsed(self.conf)["plugins"])

    @property
    def _interfaces(self) -> list[dict[str, Any]]:
        return list(self._result.get("interfaces", ()))

    @property
    def _result(self) -> dict[str, Any]:
        return _parsed(self.result) if self.result else {}


def verify(result: str) -> None:
    """Raises ValueError for what a plugin answered when that is no result of an ADD."""
    try:
        given = _parsed(result)
        _addresses(result)
        for one in given.get("interfaces", ()):
            if not isinstance(one["name"], str) or not isinstance(one.get("mac", ""), str):
                raise ValueError("an interface has no name")
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


@lru_cache(maxsize=4096)
def _parsed(text: str) -> dict[str, Any]:
    """To be read only. An attachment is looked at again and again, and seldom changes."""
    found: dict[str, Any] = json.loads(text)
    return found


@lru_cache(maxsize=4096)
def _addresses(result: str) -> tuple[IPInterface, ...]:
    given = _parsed(result).get("ips", ()) if result else ()
    return tuple(sorted((ipaddress.ip_interface(one["address"]) for one in given), key=attrgetter("version")))


def bridge(body: dict[str, Any]) -> str:
    """The bridge that the interfaces of a list become ports of; empty when it is not known."""
    first = body["plugins"][0]
    return str(first.get("bridge", BRIDGES.get(first.get("type"), "")))
