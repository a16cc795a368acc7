"""Marker ``tunnel``: a test that needs tunnel devices of the kernel (ipip, gre, ip6tnl, ip6gre, sit).

    host session                                guest session, one boot for all marked tests
    first marked item ------- boot ------------> lab.sandbox, pytest NODEIDS...
    each marked item <- reports.jsonl ---------- one line a report
      its reports, as if it had run here

Where the running kernel makes the devices itself, marked tests are like all others. In the guest
nothing may skip: it was started for these tests.
"""

import json
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from lab import sandbox
from tests.umlinux import build, devices
from tests.umlinux.run import INSIDE, GuestFailed, run

MARKER = "tunnel"
REPORTS = "NETADMIN_GUEST_REPORTS"
"""Environment name, set in the guest: the file for the reports."""
START, EACH = 60.0, 15.0
"""Seconds: limit of a guest session, and what each test adds to it."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{MARKER}: needs ipip, gre, ip6tnl, ip6gre, sit of the kernel")
    reports = os.environ.get(REPORTS)
    config.pluginmanager.register(Guest(config, Path(reports)) if reports else Host())


class Guest:
    """In the guest: reports go out as they come, so those of a guest that breaks down are not lost."""

    def __init__(self, config: pytest.Config, path: Path) -> None:
        self._config = config
        self._file = path.open("w", buffering=1)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._file.write(json.dumps(data) + "\n")

    def pytest_unconfigure(self) -> None:
        self._file.close()


class Host:
    """On the host: marked items are not run but told, from one boot of the guest."""

    def __init__(self) -> None:
        self._reports: dict[str, list[pytest.TestReport]] | None = None
        self._ended = ""

    @cached_property
    def _native(self) -> bool:
        return devices.native()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        if item.get_closest_marker(MARKER) is None or (sandbox.inside() and self._native):
            return None
        if self._reports is None:
            self._reports = self._boot(item.session)
        hook, place = item.ihook, {"nodeid": item.nodeid, "location": item.location}
        hook.pytest_runtest_logstart(**place)
        for report in self._of(item):
            hook.pytest_runtest_logreport(report=report)
        hook.pytest_runtest_logfinish(**place)
        return True

    def _boot(self, session: pytest.Session) -> dict[str, list[pytest.TestReport]]:
        """Run every marked item of the session in the guest; reports by node id."""
        items = [item.nodeid for item in session.items if item.get_closest_marker(MARKER)]
        python = [sys.executable, "-m"]
        argv = [*python, "lab.sandbox", "--", *python, "pytest", "--color=no", *items]
        with tempfile.TemporaryDirectory(prefix="netadmin-guest-") as directory:
            out = Path(directory)
            env = {REPORTS: str(INSIDE / "reports.jsonl"), "PYTHONDONTWRITEBYTECODE": "1"}
            try:
                status = run(argv, out, env=env, within=START + EACH * len(items))
                self._ended = f"pytest ended with {status}:\n{_tail(out / 'console')}"
            except (GuestFailed, build.NotBuilt) as error:
                self._ended = str(error)
            return _read(out / "reports.jsonl", session.config)

    def _of(self, item: pytest.Item) -> Sequence[pytest.TestReport]:
        """The reports of one item; what is missing at the end is a failure."""
        assert self._reports is not None
        reports = self._reports[item.nodeid]
        if not reports or reports[-1].when != "teardown":
            reports.append(_failure(item, f"the guest did not finish this test: {self._ended}"))
        return reports


def _read(path: Path, config: pytest.Config) -> dict[str, list[pytest.TestReport]]:
    found: dict[str, list[pytest.TestReport]] = defaultdict(list)
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    for line in lines:
        if line.endswith("\n"):  # the last one may be cut off
            report = _report(json.loads(line), config)
            found[report.nodeid].append(report)
    return found


def _report(data: dict[str, Any], config: pytest.Config) -> pytest.TestReport:
    report: pytest.TestReport = config.hook.pytest_report_from_serializable(config=config, data=data)
    if report.skipped and not hasattr(report, "wasxfail"):
        report.outcome, report.longrepr = "failed", f"skipped in the guest: {data['longrepr'][-1]}"
    return report


def _failure(item: pytest.Item, why: str) -> pytest.TestReport:
    return pytest.TestReport(item.nodeid, item.location, {}, "failed", why, "teardown")


def _tail(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-20:])
