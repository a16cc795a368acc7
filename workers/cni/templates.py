"""A configuration list from its template: the placeholders with the values that this node has.

    {"plugins": [{"type": "macvlan", "master": "{{interface}}", "mtu": {{mtu}}}]}
    {"plugins": [{"type": "macvlan", "master": "eth0",          "mtu": 1500}]}

Pure. The names are part of the wire (``document.PLACEHOLDERS``); the control plane has judged the
template, so what is wrong here is a value that this node does not have.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from workers.document import PLACEHOLDER, DesiredNetwork, Document
from workers.host import Host, first_address, subnet


class TemplateError(ValueError):
    """It cannot be filled in on this node; says why."""


def filled(template: str, values: Mapping[str, str]) -> dict[str, Any]:
    """The list; raises TemplateError."""

    def value(found: re.Match[str]) -> str:
        if not values.get(found[1]):
            raise TemplateError(f"{found[0]} has no value on this node")
        return json.dumps(values[found[1]])[1:-1]

    try:
        body = json.loads(PLACEHOLDER.sub(value, template))
    except json.JSONDecodeError as error:
        raise TemplateError(f"it is no JSON with the values of this node ({error})") from error
    if not isinstance(body, dict) or not isinstance(body.get("plugins"), list):
        raise TemplateError("it is no configuration list")
    return body


def values(network: DesiredNetwork, document: Document, host: Host, mtu: int, store: str) -> dict[str, str]:
    """What each placeholder stands for; empty: nothing."""
    address = next(iter(document.addresses), "")
    ranges = {subnet(cidr).version: cidr for cidr in network.subnets}
    first, six = ranges.get(4) or ranges.get(6, ""), ranges.get(6, "")
    return {
        "network": network.name,
        "node": document.node,
        "cluster": document.cluster,
        "address": address,
        "interface": _holder(address, host),
        "cidr": first,
        "gateway": _gateway(first),
        "cidr6": six,
        "gateway6": _gateway(six),
        "mtu": str(mtu),
        "store": store,
    }


def _gateway(cidr: str) -> str:
    return first_address(cidr).partition("/")[0] if cidr else ""


def _holder(address: str, host: Host) -> str:
    """The interface that has an address."""
    return next(
        (
            link.name
            for link in host.links.values()
            if any(held.address.partition("/")[0] == address for held in link.addresses)
        ),
        "",
    )
