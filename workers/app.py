"""The Celery worker of one node: it listens on the queue ``node.NAME``, and that is all.

    wake-up in the broker -> task netadmin.look      -> agent.look()     all only set an event
                             task netadmin.questions -> agent.answer()
                             task netadmin.holdings -> agent.hold()

Celery runs in a thread of its own beside the agent, and never the other way round: while
the broker is away, refuses the login or forbids the queue (Celery ends then), the agent
repairs and looks as ever, and a stop does not wait for a connection attempt.

The node needs one key and one data command (BRPOP) of the broker: no acknowledgement that
would be kept in keys which all nodes share, no priorities, no declaration, no events, no
remote control, no results. A wake-up that is lost is made up for by the timer.
"""

import logging
import threading
from collections.abc import Callable, Mapping

import celery
from celery.worker import state
from kombu import Exchange, Queue

from workers.config import Settings

TASK = "netadmin.look"
QUESTIONS = "netadmin.questions"
HOLDINGS = "netadmin.holdings"
AGAIN = 30.0
"""Seconds until Celery is started again after it ended by itself."""

log = logging.getLogger("netadmin.broker")


class Listener(threading.Thread):
    """Calls what is to be done, by the name of the task. There is one in a process, as Celery's stop is
    global."""

    def __init__(self, settings: Settings, tasks: Mapping[str, Callable[[], None]]) -> None:
        super().__init__(name="broker", daemon=True)
        self._app = application(settings, tasks)
        self._stopping = threading.Event()

    def run(self) -> None:
        self._app.set_current()  # Celery looks a task up in the current application of the thread
        while not self._stopping.is_set():
            try:
                self._worker().start()
            except Exception:
                log.exception("Celery failed")
            if not self._stopping.is_set():
                log.error("no wake-ups: Celery ended; the timer goes on, and Celery again in %d s", AGAIN)
                self._stopping.wait(AGAIN)

    def stop(self, seconds: float) -> None:
        """End; a connection attempt that takes longer than ``seconds`` is abandoned."""
        self._stopping.set()
        state.should_stop = 0  # type: ignore[assignment]  # the stubs know only None
        self.join(seconds)

    def _worker(self) -> celery.worker.WorkController:
        return self._app.WorkController(
            hostname=self._app.main,
            pool_cls="solo",
            concurrency=1,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            quiet=True,
        )


def application(settings: Settings, tasks: Mapping[str, Callable[[], None]]) -> celery.Celery:
    """The Celery application with its tasks and one queue.

    Without fixups: they would load Django wherever DJANGO_SETTINGS_MODULE happens to be set.
    """
    name = f"node.{settings.node}"
    app = celery.Celery(name, broker=settings.broker_url, set_as_current=False, fixups=[])
    app.conf.update(
        task_queues=[Queue(name, Exchange(""), routing_key=name, no_declare=True)],
        task_ignore_result=True,
        result_backend=None,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_cancel_long_running_tasks_on_connection_loss=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "ack_emulation": False,
            "priority_steps": [0],
            "socket_timeout": 30,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            "health_check_interval": 10,
        },
    )
    for task, run in tasks.items():
        app.task(name=task, shared=False)(run)
    return app
