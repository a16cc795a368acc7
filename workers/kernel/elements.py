"""The wire format of what sets and maps of nftables hold, and of the batches that change it. Pure.

    batch begin (number of the ruleset) | delete elements of one set | add elements of one set | batch end

    nlmsghdr | nfgenmsg | table, set, list of elements: key, end of its range, data

A key or value of several parts has each in whole registers of 4 bytes, in network order. The kernel
takes a batch as a whole or not at all. Only elements are written so, since they come and go with
containers; a table itself is text for libnftables. Sources: linux/netfilter/nf_tables.h
(``nft_set_elem_attributes``), linux/netfilter/nfnetlink.h (``NFNL_MSG_BATCH_BEGIN``, ``NFNL_BATCH_GENID``).
"""

import struct
from collections.abc import Iterable, Iterator
from enum import IntEnum
from itertools import groupby, islice
from typing import NamedTuple

from workers.kernel.messages import Flag, Request, attribute, nested, text

BATCH = 256
"""Elements in one message: an attribute holds 64 KiB."""
NFPROTO_INET = 1
SUBSYSTEM = 10
"""NFNL_SUBSYS_NFTABLES."""
BATCH_GENID = 1
LIST_TABLE, LIST_SET, LIST_ELEMENTS = 1, 2, 3
LIST_ELEM = 1
KEY, DATA, KEY_END = 1, 2, 10
DATA_VALUE = 1
REGISTER = 4


class Kind(IntEnum):
    """Of a message to the rulesets."""

    BATCH_BEGIN = 16
    BATCH_END = 17
    NEWSETELEM = SUBSYSTEM << 8 | 12
    DELSETELEM = SUBSYSTEM << 8 | 14
    GETGEN = SUBSYSTEM << 8 | 16


class Element(NamedTuple):
    """One of a set or map."""

    holder: str
    """Name of the set or map."""
    text: str
    """As nft lists it."""
    key: bytes
    end: bytes = b""
    """Key at the other end of the range, where the set is of intervals."""
    data: bytes = b""
    """What the key stands for, where it is a map."""


def joined(*parts: bytes) -> bytes:
    """A key or value of several parts, each in network order."""
    return b"".join(part + bytes(-len(part) % REGISTER) for part in parts)


def changes(table: str, present: frozenset[Element], wanted: frozenset[Element]) -> list[Request]:
    """From one to the other, for one batch: what goes comes first, so a key may change its value."""
    gone = _messages(Kind.DELSETELEM, Flag(0), table, present - wanted)
    come = _messages(Kind.NEWSETELEM, Flag.CREATE, table, wanted - present)
    return [*gone, *come]


def begin(generation: int) -> Request:
    """Of a batch that the kernel takes only while the number of its ruleset is ``generation``."""
    expected = attribute(BATCH_GENID, struct.pack(">I", generation))
    return Request(Kind.BATCH_BEGIN, Flag(0), _head(0, SUBSYSTEM) + expected)


def end() -> Request:
    return Request(Kind.BATCH_END, Flag(0), _head(0, SUBSYSTEM))


def _messages(kind: Kind, flags: Flag, table: str, which: Iterable[Element]) -> Iterator[Request]:
    for holder, listed in groupby(sorted(which), key=lambda one: one.holder):
        while encoded := b"".join(_element(one) for one in islice(listed, BATCH)):
            named = text(LIST_TABLE, table) + text(LIST_SET, holder)
            yield Request(kind, flags, _head(NFPROTO_INET, 0) + named + nested(LIST_ELEMENTS, encoded))


def _element(one: Element) -> bytes:
    body = _data(KEY, one.key)
    if one.data:
        body += _data(DATA, one.data)
    if one.end:
        body += _data(KEY_END, one.end)
    return nested(LIST_ELEM, body)


def _data(kind: int, value: bytes) -> bytes:
    return nested(kind, attribute(DATA_VALUE, value))


def _head(family: int, resource: int) -> bytes:
    """nfgenmsg: family, version, resource (of a batch: the subsystem)."""
    return struct.pack(">BBH", family, 0, resource)
