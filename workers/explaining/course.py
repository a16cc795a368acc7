"""What one leg should meet on this node, from the declared document; pure.

    Leg, Document, Host, wanted objects -> Course

By which device a packet enters and leaves is decided as the apply decides it, from the same
objects; so what is compared is what the worker would build now.
"""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

from workers.changes import Owned
from workers.document import DesiredNetwork, Document, Peer
from workers.explained import Leg
from workers.host import Host, address, first_address, subnet
from workers.kernel.lookup import LOCAL
from workers.kernel.messages import family
from workers.kernel.routes import MAIN, Route
from workers.kernel.tunnels import Tunnel, Way, way
from workers.report import Finding

KERNEL = 2
"""Protocol of routes that the kernel makes for addresses (RTPROT_KERNEL)."""


@dataclass(frozen=True, slots=True)
class Course:
    leg: Leg
    node: str
    wanted: Mapping[Hashable, Owned]
    """Every object that the node should have, by key."""
    document: Document
    out_of: DesiredNetwork | None
    into: DesiredNetwork | None
    over: DesiredNetwork | None
    enters: str
    """Device that the packet comes in by; empty: the node itself sends it, or nobody knows."""
    route: Route | None
    """By which it should leave; None: as the node routes, or ``no_path``."""
    no_path: Finding | None
    carrier: Tunnel | None
    """The tunnel that it comes or leaves by."""
    outer: str
    """The peer's end of the tunnel that it comes by."""

    @property
    def forwarded(self) -> bool:
        """Neither sent nor received by the node itself."""
        return not ({self.leg.starts, self.leg.ends} & {"bridge", "node"})

    @property
    def stays_on_bridge(self) -> bool:
        """Between two containers of one bridge: nothing is routed."""
        among_containers = self.leg.starts == self.leg.ends == "container"
        return among_containers and self.out_of is self.into

    @property
    def tables(self) -> list[str]:
        """Names or numbers of the tables in which its route should be found."""
        if self.leg.ends in ("bridge", "node"):
            return ["local"]
        return list(self.over.tables) if self.over and not self.into else ["main"]


def course(
    leg: Leg, document: Document, host: Host, wanted: Iterable[Owned], findings: Iterable[Finding]
) -> Course:
    """Raises ValueError for a leg of a network that is not in the document."""
    objects = {one.key: one for one in wanted}
    out_of, into, over = (_network(document, name) for name in (leg.out_of, leg.into, leg.over))
    there = _peer(over, leg.peer)
    route = _declared(leg, into, over, objects.values())
    coming = _coming(leg, over, there, document, objects.values()) if _arrives(leg) else None
    carrier = objects.get(("link", coming.device if coming else route.device if route else ""))
    return Course(
        leg=leg,
        node=document.node,
        wanted=objects,
        document=document,
        out_of=out_of,
        into=into,
        over=over,
        enters=_entrance(leg, out_of, document, host, coming),
        route=route,
        no_path=None if route or not over or into else _no_path(leg, over, there, findings),
        carrier=carrier if isinstance(carrier, Tunnel) else None,
        outer=coming.remote if coming else "",
    )


def bridge_address(network: DesiredNetwork, of: str) -> str:
    """With prefix length, in the family of ``of``; empty: the network has none."""
    return next((first_address(one) for one in network.subnets if family(one) == family(of)), "")


def _network(document: Document, name: str) -> DesiredNetwork | None:
    if not name:
        return None
    found = next((network for network in document.networks if network.name == name), None)
    if found is None:
        raise ValueError(f"network {name} is not in the document of {document.node}")
    return found


def _peer(network: DesiredNetwork | None, name: str) -> Peer | None:
    return next((peer for peer in network.peers if peer.node == name), None) if network else None


def _arrives(leg: Leg) -> bool:
    return not leg.starts


def _declared(
    leg: Leg, into: DesiredNetwork | None, over: DesiredNetwork | None, wanted: Iterable[Owned]
) -> Route | None:
    if leg.ends in ("bridge", "node"):
        bits = 128 if ":" in leg.destination else 32
        return Route(f"{leg.destination}/{bits}", LOCAL, "", into.device if into else "", 0, KERNEL)
    if into:
        cidr = next(one for one in into.subnets if address(leg.destination) in subnet(one))
        return Route(cidr, MAIN, "", into.device, 0, KERNEL)
    return _towards(leg.destination, over, wanted) if over else None


def _towards(destination: str, over: DesiredNetwork, wanted: Iterable[Owned]) -> Route | None:
    target = address(destination)
    return next(
        (
            one
            for one in wanted
            if isinstance(one, Route) and one.network == over.name and target in subnet(one.dst)
        ),
        None,
    )


def _coming(
    leg: Leg,
    over: DesiredNetwork | None,
    there: Peer | None,
    document: Document,
    wanted: Iterable[Owned],
) -> Way | None:
    """The tunnel by which a peer's packets come; None: by none."""
    if not over or not there or leg.arrives == "direct":
        return None
    if not leg.arrives:
        back = next((_towards(first_address(cidr).partition("/")[0], over, wanted) for cidr in there.subnets
                     if family(cidr) == family(leg.destination)), None)  # fmt: skip
        if back is None or not back.device.startswith("na_"):
            return None
    own = _peer(over, document.node)
    return way(over.tunnel_mode, own.addresses if own else (), there.addresses, family(leg.destination))


def _entrance(
    leg: Leg, out_of: DesiredNetwork | None, document: Document, host: Host, coming: Way | None
) -> str:
    if leg.starts:
        return out_of.device if out_of and leg.starts == "container" else ""
    if coming:
        return coming.device
    own = next((one for one in document.addresses if family(one) == family(leg.destination)), "")
    held = (
        link.name
        for link in host.links.values()
        for one in link.addresses
        if one.address.partition("/")[0] == own
    )
    return next(held, "")


def _no_path(leg: Leg, over: DesiredNetwork, there: Peer | None, findings: Iterable[Finding]) -> Finding:
    """What the node says of the peer's segment that holds the destination."""
    cidrs = [one for one in (there.subnets if there else ()) if address(leg.destination) in subnet(one)]
    subjects = {f"route to {cidr} on {leg.peer}" for cidr in cidrs}
    return next(
        (one for one in findings if one.network == over.name and one.subject in subjects),
        Finding(
            code="no-path",
            network=over.name,
            subject=f"route to {leg.destination}",
            why=f"{leg.peer or 'nobody'} has no segment with it",
            remedy="See what the node reports",
        ),
    )
