"""The desired-state document: what one node must have.

    {"format": 1,
     "version": sha256 of the canonical head,
     "head": {"cluster", "node", "addresses", "look_interval", "probe_interval", "confirm",
              "lease_grace", "attempt", "cni", "ranges",
              "networks": [{"name", ..., "peers": sha256 of the canonical peer list}]},
     "peers": {sha256: [{"node", "addresses", "gateways", "subnets"}, ...]}}

All nodes of a network share one peer list (the reader finds itself in it), so the
control plane renders it once per change and only points to it from each head. The
version covers the head, the head covers the peer lists by their digests: a document
that was cut, mixed or altered on its way is refused, never half believed.

Canonical JSON: keys sorted, no white space, ASCII. The reader takes the digests over the bytes
as they came. What a peer list has in common with the last one at both ends is not taken apart
again, and a peer whose bytes are known is not read again: with thousands of peers most of a new
document is what the last one was.
"""

import hashlib
import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import zip_longest
from typing import Any, NamedTuple

FORMAT = 1
TYPES = ("bridge", "routed_bridge", "weave", "loopback", "cni")


class DocumentError(ValueError):
    """The bytes are not a whole desired-state document of a format this side reads."""


OVERHEADS = {
    "ipip": {4: 20, 6: 40},
    "gre": {4: 24, 6: 44},
    "ip6ip6": {6: 40},
    "ip6gre": {6: 44},
    "vxlan": {4: 36, 6: 56},
}
"""Bytes that a tunnel puts around a packet, by mode and version of its ends; no other versions are possible.

Over IPv6, ``ipip`` becomes ``ip6ip6`` and ``gre`` becomes ``ip6gre``, both without encapsulation limit.
VXLAN without an Ethernet header inside (GPE)."""

PLACEHOLDERS = {
    "network": "name of the network",
    "node": "name of the node",
    "cluster": "name of the cluster",
    "address": "the node's own address on the underlay",
    "interface": "the node's interface that has this address",
    "cidr": "range of the network, as this node has it (IPv4 if it has both families)",
    "gateway": "first address of that range",
    "cidr6": "the IPv6 range of a network of both families",
    "gateway6": "first address of that range",
    "mtu": "bytes: as declared, else what the interface carries",
    "store": "directory of the leases (dataDir of host-local) that the worker watches",
}
"""What ``{{NAME}}`` in a configuration list stands for. Inside a JSON string it is text; ``{{mtu}}`` without
quotes is a number."""
PLACEHOLDER = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")


BETWEEN = b"},{"
"""Two peers of a list."""
KNOWN_PEERS = 1 << 15
"""How many peers are remembered by their bytes."""


class Peer(NamedTuple):
    """One node's part of a routed_bridge network, as the other nodes see it."""

    node: str
    addresses: tuple[str, ...]
    """Tunnel ends: at most one IPv4 and one IPv6 address, in this order."""
    gateways: tuple[str, ...]
    """Next hops towards the node's segment; the same as ``addresses`` unless declared."""
    subnets: tuple[str, ...]
    """The node's segment: one CIDR per family of the network."""


@dataclass(frozen=True, slots=True)
class DesiredNetwork:
    """One network as one node must have it."""

    name: str
    type: str
    ranges: tuple[str, ...]
    """The declared CIDRs: at most one per family."""
    subnets: tuple[str, ...]
    """The node's own part: its segment of a routed_bridge, else the range."""
    device: str
    """The bridge, e.g. ``obr_backend1``; empty for types without one."""
    adopted: bool
    """The bridge is the operator's (keyword ``dev``): never created, never removed."""
    public: bool
    """No masquerading."""
    mtu: int
    """Bytes: declared, or computed over all its nodes; 0: nobody knows yet, and the worker takes what its
    own underlay carries."""
    tables: tuple[str, ...]
    """Routing tables that each get every route, by name or number."""
    tunnel: str
    tunnel_mode: str
    peers: tuple[Peer, ...] = field(default=(), repr=False)
    conf: str = field(default="", repr=False)
    """Of type ``cni``: the configuration list as declared; its PLACEHOLDERS are filled in on the node, as
    only that knows its own interface and directories."""


@dataclass(frozen=True, slots=True)
class Document:
    """What one node must have, and the version under which it reports it applied."""

    version: str
    cluster: str
    node: str
    addresses: tuple[str, ...]
    """The node's own underlay addresses, as in ``Peer.addresses``."""
    look_interval: float
    """Seconds between two looks when nothing else triggers one."""
    cni_plugins: str
    cni_config: str
    ranges: tuple[str, ...]
    """CIDRs of every network of the cluster: traffic to them is not masqueraded."""
    networks: tuple[DesiredNetwork, ...]
    probe_interval: float = 0.0
    """Seconds between two rounds of probes; 0: none."""
    confirm: float = 0.0
    """Seconds to reach the control plane in after a change, or it is rolled back; 0: never."""
    lease_grace: float = 300.0
    """Seconds for which a container must have been gone before its addresses are freed."""


def canonical(value: Any) -> bytes:
    """The one serialisation that digests are made of."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def digest(body: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(body).hexdigest()


def assemble(head: bytes, peers: dict[str, bytes]) -> bytes:
    """The document's bytes from a canonical head and rendered peer lists by digest."""
    lists = b",".join(b'"%s":%s' % (key.encode(), peers[key]) for key in sorted(peers))
    return b'{"format":%d,"version":"%s","head":%s,"peers":{%s}}' % (
        FORMAT, digest(head).encode(), head, lists,
    )  # fmt: skip


def parse(body: bytes) -> Document:
    """Read and verify; raises DocumentError for anything that is not exactly what ``assemble`` made."""
    try:
        return _parsed(body)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, DocumentError):
            raise
        raise DocumentError(f"not a desired-state document ({type(error).__name__}: {error})") from error


def _parsed(body: bytes) -> Document:
    start, _, rest = body.partition(b',"head":')
    front = json.loads(start + b"}")
    if front["format"] != FORMAT:
        raise DocumentError(f"format {front['format']} where {FORMAT} is read; upgrade this worker")
    listed, _, lists = rest.partition(b',"peers":{')
    if digest(listed) != front["version"]:
        raise DocumentError("the version does not match the content; fetch the document again")
    head = json.loads(listed)
    keys = sorted({network["peers"] for network in head["networks"]} - {""})
    return _document(front["version"], head, _peer_lists(keys, lists))


def _peer_lists(keys: list[str], lists: bytes) -> dict[str, tuple[Peer, ...]]:
    """The lists in the order of their digests, up to the two braces that end a document.

    Where one ends is found by the digest of the next. Nothing is believed for that: a list that was
    cut in the wrong place does not have its digest.
    """
    if not lists.endswith(b"}}"):
        raise ValueError("it ends in the middle")
    found = {}
    start = 0
    for key, following in zip_longest(keys, keys[1:], fillvalue=""):
        start += len(key) + 3
        end = lists.find(b',"%s":' % following.encode(), start) if following else len(lists) - 2
        found[key] = _peers(key, lists[start:end])
        start = end + 1
    if lists[max(start - 1, 0) :] != b"}}":
        raise DocumentError("it does not end as a document does; fetch it again")
    return found


class _Listed(NamedTuple):
    """A peer list that was read."""

    inside: bytes
    """What it was read from, without the outermost brackets and braces."""
    peers: tuple[Peer, ...]


_last = _Listed(b"", ())


def _peers(key: str, listed: bytes) -> tuple[Peer, ...]:
    global _last
    if digest(listed) != key:
        raise DocumentError("a peer list does not match its digest; fetch the document again")
    _last = _followed(_last, listed[2:-2])
    return _last.peers


def _followed(last: _Listed, inside: bytes) -> _Listed:
    """The list of these bytes, with the peers of the last one where both are alike."""
    before = last.inside.rfind(BETWEEN, 0, _alike(last.inside, inside))
    first = last.inside.count(BETWEEN, 0, before) + 1 if before >= 0 else 0
    begin = before + len(BETWEEN) if before >= 0 else 0
    same = _alike(last.inside[:begin:-1], inside[:begin:-1])
    after = last.inside.find(BETWEEN, max(len(last.inside) - same, begin))
    rest = len(last.inside) - after if after >= 0 else 0
    behind = last.peers[-last.inside.count(BETWEEN, after) :] if after >= 0 else ()
    between = inside[begin : len(inside) - rest]
    middle = map(_peer, between.split(BETWEEN)) if between else ()
    return _Listed(inside, (*last.peers[:first], *middle, *behind))


def _alike(one: bytes, other: bytes) -> int:
    """How many bytes at the beginning are the same; found by halving, in a few comparisons of memory."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


@lru_cache(maxsize=KNOWN_PEERS)
def _peer(inside: bytes) -> Peer:
    """One peer from what is between its braces. A brace inside a string leaves a half that is no JSON."""
    peer = json.loads(b"{%s}" % inside)
    return Peer(
        node=peer["node"],
        addresses=tuple(peer["addresses"]),
        gateways=tuple(peer["gateways"]),
        subnets=tuple(peer["subnets"]),
    )


def _document(version: str, head: dict[str, Any], peers: dict[str, tuple[Peer, ...]]) -> Document:
    return Document(
        version=version,
        cluster=head["cluster"],
        node=head["node"],
        addresses=tuple(head["addresses"]),
        look_interval=float(head["look_interval"]),
        cni_plugins=head["cni"]["plugins"],
        cni_config=head["cni"]["config"],
        ranges=tuple(head["ranges"]),
        networks=tuple(_network(network, peers) for network in head["networks"]),
        # A document that an earlier release cached has none of these.
        probe_interval=float(head.get("probe_interval", 0)),
        confirm=float(head.get("confirm", 0)),
        lease_grace=float(head.get("lease_grace", 300)),
    )


def _network(raw: dict[str, Any], peers: dict[str, tuple[Peer, ...]]) -> DesiredNetwork:
    if raw["type"] not in TYPES:
        raise DocumentError(f"network {raw['name']}: type {raw['type']} is not known; upgrade this worker")
    return DesiredNetwork(
        name=raw["name"],
        type=raw["type"],
        ranges=tuple(raw["ranges"]),
        subnets=tuple(raw["subnets"]),
        device=raw["device"],
        adopted=bool(raw["adopted"]),
        public=bool(raw["public"]),
        mtu=int(raw["mtu"]),
        tables=tuple(raw["tables"]),
        tunnel=raw["tunnel"],
        tunnel_mode=raw["tunnel_mode"],
        peers=peers[raw["peers"]] if raw["peers"] else (),
        conf=raw.get("conf", ""),
    )
