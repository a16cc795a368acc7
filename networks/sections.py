"""A service's configuration, as the reference writes it -> what it asks for; pure.

    [container#0]
    type = docker
    name = web

    [ip#0]
    type = cni
    network = weave1
    netns = container#0
    expose = 80/tcp

Read for one node: ``kw@NODE`` wins there. Only ip resources of type cni are ours; whatever else there is
is passed over, and named. ``container#0`` is looked up in the same text: ``docker:web``.
"""

import re
from collections.abc import Iterable, Mapping
from configparser import (
    DuplicateOptionError,
    DuplicateSectionError,
    MissingSectionHeaderError,
    ParsingError,
    RawConfigParser,
)
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from netadmin.problems import Fault, Problem
from networks import resources
from networks.resources import MOST, Ask

COLUMNS = {
    "network": "network", "netns": "netns", "container_rid": "netns", "nsdev": "interface",
    "ipdev": "interface", "expose": "expose", "ipname": "wanted", "hostname": "hostname",
    "dns_name_suffix": "dns_name_suffix", "wait_dns": "wait_dns",
}  # fmt: skip
"""Keywords of an ip resource of type cni, the older ones too, and what they give."""
OF_EVERY_RESOURCE = frozenset(
    {
        *("always_on", "comment", "disable", "encap", "monitor", "optional", "provision", "restart"),
        *("restart_delay", "shared", "standby", "start_requires", "stop_requires", "subset", "tags", "type"),
        *("unprovision", "pre_start", "post_start", "pre_stop", "post_stop", "pre_provision"),
        *("blocking_pre_start", "blocking_post_start", "blocking_pre_stop", "blocking_post_stop"),
    }
)
"""Keywords that say when and how a resource is started: not our business."""
CONTAINER = "container#"
"""Of a section that says which container a resource is in."""
RUNTIMES = {"docker": "docker", "podman": "podman", "lxc": "lxc", "oci": "container"}
"""Types of containers, and how their namespaces are named; ``oci`` is docker or podman."""
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}
DURATION = re.compile(r"(?P<number>\d{1,6}(?:\.\d{1,3})?)(?P<unit>[smh]?)")
REFERENCE = re.compile(r"\{([^{}]*)\}")
MOST_BYTES = 256 * 1024
TRUE = ("true", "yes", "1", "on")


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a service's text asks for on one node."""

    asked: tuple[Ask, ...]
    passed_over: tuple[str, ...]
    """Sentences: which sections are not ours, and why."""


def read(text: str, service: str, node: str) -> Configuration:
    """Raises Problem with every fault found."""
    service = resources.path(service)
    scope = _Scope(_parsed(text), service, node)
    asked: list[Ask] = []
    passed: list[str] = []
    faults: list[Fault] = []
    for section in scope.sections:
        try:
            if why := scope.not_ours(section):
                passed.append(f"[{section}]: {why}")
                continue
            values = _values(scope, section)
            resources.canonical(values)
            asked.append(Ask(service, resources.resource(section), node, values))
        except Problem as problem:
            faults += (problem if _is_placed(problem, section) else problem.under(section)).faults
    if len(asked) > MOST:
        remedy = f"Divide the service: at most {MOST} are asked for at once"
        faults.append(
            Fault("text", f"{len(asked)} ip resources", "are more than one request may have", remedy)
        )
    if faults:
        raise Problem(*faults)
    return Configuration(tuple(asked), tuple(passed))


class _Scope:
    """The sections of a service as one node has them."""

    def __init__(self, sections: Mapping[str, Mapping[str, str]], service: str, node: str) -> None:
        self._sections = {name: _on(node, given) for name, given in sections.items()}
        namespace, _, name = service.split("/")
        self._known = {
            "name": name, "svcname": name, "namespace": namespace, "nodename": node, "path": service,
        }  # fmt: skip

    @property
    def sections(self) -> Iterable[str]:
        """All but what is read for others: the defaults, and containers that ip resources name."""
        return (name for name in self._sections if name != "DEFAULT" and not name.startswith(CONTAINER))

    @property
    def containers(self) -> list[str]:
        return [name for name in self._sections if name.startswith(CONTAINER)]

    def has(self, section: str) -> bool:
        return section in self._sections

    def keywords(self, section: str) -> dict[str, str]:
        """What is given in a section, as this node has it, references put in."""
        return {keyword: self.keyword(section, keyword) for keyword in self._sections[section]}

    def keyword(self, section: str, keyword: str) -> str:
        """One of them, empty unless given. Others may have references that nobody here knows."""
        return self._put_in(f"{section}.{keyword}", self._sections[section].get(keyword, ""))

    def not_ours(self, section: str) -> str:
        """Why a section is passed over; empty: it is ours."""
        kind = section.partition("#")[0]
        if kind != "ip":
            return "is no ip resource"
        if self.keyword(section, "disable").lower() in TRUE:
            return "is disabled"
        type = self.keyword(section, "type")
        return "" if type == "cni" else f"is of type {type or 'ip'}, not cni"

    def _put_in(self, keyword: str, text: str) -> str:
        def known(found: re.Match[str]) -> str:
            if found[1] not in self._known:
                remedy = f"Write what it stands for; known are {', '.join(sorted(self._known))}"
                raise Problem(Fault(keyword, text, f"{found[0]} is no reference that is known here", remedy))
            return self._known[found[1]]

        return REFERENCE.sub(known, text) if keyword.rpartition(".")[2] in _REFERRING else text


def _on(node: str, given: Mapping[str, str]) -> dict[str, str]:
    """A section as one node has it."""
    plain = {keyword: text for keyword, text in given.items() if "@" not in keyword}
    scoped = [(keyword.split("@", 1), text) for keyword, text in given.items() if "@" in keyword]
    return {**plain, **{keyword: text for (keyword, of), text in scoped if of == node}}


_REFERRING = frozenset((*COLUMNS, "name", "type"))


def _parsed(text: str) -> dict[str, dict[str, str]]:
    if len(text.encode(errors="replace")) > MOST_BYTES:
        raise Problem(
            Fault("text", "...", f"has more than {MOST_BYTES} bytes", "Give the service's configuration")
        )
    parser = RawConfigParser(
        delimiters=("=",), comment_prefixes=("#", ";"), default_section="", interpolation=None
    )
    parser.optionxform = str.strip  # type: ignore[assignment, method-assign]
    try:
        parser.read_string(text)
    except (DuplicateSectionError, DuplicateOptionError) as error:
        name = f"[{error.section}]" + (f" {error.option}" if isinstance(error, DuplicateOptionError) else "")
        raise Problem(
            Fault("text", name, f"is there twice, again in line {error.lineno}", "Keep one")
        ) from error
    except ParsingError as error:
        raise Problem(_unreadable(error)) from error
    return {section: dict(parser[section]) for section in parser.sections()}


def _unreadable(error: ParsingError) -> Fault:
    remedy = "Write [ip#0], and KEYWORD = VALUE in lines of their own"
    if isinstance(error, MissingSectionHeaderError):
        return Fault("text", error.line.strip()[:80], f"is in no section, in line {error.lineno}", remedy)
    number, line = error.errors[0]
    text = line.strip("'").removesuffix("\\n")
    return Fault("text", text[:80], f"is neither a section nor a keyword, in line {number}", remedy)


def _values(scope: _Scope, section: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for keyword, text in scope.keywords(section).items():
        if keyword in OF_EVERY_RESOURCE:
            continue
        if keyword not in COLUMNS:
            raise Problem(Fault(keyword, text, "is no keyword of an ip resource of type cni", _near(keyword)))
        values[COLUMNS[keyword]] = _value(keyword, text)
    container = values.get("netns", "")
    if container.startswith(CONTAINER):
        values["netns"], hostname = _container(scope, container)
        values.setdefault("hostname", hostname)
    return values


def _value(keyword: str, text: str) -> Any:
    if keyword in ("expose", "ipname"):
        return text.replace(",", " ").split()
    if keyword != "wait_dns":
        return text
    found = DURATION.fullmatch(text)
    if not found:
        raise Problem(
            Fault(keyword, text, "is no duration", "Give seconds, or a number with s, m or h, like 30s")
        )
    return float(found["number"]) * UNITS[found["unit"]]


def _container(scope: _Scope, section: str) -> tuple[str, str]:
    """How the namespace of a container is named, and its host name. A text without containers names one as
    the node knows it; in a text that has some, another one is misspelt."""
    if not scope.has(section):
        if scope.containers:
            there = " and ".join(f"[{one}]" for one in scope.containers)
            remedy = f"There is {there}; correct it, or name the container itself, like docker:web"
            raise Problem(Fault("netns", section, "is no resource of this service", remedy))
        return section, ""
    kind, name, hostname = (scope.keyword(section, keyword) for keyword in ("type", "name", "hostname"))
    if kind not in RUNTIMES:
        why = f"is of type {kind or 'none'}, whose namespace cannot be found"
        raise Problem(Fault("netns", section, why, f"Known are {', '.join(RUNTIMES)}"))
    separator = "#" if RUNTIMES[kind] == "container" else ":"
    return f"{RUNTIMES[kind]}{separator}{name}" if name else section, hostname


def _near(keyword: str) -> str:
    known = sorted(COLUMNS)
    close = get_close_matches(keyword, known, n=1)
    return f"Did you mean {close[0]}? Known: {', '.join(known)}" if close else f"Known: {', '.join(known)}"


def _is_placed(problem: Problem, section: str) -> bool:
    return all(fault.field.startswith(f"{section}.") for fault in problem.faults)
