"""The weave router of a node: what a node of a weave network needs besides its CNI file. Pure.

    DesiredNetwork, Host.weave -> Router, PluginLink; findings

What an operator does by hand with the script ``weave`` and what we rely on of it (its usage text and
the router's HTTP interface, weave 2.x):

    weave setup                               fetches the images, puts weave-net and weave-ipam
                                              into /opt/cni/bin
    weave launch --nickname NAME --ipalloc-range CIDR PEER ...
                                              starts the router; refused while one runs; a bridge
                                              named weave appears
    weave connect PEER ..., weave forget PEER ...
                                              other peers to look for, at once; connections to the
                                              rest go on
    weave reset                               stops the router and removes the bridge and its data
    GET http://127.0.0.1:6784/report          (Accept: application/json) what ``weave report`` prints:
                                              Version, Router.NickName, Router.Targets (the peers
                                              given), Router.Connections (Address, State), IPAM.Range

A router is ours when its nickname ends with MARK: the router itself keeps it, so a worker that was
restarted knows its own, and one that an operator launched is left as it is. What is missing in that
one is named in a finding.
"""

import ipaddress
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from workers.document import DesiredNetwork, Document
from workers.host import Host, Weave
from workers.report import Finding

TYPE = "weave"
BRIDGE = "weave"
"""The device that is there as long as a router is, or was not reset."""
MARK = "@netadmin"
PLUGINS = ("weave-ipam", "weave-net")
ORIGIN = "/opt/cni/bin"
"""Where ``weave setup`` puts its plugins, whatever the node's plugin directory is."""
SETTLED = ("retrying", "failed")
"""States of a connection that will not become one by waiting a moment."""
NO_SCRIPT = "Put the script weave into /usr/local/bin, executable, and see that docker starts at boot"


@dataclass(frozen=True, slots=True)
class Router:
    range: str
    """The CIDR that it hands addresses out of."""
    peers: tuple[str, ...]
    """Addresses of the other nodes, in order; those that it looks for."""
    nickname: str = field(default="", compare=False)
    network: str = field(default="", compare=False)
    needs: str = field(default="", compare=False)

    @property
    def key(self) -> tuple[str]:
        return ("weave router",)

    def __str__(self) -> str:
        return f"weave router of {self.range} with peers {' '.join(self.peers) or 'none yet'}"


@dataclass(frozen=True, slots=True)
class PluginLink:
    """A plugin of weave in the node's plugin directory. It is made and stays: an operator may have made
    the same by hand."""

    path: str
    target: str
    network: str = field(default="", compare=False)
    needs: str = field(default="", compare=False)

    @property
    def key(self) -> tuple[str, str]:
        return ("plugin", self.path)

    def __str__(self) -> str:
        return f"link {self.path} to {self.target}"


def is_looked_for(document: Document | None, host: Host) -> bool:
    """Whether a look at the router is worth it: somebody wants it, or a device tells that one may be left."""
    return BRIDGE in host.links or bool(document and _networks(document))


def wanted(document: Document, host: Host) -> tuple[list[Router | PluginLink], list[Finding]]:
    """Router and links of a node with a weave network, and what is wrong with them."""
    networks, there = _networks(document), host.weave
    if not networks or there is None:
        return [], []
    network = networks[0]
    router = Router(network.ranges[0], _peers(network, document), document.node + MARK, network.name)
    links = [
        PluginLink(f"{there.plugins}/{name}", f"{ORIGIN}/{name}", network.name)
        for name in sorted(there.origin)
        if there.plugins != ORIGIN
    ]
    if there.trouble:
        return [*links], [
            _finding(network, "weave router", there.trouble, "Look at its log: docker logs weave")
        ]
    if not there.running and not there.script:
        return [*links], [_finding(network, "program weave", "is not installed on this node", NO_SCRIPT)]
    if there.running and not _is_ours(there):
        return [*links], _of_an_operator(network, router, there)
    return [router, *links], list(_unconnected(network, document, there))


def ours(there: Weave | None) -> list[Router]:
    """The router that runs, if this worker or one before launched it."""
    if there is None or not there.running or not _is_ours(there):
        return []
    return [Router(there.range, there.targets, there.nickname)]


def decode(body: bytes) -> Weave:
    """What ``weave report`` says; raises ValueError when it is no report."""
    try:
        said = json.loads(body)
        router = said["Router"]
        return Weave(
            running=True,
            version=str(said["Version"]),
            nickname=str(router["NickName"]),
            range=str((said.get("IPAM") or {}).get("Range", "")),
            targets=_sorted(_host(target) for target in router.get("Targets") or ()),
            connections=_connections(router.get("Connections") or ()),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def summary(there: Weave) -> str:
    """The router in a few words, for the node's capabilities."""
    if there.trouble or not there.running:
        return there.trouble or "not running"
    connected = sum(there.connections.get(peer) == "established" for peer in there.targets)
    return f"{there.version}, {there.range}, {connected} of {len(there.targets)} peers connected"


def _networks(document: Document) -> list[DesiredNetwork]:
    return [network for network in document.networks if network.type == TYPE]


def _peers(network: DesiredNetwork, document: Document) -> tuple[str, ...]:
    return _sorted(
        peer.addresses[0] for peer in network.peers if peer.node != document.node and peer.addresses
    )


def _sorted(addresses: Iterator[str]) -> tuple[str, ...]:
    return tuple(sorted(set(addresses)))


def _is_ours(there: Weave) -> bool:
    return there.nickname.endswith(MARK)


def _host(target: str) -> str:
    """``10.0.0.2``, ``10.0.0.2:6783``, ``[fd00::2]:6783`` or ``fd00::2`` without its port."""
    try:
        return str(ipaddress.ip_address(target))
    except ValueError:
        return target.rpartition(":")[0].strip("[]") or target


def _connections(rows: Sequence[Any]) -> dict[str, str]:
    """The best state by address: of two that opened a connection to each other, one is given up."""
    found: dict[str, str] = {}
    for row in rows:
        address, state = _host(str(row["Address"])), str(row["State"])
        if found.get(address, "failed") in SETTLED or state == "established":
            found[address] = state
    return found


def _of_an_operator(network: DesiredNetwork, router: Router, there: Weave) -> list[Finding]:
    """What a router that we did not launch lacks."""
    subject = f"weave router {there.nickname}"
    remedy = "Run weave reset on this node, and the worker launches one"
    findings = []
    if there.range != router.range:
        why = f"was not launched by the worker and hands out {there.range or 'nothing'}, not {router.range}"
        findings.append(_finding(network, subject, why, remedy))
    if missing := sorted(set(router.peers) - set(there.targets)):
        why = f"was not launched by the worker and does not look for {', '.join(missing)}"
        findings.append(_finding(network, subject, why, f"Run weave connect {' '.join(missing)}"))
    return findings


def _unconnected(network: DesiredNetwork, document: Document, there: Weave) -> Iterator[Finding]:
    for peer in network.peers:
        address = peer.addresses[0] if peer.addresses else ""
        if peer.node != document.node and (state := there.connections.get(address, "")) in SETTLED:
            remedy = f"See that a router runs on {peer.node}, and that TCP and UDP 6783 and UDP 6784 pass"
            yield _finding(network, f"weave connection to {peer.node} ({address})", f"is {state}", remedy)


def _finding(network: DesiredNetwork, subject: str, why: str, remedy: str) -> Finding:
    return Finding("weave", network.name, subject, why, remedy)
