"""Wake-ups: a Celery task that tells a node "look again", "you are asked", or "hold something else".
Carries no state, waits for nobody."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from django.db import transaction

from netadmin import broker

TOGETHER = 0.05
"""Seconds between two messages of other holdings."""
_holders: set[str] = set()
"""Nodes that are still to be told of other holdings; one operation at a time is atomic."""
EXPIRES = 60.0
"""Seconds after which a wake-up is stale: the timer has looked by then."""


def wake_on_commit(nodes: Iterable[str]) -> None:
    """Wake these nodes once what was declared is committed."""
    if names := tuple(sorted(set(nodes))):
        broker.on_commit(wake_up, names)


def question_on_commit(nodes: Iterable[str]) -> None:
    """Tell these nodes that they are asked, once the questions are committed."""
    if names := tuple(sorted(set(nodes))):
        broker.on_commit(tell_of_questions, names)


def holdings_on_commit(nodes: Iterable[str]) -> None:
    """Tell these nodes that they must hold something else, once it is committed. What is committed in
    quick succession is told together: a message costs as much as the transaction."""
    if names := set(nodes):
        transaction.on_commit(partial(_holders.update, names), robust=True)
        broker.on_commit(tell_holders, apart=TOGETHER)


def tell_holders() -> None:
    """Tell all that wait for it."""
    names = []
    while _holders:
        names.append(_holders.pop())
    if names:
        tell_of_holdings(sorted(names))


def wake_up(names: Sequence[str]) -> None:
    """Publish one message per node; what is still in a queue is replaced, so the queue of a
    node that is away never holds more than one. Raises kombu's OperationalError."""
    with broker.connection() as connection:
        channel: Any = connection.default_channel
        channel.client.delete(*(f"node.{name}" for name in names))
        _publish(broker.TASK, names, connection)


def tell_of_questions(names: Sequence[str]) -> None:
    """The same, behind what is still in a queue: no wake-up may be lost for a question. One that is
    lost for a wake-up is not missed, as the node then hears of it with its document."""
    with broker.connection() as connection:
        _publish(broker.QUESTIONS, names, connection)


def tell_of_holdings(names: Sequence[str]) -> None:
    """The same as of questions."""
    with broker.connection() as connection:
        _publish(broker.HOLDINGS, names, connection)


def _publish(task: str, names: Sequence[str], connection: Any) -> None:
    amqp: Any = broker.app.amqp
    # How nothing is shown in logs: left to find that out, Celery takes longer than for the rest.
    nothing: Any = {"args": (), "kwargs": {}, "argsrepr": "()", "kwargsrepr": "{}"}
    message = amqp.create_task_message(task_id="look", name=task, expires=EXPIRES, **nothing)
    producer = amqp.Producer(connection.default_channel, auto_declare=False)
    with producer.batch(max_size=500):
        for name in names:
            producer.publish(
                message.body,
                headers=message.headers,
                serializer="json",
                exchange="",
                routing_key=f"node.{name}",
                **message.properties,
            )
