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

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workers.document import DesiredNetwork
from workers.host import WAYS, Barrier, Forwarding

FAMILIES: Mapping[str, tuple[int, ...]] = {"ip": (4,), "ip6": (6,), "inet": (4, 6)}
"""Families of nft tables that see IP packets, and the versions that they see."""
DOCKER_USER = "DOCKER-USER"
MARK = "netadmin"
LOSES = ("drop", "reject")

Rule = Mapping[str, Any]
"""A rule as libnftables writes it (libnftables-json(5))."""


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
    network: str = field(default="", compare=False)

    @property
    def key(self) -> tuple[str, str, str, str]:
        return ("accept", self.family, self.way, self.device)

    @property
    def needs(self) -> str:
        """None: a rule outlives the device it names."""
        return ""

    def __str__(self) -> str:
        return f"rule {self.family} filter {DOCKER_USER} {self.way} {self.device} accept"


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


def barrier(chain: Mapping[str, Any], rules: Sequence[Rule]) -> Barrier | None:
    """What a base chain stops; None when it lets through what it does not know, or asks docker's chain."""
    if any(_verdict(rule) == ("jump", DOCKER_USER) for rule in rules):
        return None
    loses = chain.get("policy") == "drop" or bool(rules and _is_final(rules[-1], LOSES))
    if not loses:
        return None
    accepts = frozenset(matched for rule in rules for matched in _accepted(rule))
    return Barrier(chain["family"], chain["table"], chain["name"], accepts)


def docker_user(family: str, rules: Sequence[Rule]) -> tuple[int, list[Accept]]:
    """Handle of the final return (0: none), and our rules before it."""
    accepts: list[Accept] = []
    for rule in rules:
        if _is_final(rule, ("return",)):
            return int(rule["handle"]), accepts
        if rule.get("comment") == MARK:
            accepts += [Accept(family, way, device, int(rule["handle"])) for way, device in _accepted(rule)]
    return 0, accepts


def _versions(network: DesiredNetwork) -> set[int]:
    return {6 if ":" in cidr else 4 for cidr in network.subnets}


def _accepted(rule: Rule) -> list[tuple[str, str]]:
    """Way and devices of a rule that accepts by the device alone."""
    matches = [one["match"] for one in rule["expr"] if "match" in one]
    if not _is_verdict(rule, "accept") or len(matches) != 1:
        return []
    way, devices = matches[0]["left"].get("meta", {}).get("key"), matches[0]["right"]
    if way not in WAYS or matches[0]["op"] not in ("==", "in"):
        return []
    several = devices.get("set", []) if isinstance(devices, dict) else [devices]
    return [(way, device) for device in several if isinstance(device, str)]


def _is_final(rule: Rule, verdicts: Iterable[str]) -> bool:
    """Whether a rule says so of every packet."""
    conditions = [one for one in rule["expr"] if "match" in one or "xt" in one]
    return not conditions and any(_is_verdict(rule, verdict) for verdict in verdicts)


def _is_verdict(rule: Rule, verdict: str) -> bool:
    return any(verdict in one for one in rule["expr"])


def _verdict(rule: Rule) -> tuple[str, str]:
    return next((("jump", one["jump"]["target"]) for one in rule["expr"] if "jump" in one), ("", ""))
