"""Marked tests are told on the host as they ran in the guest: nothing lost, nothing skipped.

The guest of these tests is another pytest on this machine, which may be cut off in the middle.
"""

import pytest

from tests.umlinux.run import ROOT

CONFTEST = """
import os
import subprocess
from pathlib import Path
from tests.umlinux import devices, plugin

pytest_plugins = ["tests.umlinux.plugin"]
devices.native = lambda: False

def run(argv, out, *, env, within):
    pytest_only = argv[argv.index("--") + 1:]
    reports = out / "reports.jsonl"
    done = subprocess.run(pytest_only, env={**os.environ, plugin.REPORTS: str(reports)}, capture_output=True)
    kept = {KEPT}
    reports.write_bytes(reports.read_bytes()[:kept])
    (out / "console").write_bytes(done.stdout)
    Path("boots").open("a").write("x")
    return done.returncode

plugin.run = run
"""
TESTS = """
import os
import pytest

GUEST = "NETADMIN_GUEST_REPORTS" in os.environ

def test_here():
    assert not GUEST

@pytest.mark.tunnel
def test_passes():
    assert GUEST

@pytest.mark.tunnel
def test_fails():
    print("seen before it failed")
    assert not GUEST, "the sentence"

@pytest.mark.tunnel
def test_skips():
    pytest.skip("no device")

@pytest.mark.tunnel
@pytest.mark.parametrize("name", ["a b", "it's"])
def test_names(name):
    assert GUEST
"""


@pytest.fixture
def session(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makepyfile(TESTS)
    return pytester


def _run(session: pytest.Pytester, *arguments: str, kept: str = "None") -> pytest.RunResult:
    session.makeconftest(CONFTEST.replace("{KEPT}", kept))
    return session.runpytest_subprocess("-p", "no:django", *arguments)


def test_reports_of_the_guest_are_those_of_the_session(session: pytest.Pytester) -> None:
    result = _run(session, "--junitxml=junit.xml")
    result.assert_outcomes(passed=4, failed=2)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["*the sentence*", "*seen before it failed*", "*skipped in the guest: *no device"]
    )
    assert 'tests="6"' in (session.path / "junit.xml").read_text()


def test_all_marked_tests_share_one_boot_and_others_need_none(session: pytest.Pytester) -> None:
    _run(session, "-k", "passes or names").assert_outcomes(passed=3, deselected=3)
    assert (session.path / "boots").read_text() == "x"
    _run(session, "-k", "here").assert_outcomes(passed=1, deselected=5)
    assert (session.path / "boots").read_text() == "x"


def test_what_a_guest_did_not_finish_has_failed(session: pytest.Pytester) -> None:
    """Cut off in the second report of the second test: the first has passed, nothing behind it has."""
    result = _run(session, "-k", "passes or names", kept="reports.read_bytes().index(b'a b') + 900")
    result.assert_outcomes(passed=1, errors=2, deselected=3)
    result.stdout.fnmatch_lines(["*the guest did not finish this test: *"])
