"""The control plane's end of the broker: it only ever publishes, and nobody waits for it.

Failure settings: a refused connection must cost a few milliseconds and a stalled server
must not block for ever (kombu's defaults: 0.6 s and never). What is to be sent is handed to
one background thread: a request that declares something pays nothing for a broker that is away.
"""

import atexit
import logging
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote

from celery import Celery
from django.conf import settings
from django.db import transaction
from kombu import Exchange, Queue, pools
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from netadmin import embedded_broker
from netadmin.background import Later
from netadmin.environment import Environment, kept_secret

log = logging.getLogger(__name__)

TASK = "netadmin.look"
QUESTIONS = "netadmin.questions"
HOLDINGS = "netadmin.holdings"
NAMES = "netadmin.names"
"""Channel: what the cluster DNS serves was changed."""


def url() -> str:
    """The configured broker, or the embedded one's UNIX socket, as the user ``control``."""
    environment: Environment = settings.ENVIRONMENT
    if environment.broker_url:
        return environment.broker_url
    secret = kept_secret(embedded_broker.secret_path(environment))
    return f"redis+socket://control:{secret}@{quote(str(embedded_broker.socket_path(environment)))}"


def queue(node: str) -> Queue:
    """The queue that only this node may read. Never declared: a declaration is two more
    round trips and a key that every node would have to be allowed to write."""
    return Queue(f"node.{node}", Exchange(""), routing_key=f"node.{node}", no_declare=True)


app = Celery("netadmin", set_as_current=False)
app.conf.update(
    broker_url=url(),
    result_backend=None,
    task_ignore_result=True,
    task_publish_retry=True,
    task_publish_retry_policy={"max_retries": 0, "interval_start": 0, "interval_max": 0.2},
    broker_transport_options={
        "priority_steps": [0],
        "socket_timeout": 1,
        "socket_connect_timeout": 1,
        "max_retries": 0,
        "connect_retries_timeout": 1,
    },
)


def connection() -> Any:
    """A connection of kombu's pool, as a context: to make one costs ten times what a message does. One that
    the broker closed meanwhile, redis-py makes anew before it is used."""
    return pools.connections[app.connection_for_write()].acquire(block=True)


EXIT_PATIENCE = 1.0
"""Seconds that the end of a process waits for what is still to be sent."""

_later = Later("broker")


def on_commit(send: Callable[..., None], *args: Any, apart: float = 0.0) -> None:
    """Call ``send`` in the background once the transaction is committed; ``args`` must be hashable.
    ``apart``: what is committed within so many seconds is told by one call."""
    transaction.on_commit(partial(_later.call, _logged, send, *args, apart=apart), robust=True)


def _logged(send: Callable[..., None], *args: Any) -> None:
    """Nothing depends on a message arriving: nodes look by their timer, and the access list is
    sent again by ``manage.py broker sync`` and whenever the embedded broker starts."""
    try:
        send(*args)
    except (OperationalError, RedisError, OSError) as error:
        log.warning("the broker is away (%s): %s not sent", error, send.__name__)


def _finish() -> None:
    if not _later.done(EXIT_PATIENCE):
        log.warning("the broker does not answer: what was to be sent is not")


atexit.register(_finish)
