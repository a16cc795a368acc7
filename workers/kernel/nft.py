"""The door to nftables: libnftables by ctypes, text in and text out. No process is started.

    replace    make the table what a text defines, by what differs (``tables``): no packet sees half of
               it, and a refused one leaves the old rules
    bring      the same, from how nft would list it
    listing    the table as nft writes it, without counters
    objects    whatever nft lists, as JSON, with handles
    carry_out  single commands, for rules in tables of others
    generation a number that grows with every change of any ruleset
    canonical  how nft would list a text: it is loaded in a network namespace of a thread
               that ends, so no table of nft's spellings has to be kept

Listings are compared, not what was written: nft sorts, merges and renames. Source:
libnftables(3).
"""

import ctypes
import json
import logging
from functools import lru_cache
from types import TracebackType
from typing import Any, Self

from workers.kernel import namespaces, tables
from workers.kernel.rulesets import Rulesets
from workers.kernel.tables import Listed

log = logging.getLogger("netadmin.nft")
STATELESS, HANDLE, JSON = 1 << 2, 1 << 3, 1 << 4


class NftError(Exception):
    """nft refused; the message is its own, on one line."""


class Nft:
    """One context for one thread, in the network namespace it was made in."""

    def __init__(self) -> None:
        self._library = _library()
        self._context = self._library.nft_ctx_new(0)
        self._library.nft_ctx_buffer_output(self._context)
        self._library.nft_ctx_buffer_error(self._context)
        self._library.nft_ctx_output_set_flags(self._context, STATELESS)
        self._rulesets = Rulesets()
        self._listed: dict[str, tuple[int, str]] = {}

    def replace(self, table: str, text: str) -> None:
        """Make ``table`` what ``text`` defines, whatever is there; raises NftError."""
        self.bring(table, tables.parse(self.canonical(table, text)))

    def bring(self, table: str, wanted: Listed) -> bool:
        """Make ``table`` this one, whatever is there; whether it was another. Raises NftError."""
        present = tables.parse(self.listing(table))
        if present == wanted:
            return False
        try:
            for commands in tables.transactions(table, present, wanted):
                self._run(commands)
        except NftError as error:  # what somebody put there is more than its listing tells
            log.warning("table %s is made anew, as it cannot be changed: %s", table, error)
        if tables.parse(self.listing(table)) != wanted:
            self._run(tables.whole(table, str(wanted)))
        return True

    def remove(self, table: str) -> None:
        """Take the table away; raises NftError."""
        self._run(f"delete table inet {table}\n")

    def listing(self, table: str) -> str:
        """The table as nft writes it; empty when there is none. Listed again only when a ruleset changed."""
        generation = self.generation()
        if self._listed.get(table, (-1, ""))[0] != generation:
            there = f"table inet {table}\n" in self._run("list tables inet\n")
            self._listed[table] = generation, self._run(f"list table inet {table}\n") if there else ""
        return self._listed[table][1]

    def objects(self, command: str, kind: str) -> list[dict[str, Any]]:
        """What a list command shows of one kind (libnftables-json(5)); raises NftError."""
        self._library.nft_ctx_output_set_flags(self._context, STATELESS | HANDLE | JSON)
        try:
            listed = json.loads(self._run(f"{command}\n"))["nftables"]
        finally:
            self._library.nft_ctx_output_set_flags(self._context, STATELESS)
        return [one[kind] for one in listed if kind in one]

    def carry_out(self, commands: str) -> None:
        """All of them or none; raises NftError."""
        self._run(commands)

    def generation(self) -> int:
        """Of the rulesets of this network namespace; raises OSError."""
        return self._rulesets.generation()

    def canonical(self, table: str, text: str) -> str:
        """How nft lists ``text`` once it is loaded; raises NftError when it would refuse it."""
        return _canonical(table, text)

    def close(self) -> None:
        self._library.nft_ctx_free(self._context)
        self._rulesets.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, commands: str) -> str:
        if self._library.nft_run_cmd_from_buffer(self._context, commands.encode()):
            said: bytes = self._library.nft_ctx_get_error_buffer(self._context)
            lines = said.decode(errors="replace").splitlines()
            errors = [line.partition("Error: ")[2] for line in lines if "Error: " in line]
            raise NftError("; ".join(errors or lines) or "nft refused without a word")
        output: bytes = self._library.nft_ctx_get_output_buffer(self._context)
        return output.decode()


@lru_cache(maxsize=8)
def _canonical(table: str, text: str) -> str:
    def load() -> str:
        with Nft() as nft:
            nft.carry_out(tables.whole(table, text))
            return nft.listing(table)

    return namespaces.fresh(load)


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL("libnftables.so.1")
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_get_output_buffer.restype = ctypes.c_char_p
    library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
    context = [ctypes.c_void_p]
    library.nft_ctx_new.argtypes = [ctypes.c_uint32]
    library.nft_ctx_output_set_flags.argtypes = [*context, ctypes.c_uint]
    library.nft_run_cmd_from_buffer.argtypes = [*context, ctypes.c_char_p]
    for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error", "nft_ctx_free"):
        getattr(library, name).argtypes = context
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(library, name).argtypes = context
    return library
