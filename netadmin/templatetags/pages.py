"""How things are written on a page: times, numbers, status words, bars, differences."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import template
from django.core.paginator import Page
from django.template import Context
from django.utils.html import format_html
from django.utils.safestring import SafeString

from netadmin import roles

register = template.Library()

READABLE = 2**33
SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
CAPABILITIES = {"cni_plugins": "CNI plugins in", "cni_config": "CNI files in"}

GLYPHS = {
    "up": "●",
    "converged": "●",
    "probing": "◐",
    "converging": "◐",
    "mtu": "◒",
    "cut": "✕",
    "problem": "▲",
    "silent": "○",
    "new": "+",
    "waiting": "○",
    "off": "–",
    "full": "▲",
    "down": "✕",
    "pending": "◐",
    "unknown": "?",
    "attached": "●",
    "requested": "◐",
    "releasing": "◌",
    "broken": "▲",
    "failed": "▲",
    "reserved": "□",
    "declined": "▲",
    "lost": "?",
}
"""Beside the word, so that colour is never the only sign."""


@register.filter
def has_role(user: Any, role: str) -> bool:
    """Whether the user's role includes ``role``; nobody: no."""
    return bool(user) and roles.has_role(user, role)


@register.filter
def role(user: Any) -> str:
    return roles.role_of(user) or "no role"


@register.simple_tag
def status(word: str) -> SafeString:
    """A status word with its sign."""
    return format_html(
        '<span class="status is-{}"><span aria-hidden="true">{}</span> {}</span>', word, GLYPHS[word], word
    )


@register.simple_tag
def pair_sign(cell: Any) -> SafeString:
    """A field of the matrix of pairs: sign, and the number that matters."""
    worst = cell.worst
    numbers = {"up": f"{worst.rtt:.2f}", "mtu": str(worst.largest)} if worst else {}
    return format_html(
        '<span aria-hidden="true">{}</span> <span class="value">{}</span><span class="spoken"> {}</span>',
        GLYPHS[cell.state],
        numbers.get(cell.state, worst.code if worst else ""),
        cell.state,
    )


@register.simple_tag
def percent(share: float) -> str:
    """0.333 as 33%."""
    return f"{100 * share:.0f}%"


@register.filter
def why(row: Any, reasons: Any) -> str:
    """What the reasons say of a row."""
    text: str = reasons.of(row)
    return text


@register.filter
def moment(at: datetime | None) -> SafeString | str:
    """A time; ``live.js`` writes it as "4 s ago" and keeps that true."""
    if at is None:
        return "never"
    text = f"{at:%Y-%m-%d %H:%M:%S} UTC"
    return format_html('<time datetime="{}" title="{}" data-ago>{}</time>', at.isoformat(), text, text)


@register.filter
def version(digest: str) -> SafeString | str:
    """A version of a document, short enough to compare by eye."""
    return format_html('<code title="{}">{}</code>', digest, digest[:8]) if digest else "none"


@register.filter
def grouped(number: int) -> str:
    """65536 as 65 536, with narrow spaces that do not break; what nobody can read as a power of two."""
    if number < READABLE:
        return f"{number:,}".replace(",", "\u202f")
    return "2" + str(round(math.log2(number))).translate(SUPERSCRIPT)


@register.filter
def listed(value: Any) -> str:
    """A list as words with commas between; anything else as text."""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


@register.filter
def capability(name: str) -> str:
    """What a worker calls a capability, in words."""
    return CAPABILITIES.get(name, name.replace("_", " ").capitalize())


@register.filter
def pretty(content: str) -> str:
    """A JSON file as a person reads it; anything else as it is."""
    try:
        return json.dumps(json.loads(content), indent=2)
    except ValueError:
        return content


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a bar."""

    word: str
    start: str
    width: str


@register.inclusion_tag("_bar.html")
def bar(counts: Mapping[str, int], total: int) -> dict[str, Any]:
    """A bar of status words and how many of ``total`` each has; the words stand beside it."""
    parts, start = [], 0.0
    for word in GLYPHS:
        if total and (count := counts.get(word, 0)):
            parts.append(Part(word, f"{start:.2f}", f"{100 * count / total:.2f}"))
            start += 100 * count / total
    return {"parts": parts}


@register.inclusion_tag("_bar.html")
def level(total: int, *taken: int) -> dict[str, Any]:
    """A bar of the largest of these numbers; the smallest one that is not 0 can still be seen."""
    share = 100 * max(taken) / total if total else 0
    word = "full" if share >= 90 else "used"
    return {"parts": [Part(word, "0", f"{min(max(share, 1), 100):.2f}")] if share else []}


@register.filter
def others(counts: Mapping[str, int]) -> str:
    """The words that are not yet, or no more, what they should be: "1 converging, 2 silent"."""
    return ", ".join(
        f"{counts[word]} {word}" for word in GLYPHS if word not in ("converged", "up") and counts.get(word)
    )


@dataclass(frozen=True, slots=True)
class Difference:
    """One line of what an event changed."""

    name: str
    before: str
    after: str


@register.filter
def differences(event: Any) -> list[Difference]:
    """What an event changed, line by line; a list of sentences has no names."""
    before, after = event.before, event.after
    if isinstance(before or after, list):
        return _sentences(before or [], after or [])
    before, after = before or {}, after or {}
    names = sorted({**before, **after})  # PostgreSQL keeps another order than SQLite
    lines = [Difference(name, _text(before.get(name)), _text(after.get(name))) for name in names]
    return [line for line in lines if line.before != line.after]


def _sentences(before: Iterable[str], after: Iterable[str]) -> list[Difference]:
    gone = [Difference("", text, "") for text in before if text not in after]
    return gone + [Difference("", "", text) for text in after if text not in before]


def _text(value: Any) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {part}" for name, part in value.items())
    return str(value)


@register.inclusion_tag("_parts.html", takes_context=True)
def parts(context: Context, part: Page[Any], label: str, parameter: str = "page") -> dict[str, Any]:
    """Links to the part of a long table before and after this one; the rest of the query stays."""

    def link(number: int) -> str:
        query = context["request"].GET.copy()
        query[parameter] = str(number)
        return f"?{query.urlencode()}#{parameter}"

    return {
        "part": part,
        "label": label,
        "previous": link(part.previous_page_number()) if part.has_previous() else "",
        "next": link(part.next_page_number()) if part.has_next() else "",
    }
