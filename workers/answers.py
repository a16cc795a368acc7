"""The thread that answers questions, so that no repair ever waits for one.

    ask() -> GET questions -> each: kind -> function -> POST answer

It has doors and a connection of its own, and keeps nothing: a question that could not be
answered now (the control plane went away meanwhile) is told of again with the next document.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from workers import planning, question, wire
from workers.asked import Ground
from workers.config import Settings
from workers.control import Control, ControlError
from workers.document import Document
from workers.explaining.answer import explain
from workers.kernel.door import Kernel
from workers.leaks.answer import leases
from workers.question import Answer, Question, Questions

KINDS: dict[str, Callable[[Any, Ground], Any]] = {"plan": planning.plan, "explain": explain, "leases": leases}
"""What answers a question's body, by its kind; returns a dataclass of ``question.CONTENTS``."""

log = logging.getLogger("netadmin.answers")


class Answers(threading.Thread):
    """``ask`` and ``stop`` are for any thread; an answer under way is not waited for."""

    def __init__(self, settings: Settings, in_force: Callable[[], Document | None]) -> None:
        super().__init__(name="answers", daemon=True)
        self._settings = settings
        self._in_force = in_force
        self._control = Control(settings)
        self._asked = threading.Event()
        self._stopped = False

    def ask(self) -> None:
        """Questions wait."""
        self._asked.set()

    def stop(self) -> None:
        self._stopped = True
        self._asked.set()

    def run(self) -> None:
        while True:
            self._asked.wait()
            self._asked.clear()
            if self._stopped:
                break
            try:
                self._answer_all()
            except (ControlError, wire.WireError) as error:
                log.warning("no answer: %s", error)
            except Exception:
                log.exception("no answer; the next question is tried again")
        self._control.close()

    def _answer_all(self) -> None:
        questions = question.parse(self._control.questions())
        with Kernel() as kernel:
            for one in questions.questions:
                self._control.answer(one.id, question.dump(self._answer(one, questions, kernel)))

    def _answer(self, one: Question, among: Questions, kernel: Kernel) -> Answer:
        """What goes wrong is an answer too."""
        answer = KINDS.get(one.kind)
        if answer is None:
            return Answer("failed", why=f"this worker answers no questions of kind {one.kind}; upgrade it")
        ground = Ground(self._settings, kernel, self._in_force(), among.shared)
        try:
            return Answer("answered", asdict(answer(one.body, ground)))
        except Exception as error:
            log.exception("a question cannot be answered")
            return Answer("failed", why=f"{type(error).__name__}: {error}")
