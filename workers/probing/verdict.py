"""How a pair stands after its trial, why, and what helps.

Trial, Path -> Pair: up | mtu | down with a code

no-route     the kernel has no route to the peer's segment, or another one than declared
no-address   this node does not have its own bridge address
blocked      the peer's own address answers, and nothing comes back through the network
rejected     somebody on the way says that the packets may not pass
not-built    the peer got the packets and does not have the network
peer-down    the peer does not answer at all
mtu          small packets pass, full ones do not
"""

import errno
import os
from dataclasses import dataclass

from workers.probing.targets import Target
from workers.probing.trial import Trial
from workers.report import Pair

REFUSED_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.ENETDOWN)
CARRIERS = {
    "ipip": "IP protocol 4",
    "sit": "IP protocol 41",
    "ip6tnl": "IPv6 with next header 4 and 41",
    "gre": "IP protocol 47 (GRE)",
    "ip6gre": "IPv6 with next header 47 (GRE)",
    "vxlan": "UDP port 4790 (VXLAN-GPE)",
}
"""What a firewall on the way sees of a tunnel, by its kind."""


@dataclass(frozen=True, slots=True)
class Path:
    """Through which device the kernel sends packets to the peer now."""

    device: str = ""
    """Empty: it has no route."""
    via: str = ""
    own: bool = True
    """This node has the source address."""


def pair(trial: Trial, path: Path | None, at: float) -> Pair:
    """The verdict; ``path`` is asked for only where nothing came back, ``at`` is seconds since 1970."""
    if trial.up:
        state, reason = "up", ("", "", "")
    elif trial.reached:
        state, reason = "mtu", _too_large(trial)
    else:
        state, reason = "down", _lost(trial, path)
    code, why, remedy = reason
    return Pair(
        peer=trial.target.peer,
        state=state,
        loss=trial.loss,
        rtt=trial.rtt,
        largest=trial.best,
        at=round(at, 3),
        code=code,
        why=why,
        remedy=remedy,
        way=trial.target.way,
    )


Reason = tuple[str, str, str]
"""Code, why, remedy."""


def _too_large(trial: Trial) -> Reason:
    target, best = trial.target, trial.best
    limits = [error for error in trial.errors if error.kind == "too-large" and error.mtu]
    said = f"; {limits[-1].by} says that it passes on {limits[-1].mtu}" if limits else ""
    why = f"packets of {target.size} bytes are lost, the largest that passes has {best}{said}"
    where = "the tunnel's" if target.tunnel else "the"
    return (
        "mtu",
        why,
        f"Let {where} path from this node to {target.underlay} carry larger packets, or declare mtu={best}",
    )


def _lost(trial: Trial, path: Path | None) -> Reason:
    target = trial.target
    if not target.device:
        return (
            "no-route",
            f"there is no way to {target.peer}",
            "See what the node reports about its route",
        )
    if path and not path.own:
        return (
            "no-address",
            f"this node does not have the address {target.source}",
            "See what the node reports about its bridge",
        )
    if trial.refused in REFUSED_ROUTE or (path and path.device != target.device):
        return _no_route(trial, path)
    if trial.refused:
        said = os.strerror(trial.refused)
        return (
            "refused",
            f"the kernel does not send to {target.address} ({said})",
            "See the node's firewall",
        )
    return _on_the_way(trial)


def _no_route(trial: Trial, path: Path | None) -> Reason:
    target = trial.target
    instead = "has no route"
    if path and path.device:
        instead = f"sends through {path.device}" + (f" via {path.via}" if path.via else "")
    return (
        "no-route",
        f"to {target.address} the kernel {instead}, declared is {target.device}",
        "See what the node reports about its routes, and ip rule on it for other routing tables",
    )


def _on_the_way(trial: Trial) -> Reason:
    target = trial.target
    for error in trial.errors:
        if error.kind == "prohibited":
            return (
                "rejected",
                f"{error.by} refuses to pass on packets to {target.address}",
                f"Let them pass in the firewall of {error.by}",
            )
        if error.kind == "unreachable" and error.by == target.underlay:
            return (
                "not-built",
                f"{target.peer} gets the packets and has no {target.address}",
                f"See whether {target.peer} has carried out the network",
            )
    if trial.answered:
        return _blocked(target)
    return (
        "peer-down",
        f"neither {target.address} nor {_own(target)} answers",
        f"See whether {target.peer} is up and its underlay is connected",
    )


def _own(target: Target) -> str:
    return f"its own address {target.underlay}" if target.underlay else "anything else of it"


def _blocked(target: Target) -> Reason:
    alive = f"{target.peer} answers at {target.underlay}, but nothing comes back from {target.address}"
    carried = f"See first that {target.peer} has carried out the network"
    if target.tunnel:
        what = CARRIERS[target.tunnel]
        return (
            "blocked",
            f"{alive} through the tunnel",
            f"{carried}; then let {what} pass between the two, in firewalls on the way and on both nodes",
        )
    return (
        "blocked",
        f"{alive}, although the two are on one subnet",
        f"{carried}; if it has, the underlay drops what is not from node to node: declare tunnel=always",
    )
