"""A thread that hears at the broker of changes; it only makes them seen sooner."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from netadmin import broker
from networks.dns import changes
from networks.dns.changes import Change

log = logging.getLogger(__name__)

AGAIN = 1.0
"""Seconds until the next try of a broker that is away."""
QUIET = 5.0
"""Seconds that one wait for a message takes."""


Heard = Callable[[Sequence[Change]], object]


def begin(heard: Heard) -> None:
    """Call ``heard`` from the thread with what was changed; with nothing, when some may have been missed."""
    threading.Thread(target=_hear, args=(heard,), name="names", daemon=True).start()


def _hear(heard: Heard) -> None:
    away = False
    while True:
        try:
            with broker.app.connection_for_read() as connection:
                channel: Any = connection.default_channel
                subscription = channel.client.pubsub(ignore_subscribe_messages=True)
                subscription.subscribe(broker.NAMES)
                away = False
                heard(())
                while True:
                    if message := subscription.get_message(timeout=QUIET):
                        heard(changes.heard(message["data"]))
        except (OperationalError, RedisError, OSError) as error:
            if not away:
                log.warning("the broker is away (%s): changes are seen within a second", error)
            away = True
            time.sleep(AGAIN)
