"""What the plugins will be given for an attachment, but for its namespace.

network of the document in force -> its configuration list as it is on the disk -> Entry
how it was attached last         -> addresses and MAC that are asked for again
"""

import ipaddress
import json
import socket
from pathlib import Path
from typing import Any

from workers.attaching import calls
from workers.attaching.entry import Entry
from workers.attaching.netns import NotThere
from workers.cni import confs, plugins
from workers.config import Settings
from workers.document import DesiredNetwork, Document
from workers.holdings import Attachment
from workers.objects import BRIDGED, conf_directory


def prepared(
    wanted: Attachment, before: Entry | None, document: Document | None, settings: Settings
) -> Entry:
    """``before``: how it was attached last; it is to get the same addresses. Raises NotThere."""
    network = _network(wanted, document)
    assert document
    body = _list(Path(conf_directory(document, settings)) / f"{network.name}{confs.SUFFIX}")
    ours = network.type in BRIDGED
    if ours:
        _require_device(network.device)
    by_plugins = not ours and any(calls.maps(plugin) for plugin in body["plugins"])
    if any(port.host_port for port in wanted.expose) and not by_plugins:
        _let_reach_itself(body)
    last, mac = _had(before, wanted)
    return Entry(
        attachment=wanted,
        conf=json.dumps(body),
        plugins=str(plugins.directory(settings, document)),
        netns="",
        title="",
        inode=0,
        asked=_asked(wanted, last),
        asked_mac=mac,
        by_plugins=by_plugins,
    )


def _network(wanted: Attachment, document: Document | None) -> DesiredNetwork:
    for network in document.networks if document else ():
        if network.name == wanted.network:
            return network
    raise NotThere(f"network {wanted.network} is not on this node")


def _list(path: Path) -> dict[str, Any]:
    """A configuration list as the worker wrote it; raises NotThere."""
    try:
        body: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise NotThere(f"{path} is not written yet") from error
    return body


def _require_device(device: str) -> None:
    """The plugin would make a bridge that is missing, and that would not be ours. Raises NotThere."""
    try:
        socket.if_nametoindex(device)
    except OSError as error:
        raise NotThere(f"bridge {device} is not there") from error


def _let_reach_itself(body: dict[str, Any]) -> None:
    """A container that asks for its own host port gets its packets back by the port they came from."""
    for plugin in body["plugins"]:
        if plugin["type"] == "bridge":
            plugin["hairpinMode"] = True


def _had(before: Entry | None, wanted: Attachment) -> tuple[tuple[str, ...], str]:
    """Addresses and MAC that it had in the same network; none when it was in none."""
    if before is None or before.attachment.network != wanted.network:
        return (), ""
    return before.asked, before.asked_mac


def _asked(wanted: Attachment, last: tuple[str, ...]) -> tuple[str, ...]:
    """Fixed addresses, and those of before in a family that has none."""
    fixed = {ipaddress.ip_address(one).version for one in wanted.addresses}
    return (*wanted.addresses, *(one for one in last if ipaddress.ip_address(one).version not in fixed))
