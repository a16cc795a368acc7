"""These tests make namespaces and interfaces: they run in a sandbox only, never on the machine itself."""

import pytest

from lab import sandbox


@pytest.fixture(scope="session", autouse=True)
def _in_a_sandbox() -> None:
    if not sandbox.inside():
        pytest.fail(
            "tests/lab runs in a sandbox: python -m lab.sandbox -- python -m pytest tests/lab", pytrace=False
        )
