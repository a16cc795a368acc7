"""One attachment from what is to what must be: one step at a time, each safe to repeat.

    attach   namespace held -> ports claimed -> journal -> ADD -> journal -> ports mapped
             any failure: DEL down the whole list, whatever the plugins say
    look     what is there, by ourselves, at times by CHECK too: mended, or detached and attached again
    detach   ports unmapped -> DEL -> journal -> the service's own namespace

A step that was interrupted is known by its journal entry without a result, and is undone first.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from workers.attaching import chain, netns, places, refusals, sight
from workers.attaching.chain import NotAnswered, PluginError
from workers.attaching.entry import Entry
from workers.attaching.hostports import HostPorts, PortTaken
from workers.attaching.journal import Journal
from workers.attaching.netns import Namespace, NotThere, Unfit
from workers.attaching.preparing import prepared
from workers.config import Settings
from workers.document import Document
from workers.holdings import ATTACHED, BROKEN, FAILED, RELEASING, WAITING, Attachment, Standing
from workers.kernel import namespaces

log = logging.getLogger("netadmin.attaching")


class NotAttached(Exception):
    """ADD failed, in the words of the plugin."""

    def __init__(self, error: PluginError, left: Entry | None) -> None:
        super().__init__(str(error))
        self.left = left
        """What DEL did not undo either."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attachment is, and what there is of it."""

    entry: Entry | None
    standing: Standing | None
    """None: it is gone, and nothing is left of it."""
    renew: bool = False
    """Whether only another attachment helps. What could not be looked at is no reason to take it away."""


class Attacher:
    """For any thread; one at a time for each attachment."""

    def __init__(
        self, settings: Settings, journal: Journal, ports: HostPorts, in_force: Callable[[], Document | None]
    ) -> None:
        self._settings = settings
        self._journal = journal
        self._ports = ports
        self._in_force = in_force
        self._leaving = threading.Lock()

    def settle(self, wanted: Attachment, entry: Entry | None, check: bool) -> Outcome:
        """Make one step towards ``wanted``; ``check``: the plugins are asked too.

        Raises OSError, NftError.
        """
        if entry is None or entry.detached:
            return self._attach(wanted, entry)
        if not entry.result or _moved(entry, wanted):
            return self.renew(wanted, entry)
        if entry.attachment != wanted:
            return self._renamed(wanted, entry)
        return self._look(entry, check)

    def renew(self, wanted: Attachment, entry: Entry) -> Outcome:
        """Detach and attach again. A complaint of DEL is no hindrance, unless its interface or a lease is
        still there: another one would forget them, and two could have one address. Raises OSError, NftError.
        """
        errors = self._detach(entry)
        for error in errors:
            log.warning("%s: %s", _name(wanted), error)
        if errors and (left := _left(entry)):
            state, why = _undetached(entry, wanted), f"{errors[0]}; {left}"
            if entry.result:
                self._ports.put(entry)  # it may serve yet
            return Outcome(entry, _standing(entry, state, why, "It is tried again"), renew=True)
        held = tuple(str(one.ip) for one in entry.addresses) or entry.asked
        mac = entry.mac or entry.asked_mac
        parked = replace(entry, asked=held, asked_mac=mac, result="", detached=True)
        self._journal.write(parked)
        return self._attach(wanted, parked)

    def release(self, key: str, entry: Entry | None, needed: bool) -> Outcome:
        """Detach for good; ``needed``: another one of the service is to be in its own namespace.

        Raises OSError, NftError.
        """
        errors = self._detach(entry) if entry and not entry.detached else []
        if entry and errors:
            return Outcome(entry, _standing(entry, RELEASING, str(errors[0]), "It is tried again"))
        with self._leaving:  # of two that leave at once, the second sees that it is the last
            if entry and not needed:
                self._remove_own(entry)
            self._ports.free(key)
            self._journal.remove(key)
        return Outcome(None, None)

    def settle_connections(self, before: Entry | None, after: Entry | None) -> None:
        """UDP clients of its host ports follow it to where it is now."""
        if after and after.result and after != before:
            with _connections_apart():
                self._ports.settle(after)

    @staticmethod
    def as_left(entry: Entry) -> Standing | None:
        """How an earlier process left it, until it is looked at."""
        return _standing(entry, ATTACHED) if entry.result else None

    @staticmethod
    def interrupted(key: str, entry: Entry | None, why: str) -> Outcome:
        """A step could not be carried out for what is not its own fault; the next one sees what there is."""
        if entry and entry.result:
            return Outcome(entry, _standing(entry, BROKEN, why, "It is looked at again"))
        return Outcome(entry, Standing(key, FAILED, why=why, remedy="It is tried again"))

    # -- attach

    def _attach(self, wanted: Attachment, before: Entry | None) -> Outcome:
        """``before``: how it was attached last; it gets the same addresses where they are free."""
        if before:
            self._leave(before, wanted)
        try:
            self._ports.claim(wanted)
            entry = prepared(wanted, before, self._in_force(), self._settings)
            before = self._announced(entry, before)
            with netns.find(wanted, self._settings.netns_dir) as namespace:
                return self._add(_placed(entry, namespace), namespace)
        except NotThere as error:
            return Outcome(before, _without(wanted, WAITING, error, "It is attached as soon as it is there"))
        except PortTaken as error:
            return Outcome(
                before, _without(wanted, FAILED, error, "Take another host port, or release that one")
            )
        except Unfit as error:
            return Outcome(before, _without(wanted, FAILED, error, error.remedy))
        except NotAttached as error:
            remedy = refusals.remedy(str(error), wanted.network, self._settings.node)
            return Outcome(error.left or before, _without(wanted, FAILED, error, remedy))

    def _announced(self, entry: Entry, before: Entry | None) -> Entry | None:
        """The namespace of the service's own is in the journal before it is made."""
        wanted = entry.attachment
        own = "" if wanted.netns else places.own_name(wanted.service)
        if not own or (before and before.own == own):
            return before
        announced = replace(entry, own=own, detached=True)
        self._journal.write(announced)
        return announced

    def _add(self, entry: Entry, namespace: Namespace) -> Outcome:
        name = entry.attachment.interface
        if sight.inside(namespace.descriptor, name):
            why = f"{namespace.title} has an interface {name} already, which is not ours"
            raise Unfit(why, "Give the attachment another interface name")
        made = self._added(entry, namespace)
        self._ports.put(made)
        return Outcome(made, _standing(made, ATTACHED))

    def _added(self, entry: Entry, namespace: Namespace) -> Entry:
        """With its result, at the second try if need be; raises NotAttached."""
        try:
            return self._tried(entry, namespace)
        except NotAttached as error:
            other = _other_try(entry, str(error))
            if other is None:
                raise
            return self._tried(other, namespace)

    def _tried(self, entry: Entry, namespace: Namespace) -> Entry:
        self._journal.write(entry)
        try:
            made = replace(entry, result=chain.add(entry, namespace.handed))
            _require_given(made)
        except PluginError as error:
            raise NotAttached(error, self._undone(entry, namespace)) from error
        self._journal.finish(made)
        return made

    def _undone(self, entry: Entry, namespace: Namespace) -> Entry | None:
        """Nothing of a failed ADD stays but the service's own namespace; where DEL fails too, the entry
        does, and the next step undoes it."""
        errors = chain.delete(entry, namespace.handed)
        for error in errors:
            log.warning("%s: behind a failed ADD: %s", _name(entry.attachment), error)
        if errors:
            return entry
        if entry.own:
            parked = replace(entry, detached=True)
            self._journal.write(parked)
            return parked
        self._journal.remove(entry.attachment.id)
        return None

    # -- look

    def _look(self, entry: Entry, check: bool) -> Outcome:
        """Whether it is as it was made. What is not is put right here, or broken, and to be renewed."""
        with _held(netns.again(entry)) as namespace:
            why = self._amiss(entry, namespace, check)
        if why:
            log.warning("%s: %s", _name(entry.attachment), why)
            return Outcome(entry, _standing(entry, BROKEN, why, "It is attached again"), renew=True)
        if not self._ports.maps(entry):  # the step that was to map them was interrupted
            try:
                self._ports.claim(entry.attachment)
            except PortTaken as error:
                return _without_ports(entry, error)
            self._ports.put(entry)
        return Outcome(entry, _standing(entry, ATTACHED))

    def _amiss(self, entry: Entry, namespace: Namespace | None, check: bool) -> str:
        """What only another attachment puts right; empty: nothing."""
        if namespace is None:
            return f"{entry.netns} leads to another namespace, or to none"
        for mended in sight.mend_outside(entry):
            log.warning("%s: %s; put right", _name(entry.attachment), mended)
        self._ports.let_loopback_in(entry)
        found = sight.amiss_inside(entry, namespace.descriptor) or sight.amiss_in_store(entry)
        if found or not check:
            return found
        try:
            chain.check(entry, namespace.handed)
        except NotAnswered as error:
            log.warning("%s: could not be checked: %s", _name(entry.attachment), error)
        except PluginError as error:
            return str(error)
        return ""

    def _renamed(self, wanted: Attachment, entry: Entry) -> Outcome:
        """What changed concerns no plugin: who it is for, or ports that our own table maps."""
        try:
            self._ports.claim(wanted)
        except PortTaken as error:
            return _without_ports(entry, error)
        made = replace(entry, attachment=wanted)
        self._journal.write(made)
        self._ports.put(made)
        with _connections_apart():
            self._ports.unsettle(entry, made)
        sight.mend_outside(made)
        return Outcome(made, _standing(made, ATTACHED))

    # -- detach

    def _leave(self, entry: Entry, wanted: Attachment) -> None:
        """Another namespace is wanted than the service's own."""
        if wanted.netns or places.own_name(wanted.service) != entry.own:
            with self._leaving:
                self._remove_own(entry)

    def _remove_own(self, entry: Entry) -> None:
        """The service's own namespace, unless another attachment is in it."""
        if entry.own and not self._journal.shared(entry):
            namespaces.remove(self._settings.netns_dir / entry.own)

    def _detach(self, entry: Entry) -> list[PluginError]:
        """DEL down the whole list, in the namespace it was made in if that can be found. Nobody who gets the
        address next is sent what was on its way to this one."""
        self._ports.unmap(entry.attachment.id)
        with _connections_apart():
            self._ports.unsettle(entry)
        with _held(netns.wherever(entry)) as namespace:
            ours = namespace if namespace and not _is_foreign(entry, namespace) else None
            if ours is None:
                sight.remove_outside(entry)  # first: DEL gives the address back
            return chain.delete(entry, ours.handed if ours else "")


def _require_given(made: Entry) -> None:
    """Raises PluginError when the plugins answered with other addresses than those that must be."""
    given = {str(one.ip) for one in made.addresses}
    if missing := sorted(set(made.attachment.addresses) - given):
        got = " and ".join(sorted(given)) or "none"
        raise PluginError(
            f"{made.attachment.network}: its plugins gave {got} where {' and '.join(missing)} was asked for"
        )


def _without_ports(entry: Entry, error: PortTaken) -> Outcome:
    """It stays attached, with the host ports that it had."""
    return Outcome(entry, _standing(entry, BROKEN, str(error), "Take another host port, or release that one"))


def _left(entry: Entry) -> str:
    """What is still there behind a DEL that complained; empty: nothing that others could take for theirs."""
    name = entry.attachment.interface
    with _held(netns.wherever(entry)) as namespace:
        ours = namespace and not _is_foreign(entry, namespace)
        if namespace and ours and sight.inside(namespace.descriptor, name):
            return f"interface {name} is still in the namespace"
    held = sight.held_in_store(entry)
    return f"it still has the lease of {' and '.join(held)}" if held else ""


def _undetached(entry: Entry, wanted: Attachment) -> str:
    if not entry.result:
        return FAILED
    return RELEASING if _moved(entry, wanted) else BROKEN


def _placed(entry: Entry, namespace: Namespace) -> Entry:
    return replace(
        entry, netns=namespace.path, title=namespace.title, inode=namespace.inode, own=namespace.own
    )


def _moved(entry: Entry, wanted: Attachment) -> bool:
    """What the plugins were given, and gave, is not what is wanted now."""
    has = {str(one.ip) for one in entry.addresses}
    if _given(entry.attachment) != _given(wanted) or not has.issuperset(wanted.addresses):
        return True
    return entry.by_plugins and entry.attachment.expose != wanted.expose


def _given(attachment: Attachment) -> tuple[object, ...]:
    one = attachment
    return one.network, one.netns, one.interface, one.service if not one.netns else ""


def _other_try(entry: Entry, said: str) -> Entry | None:
    """What ADD may succeed with behind a DEL; None: nothing."""
    fixed = entry.attachment.addresses
    if entry.asked != fixed and refusals.is_of_address(said):
        return replace(entry, asked=fixed)
    return entry if refusals.may_pass(said) else None


def _is_foreign(entry: Entry, namespace: Namespace) -> bool:
    """The number of the namespace was given to another one since, which has a like interface."""
    there = sight.inside(namespace.descriptor, entry.attachment.interface)
    return bool(there and entry.mac and not sight.is_made(entry, there))


@contextmanager
def _connections_apart() -> Iterator[None]:
    """What the kernel remembers of connections, if it tells of any, is no reason to leave the rest undone."""
    try:
        yield
    except OSError as error:
        log.warning("connections to host ports: %s", error)
    except Exception:
        log.exception("connections to host ports")


@contextmanager
def _held(namespace: Namespace | None) -> Iterator[Namespace | None]:
    if namespace is None:
        yield None
    else:
        with namespace:
            yield namespace


def _standing(entry: Entry, state: str, why: str = "", remedy: str = "") -> Standing:
    held = tuple(str(one.ip) for one in entry.addresses)
    return Standing(entry.attachment.id, state, held, entry.title, entry.mac, why, remedy)


def _without(wanted: Attachment, state: str, why: Exception, remedy: str) -> Standing:
    return Standing(wanted.id, state, why=str(why), remedy=remedy)


def _name(attachment: Attachment) -> str:
    return f"{attachment.service} {attachment.resource}"
