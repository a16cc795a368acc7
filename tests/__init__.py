"""Tests, and what they share. An assertion tells what both sides were, in shared modules as in test files."""

from pkgutil import iter_modules

import pytest

pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in iter_modules(__path__)))
