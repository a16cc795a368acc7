"""What other people's firewalls do with packets from and to our bridges.

    base chain at hook forward, policy drop        what it does not accept is lost, whatever our own
      (docker, ufw, firewalld, an operator)        table says: an accept ends only its own chain
        jump DOCKER-USER                           docker's place for rules of others: ours go there,
          iifname obr_backend1 accept              before its final return, so that what the operator
          oifname obr_backend1 accept              drops there stays dropped
          return

A rule of ours is known by its comment. Chains without such a place are named in a finding, with the
command that lets a bridge through. Packets between two containers of one bridge go the same way
when net.bridge.bridge-nf-call-iptables is on. Sources: nft(8), docker's "Packet filtering and
firewalls".
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workers.document import DesiredNetwork
from workers.host import WAYS, Barrier, Forwarding

FAMILIES: Mapping[str, tuple[int, ...]] = {"ip": (4,), "ip6": (6,), "inet": (4, 6)}
"""Families of nft tables that see IP packets, and the versions that they see."""
DOCKER_USER = "DOCKER-USER"
MARK = "netadmin"
LOSES = ("drop", "reject")
UFW = ("ufw-before-forward", "ufw6-before-forward")

UNCONDITIONAL = {"accept", "drop", "reject", "return", "jump", "goto", "counter", "log"}
"""Statements that every packet gets to; others may end a rule early."""

Rule = Mapping[str, Any]
"""A rule as libnftables writes it (libnftables-json(5))."""
Follow = Callable[[str], Sequence[Rule]]
"""The rules of another chain of the same table."""


@dataclass(frozen=True, slots=True)
class Accept:
    """A rule of ours in a chain that docker keeps for such."""

    family: str
    """``ip`` or ``ip6``."""
    way: str
    """``iifname`` or ``oifname``."""
    device: str
    handle: int = field(default=0, compare=False)
    """Of one that is there."""
    spare: bool = False
    """It does nothing: behind the final return, or there twice."""
    network: str = field(default="", compare=False)

    @property
    def key(self) -> tuple[str, str, str, str, int]:
        return ("accept", self.family, self.way, self.device, self.handle if self.spare else 0)

    @property
    def needs(self) -> str:
        """None: a rule outlives the device it names."""
        return ""

    def __str__(self) -> str:
        spare = " that does nothing" if self.spare else ""
        return f"rule {self.family} filter {DOCKER_USER} {self.way} {self.device} accept{spare}"


def wanted(networks: Iterable[DesiredNetwork], forwarding: Forwarding) -> list[Accept]:
    """The rules that let the bridges of these networks through, where there is a place for them."""
    return [
        Accept(family, way, network.device, network=network.name)
        for network in networks
        for family in sorted(forwarding.docker)
        if any(version in FAMILIES[family] for version in _versions(network))
        for way in WAYS
    ]


def in_the_way(network: DesiredNetwork, forwarding: Forwarding) -> list[Barrier]:
    """Chains that drop packets of the network."""
    return [
        barrier
        for barrier in forwarding.barriers
        if any(version in FAMILIES[barrier.family] for version in _versions(network))
        and not barrier.passes(network.device)
    ]


def opening(barrier: Barrier, device: str) -> str:
    """The command that lets a device through."""
    if barrier.by_ufw:
        return f"ufw route allow in on {device}; ufw route allow out on {device}"
    if barrier.table == "filter" and barrier.name == "FORWARD" and barrier.family != "inet":
        tool = "iptables" if barrier.family == "ip" else "ip6tables"
        return f"{tool} -I FORWARD -i {device} -j ACCEPT; {tool} -I FORWARD -o {device} -j ACCEPT"
    where = f"{barrier.family} {barrier.table} {barrier.name}"
    return "; ".join(f"nft insert rule {where} {way} {device} accept" for way in WAYS)


def encode(accept: Accept, before: int) -> str:
    """The command that adds a rule: before the one with this handle, at the end without (0)."""
    where = f"{accept.family} filter {DOCKER_USER}"
    verb = f"insert rule {where} position {before}" if before else f"add rule {where}"
    return f'{verb} {accept.way} "{accept.device}" counter accept comment "{MARK}"\n'


def encode_removal(accept: Accept) -> str:
    """The command that takes away a rule that is there."""
    return f"delete rule {accept.family} filter {DOCKER_USER} handle {accept.handle}\n"


def base_chains(chains: Iterable[Mapping[str, Any]], own: str) -> list[Mapping[str, Any]]:
    """Those at hook forward, but for the ones in our own table."""
    return [
        chain
        for chain in chains
        if chain.get("hook") == "forward"
        and chain["family"] in FAMILIES
        and (chain["family"], chain["table"]) != ("inet", own)
    ]


def docker_chains(chains: Iterable[Mapping[str, Any]]) -> list[str]:
    """Families in which docker has its chain for rules of others."""
    return [
        chain["family"]
        for chain in chains
        if chain["name"] == DOCKER_USER and chain["table"] == "filter" and chain["family"] in ("ip", "ip6")
    ]


def barrier(chain: Mapping[str, Any], rules: Sequence[Rule], follow: Follow) -> Barrier | None:
    """What a base chain stops; None when it lets through what it does not know, or asks docker's chain."""
    asked = [_target(rule) for rule in rules if not _conditions(rule)]
    if DOCKER_USER in asked:
        return None
    loses = chain.get("policy") == "drop" or bool(rules and _is_final(rules[-1], LOSES))
    if not loses:
        return None
    accepts = frozenset(_let_through(rules, follow))
    by_ufw = any(target in UFW for target in asked)
    return Barrier(chain["family"], chain["table"], chain["name"], accepts, by_ufw)


def docker_user(family: str, rules: Sequence[Rule]) -> tuple[int, list[Accept]]:
    """Handle of the first rule that lets nothing past it (0: none), and our rules."""
    accepts: list[Accept] = []
    end = 0
    for rule in rules:
        if not end and _is_final(rule, ("return", "accept", *LOSES)):
            end = int(rule["handle"])
        if rule.get("comment") == MARK:
            for way, device in _accepted(rule):
                spare = bool(end) or Accept(family, way, device) in accepts
                accepts.append(Accept(family, way, device, int(rule["handle"]), spare))
    return end, accepts


def _versions(network: DesiredNetwork) -> set[int]:
    return {6 if ":" in cidr else 4 for cidr in network.subnets}


def _let_through(rules: Iterable[Rule], follow: Follow) -> Iterator[tuple[str, str]]:
    """Way and device of what is accepted here, or in a chain that this one leads to, for the device alone."""
    for rule in rules:
        if _is_final(rule, (*LOSES, "return")):
            return
        yield from _accepted(rule)
        if target := _target(rule):
            if not _conditions(rule):
                yield from _let_through(follow(target), follow)
            elif _opens(follow(target), follow):
                yield from _devices(rule)
        if "goto" in _statements(rule) and not _conditions(rule):
            return


def _opens(rules: Iterable[Rule], follow: Follow) -> bool:
    """Whether a chain accepts whatever comes."""
    for rule in rules:
        if _conditions(rule):
            continue
        if "accept" in _statements(rule):
            return True
        if _is_final(rule, (*LOSES, "return")):
            return False
        if (target := _target(rule)) and _opens(follow(target), follow):
            return True
    return False


def _accepted(rule: Rule) -> list[tuple[str, str]]:
    """Way and devices of a rule that accepts by the device alone; of one that accepts all, every device."""
    if "accept" not in _statements(rule):
        return []
    return _devices(rule) if _conditions(rule) else [(way, "*") for way in WAYS]


def _devices(rule: Rule) -> list[tuple[str, str]]:
    """Way and devices that a rule asks for; none when it asks for anything else, too."""
    conditions = _conditions(rule)
    if len(conditions) != 1 or "match" not in conditions[0]:
        return []
    match = conditions[0]["match"]
    left, devices = match["left"], match["right"]
    way = left.get("meta", {}).get("key") if isinstance(left, dict) else None
    if way not in WAYS or match["op"] not in ("==", "in"):
        return []
    several = devices.get("set", []) if isinstance(devices, dict) else [devices]
    return [(way, device) for device in several if isinstance(device, str) and not device.startswith("@")]


def _conditions(rule: Rule) -> list[Mapping[str, Any]]:
    """Statements on which it depends whether the rule does what it says (``xt``: a match of iptables)."""
    return [one for one in rule["expr"] if not one.keys() <= UNCONDITIONAL]


def _is_final(rule: Rule, verdicts: Iterable[str]) -> bool:
    """Whether a rule says so of every packet."""
    return not _conditions(rule) and any(verdict in _statements(rule) for verdict in verdicts)


def _target(rule: Rule) -> str:
    """The chain that it leads to; empty: none."""
    leads = (one.get("jump") or one.get("goto") for one in rule["expr"])
    return next((lead["target"] for lead in leads if lead), "")


def _statements(rule: Rule) -> set[str]:
    return {kind for one in rule["expr"] for kind in one}
