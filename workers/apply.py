"""Carry a plan out, in its order, as far as it goes.

    Plan -> runs of one kind -> door -> findings

Routes go in batches, everything else one by one. A change that is refused becomes a
finding with the kernel's own sentence; what needs its device is skipped, since the first
finding says it all; the rest goes on. No process is started, but for the weave router.
"""

import errno
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import groupby

from workers.changes import Change, Plan, Verb
from workers.cni import directory, router
from workers.cni.confs import Conf
from workers.cni.gate import Unreserved
from workers.cni.router import WeaveError
from workers.cni.weave import PluginLink, Router
from workers.kernel import addresses, forwarding, links, routes, tunnels
from workers.kernel.addresses import Address
from workers.kernel.door import Kernel
from workers.kernel.firewall import Firewall
from workers.kernel.forwarding import Accept
from workers.kernel.links import Bridge, Up
from workers.kernel.messages import Request
from workers.kernel.netlink import NetlinkError
from workers.kernel.nft import NftError
from workers.kernel.routes import Route
from workers.kernel.sysctls import Sysctl
from workers.kernel.tunnels import Tunnel
from workers.report import Finding

REMEDIES = {
    errno.EEXIST: "Remove what is there if nobody needs it, or declare the network otherwise",
    errno.EPERM: "Give the worker CAP_NET_ADMIN and CAP_SYS_ADMIN",
    errno.EACCES: "Give the worker the right to write there",
    errno.EROFS: "Make the file system writable, or set NETADMIN_CNI_CONFIG to a directory that is",
    errno.ENOSPC: "Make room on the file system",
    errno.EOPNOTSUPP: "Load or build the kernel module that this needs",
}
AGAIN = "It is tried again at the next look; if it stays, look at the device and the declared network"

Refusal = tuple[Change, Exception]


def apply(plan: Plan, kernel: Kernel, let_pass: Callable[[str], None]) -> list[Finding]:
    """Carry out all that can be; a finding for each change that was refused.

    ``let_pass`` is called with a network before its CNI file is written; raises Unreserved if it must not be.
    """
    findings: list[Finding] = []
    broken: set[str] = set()
    for kind, run in groupby(plan.changes, key=lambda change: type(change.object)):
        possible = [change for change in run if change.object.needs not in broken]
        refusals = _routes(possible, kernel) if kind is Route else _each(possible, kernel, let_pass)
        findings += [_finding(change, error) for change, error in refusals]
        broken |= {device for change, _ in refusals if (device := _device_lost(change))}
    return findings


def _each(changes: Iterable[Change], kernel: Kernel, let_pass: Callable[[str], None]) -> list[Refusal]:
    refusals: list[Refusal] = []
    for change in changes:
        try:
            _carry_out(change, kernel, let_pass)
        except (OSError, NftError, WeaveError, Unreserved) as error:
            refusals.append((change, error))
    return refusals


def _carry_out(change: Change, kernel: Kernel, let_pass: Callable[[str], None]) -> None:
    """One change that is not a route; raises OSError, NftError, WeaveError or Unreserved."""
    removing = change.verb is Verb.REMOVE
    match change.object:
        case Bridge() as bridge:
            _send(kernel, links.encode(change.verb, bridge))
        case Tunnel() as tunnel:
            before = change.was if isinstance(change.was, Tunnel) else None
            _send(kernel, tunnels.encode(change.verb, tunnel, before))
        case Up() as up:
            _send(kernel, links.encode_up(change.verb, up))
        case Address() as address:
            was = change.was if isinstance(change.was, Address) else None
            _send(kernel, addresses.encode(change.verb, address, was, kernel.netlink.index))
        case Sysctl() as switch:
            kernel.procfs.write(switch.name, switch.value)
        case Firewall() as firewall if removing:
            kernel.nft.remove(firewall.table)
        case Firewall() as firewall:
            kernel.nft.replace(firewall.table, firewall.text)
        case Accept() as accept if removing:
            kernel.nft.carry_out(forwarding.encode_removal(accept))
        case Accept() as accept:
            kernel.nft.carry_out(forwarding.encode(accept, kernel.filters.end_of(accept.family)))
        case Conf() as conf if removing:
            directory.remove(conf.path)
        case Conf() as conf:
            let_pass(conf.network)
            directory.write(conf.path, conf.content)
        case PluginLink() as plugin:
            router.link(plugin.path, plugin.target)
        case Router() if removing:
            router.reset()
        case Router() as wanted:
            router.follow(wanted, change.was) if isinstance(change.was, Router) else router.launch(wanted)
        case other:
            raise TypeError(f"{other}: a kind that apply does not know; add it here and to plan.KINDS")


def _send(kernel: Kernel, requests: Sequence[Request]) -> None:
    """All in one datagram; raises the first refusal."""
    for error in kernel.netlink.send(requests):
        if error:
            raise error


def _routes(changes: Iterable[Change], kernel: Kernel) -> list[Refusal]:
    """Routes in batches: the kernel goes on after an error and says which message it was."""
    index = cache(kernel.netlink.index)
    encoded: list[tuple[Change, Request]] = []
    refusals: list[Refusal] = []
    for change in changes:
        if isinstance(route := change.object, Route):
            try:
                encoded.append((change, routes.encode(change.verb, route, index)))
            except OSError as error:
                refusals.append((change, error))
    answers = kernel.netlink.send([request for _, request in encoded])
    return refusals + [(change, error) for (change, _), error in zip(encoded, answers, strict=True) if error]


def _device_lost(change: Change) -> str:
    """The device that is not there, or not up, because a change was refused."""
    if change.verb is not Verb.ADD:
        return ""
    match change.object:
        case Bridge(name=name) | Tunnel(name=name) | Up(device=name):
            return name
    return ""


def _finding(change: Change, error: Exception) -> Finding:
    number = error.errno if isinstance(error, OSError) else None
    sentence = error.strerror if isinstance(error, OSError) else str(error)
    return Finding(
        code="conflict" if number == errno.EEXIST and isinstance(error, NetlinkError) else "refused",
        network=change.object.network,
        subject=str(change),
        why=sentence or str(error),
        remedy=_remedy(error, number),
    )


def _remedy(error: Exception, number: int | None) -> str:
    if isinstance(error, Unreserved):
        return error.remedy
    return REMEDIES.get(number, AGAIN) if number else AGAIN
