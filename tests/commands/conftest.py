"""Commands as they are typed: what they print, what they refuse."""

import io
import shlex
from collections.abc import Callable

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

Run = Callable[[str], list[str]]
Refusal = Callable[[str], str]


@pytest.fixture
def run(db: None) -> Run:
    """Carries out ``manage.py LINE``; the lines it printed."""

    def carry_out(line: str) -> list[str]:
        out = io.StringIO()
        call_command(*shlex.split(line), stdout=out)
        return out.getvalue().splitlines()

    return carry_out


@pytest.fixture
def refusal(run: Run) -> Refusal:
    """The sentences with which ``manage.py LINE`` is refused."""

    def carry_out(line: str) -> str:
        with pytest.raises(CommandError) as caught:
            run(line)
        return str(caught.value)

    return carry_out
