"""These tests make namespaces and interfaces: they run in a sandbox only, never on the machine itself.

Tests share a cluster, of the session or of their module; what a test declares is withdrawn behind it.
"""

from collections.abc import Generator, Iterator
from typing import Any, Protocol

import pytest

from lab import sandbox
from lab.cluster import Cluster
from lab.topology import flat

CONVERGED_WITHIN = 15.0
"""Seconds; it takes less than one on a machine that does nothing else."""

BUILT_IN = ("default", "lo")


@pytest.fixture(scope="session", autouse=True)
def _in_a_sandbox() -> None:
    if not sandbox.inside():
        pytest.fail(
            "tests/lab runs in a sandbox: python -m lab.sandbox -- python -m pytest tests/lab", pytrace=False
        )


@pytest.fixture(scope="session")
def _three_nodes() -> Iterator[Cluster]:
    with Cluster(flat(3)) as cluster:
        cluster.settled(within=60)
        yield cluster


@pytest.fixture(scope="module")
def cluster(_three_nodes: Cluster) -> Cluster:
    """Three nodes; a module that wants others has a fixture of its own."""
    return _three_nodes


class Declare(Protocol):
    def __call__(self, name: str, **fields: Any) -> None: ...


@pytest.fixture
def declare(cluster: Cluster, withdrawn: None) -> Declare:
    """Declares a network and waits until packets cross between all nodes."""

    def declare(name: str, **fields: Any) -> None:
        cluster.declare(name, **fields)
        cluster.converged(name, within=CONVERGED_WITHIN)

    return declare


@pytest.fixture
def withdrawn(cluster: Cluster) -> Iterator[None]:
    """Behind the test all containers are detached and all networks withdrawn."""
    yield
    for container in list(cluster.containers):
        cluster.detach(container)
    for network in cluster.api.get("networks/")["results"]:
        if network["name"] not in BUILT_IN:
            cluster.withdraw(network["name"])
    cluster.settled(within=CONVERGED_WITHIN)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Beside a failure, the end of every log of the cluster."""
    report = yield
    cluster = getattr(item, "funcargs", {}).get("cluster")
    if report.failed and isinstance(cluster, Cluster):
        report.sections += [(f"log of the {p.name}", p.tail(15)) for p in cluster.programs()]
    return report
