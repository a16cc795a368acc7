"""The worker's tunnels of every mode, as tests/kernel/test_tunnels.py has them for VXLAN."""

from pathlib import Path

import pytest

from tests.kernel import tunnels

pytestmark = pytest.mark.tunnel

MODES = [
    pytest.param("ipip", ("4",), id="ipip and sit"),
    pytest.param("ipip", ("6",), id="ipip, which becomes ip6ip6"),
    pytest.param("gre", ("4",), id="gre"),
    pytest.param("gre", ("6",), id="gre, which becomes ip6gre"),
    pytest.param("ip6ip6", ("6",), id="ip6ip6"),
    pytest.param("ip6gre", ("6",), id="ip6gre"),
    pytest.param("vxlan", ("4",), id="vxlan"),
    pytest.param("vxlan", ("6",), id="vxlan over IPv6"),
]


@pytest.mark.parametrize(("mode", "ends"), MODES)
def test_packets_cross_up_to_the_full_size(tmp_path: Path, mode: str, ends: tuple[str, ...]) -> None:
    tunnels.packets_cross(tmp_path, mode, ends, count=2)


@pytest.mark.parametrize(("mode", "ends"), MODES)
def test_packets_of_strangers_are_dropped(tmp_path: Path, mode: str, ends: tuple[str, ...]) -> None:
    tunnels.strangers_are_refused(tmp_path, mode, ends)


@pytest.mark.parametrize(("mode", "ends"), MODES)
def test_a_switch_between_direct_and_tunnel_loses_nothing(
    tmp_path: Path, mode: str, ends: tuple[str, ...]
) -> None:
    tunnels.a_switch_loses_nothing(tmp_path, mode, ends)


@pytest.mark.parametrize(("mode", "ends"), MODES)
def test_workers_that_switch_by_themselves_lose_nothing(
    tmp_path: Path, mode: str, ends: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    tunnels.workers_switch_together(tmp_path, mode, ends, monkeypatch)


@pytest.mark.parametrize(("mode", "ends"), MODES)
def test_what_is_not_needed_any_more_goes(tmp_path: Path, mode: str, ends: tuple[str, ...]) -> None:
    tunnels.nothing_is_left(tmp_path, mode, ends)


@pytest.mark.parametrize(("mode", "ends"), MODES)
def test_the_way_through_it_is_explained(tmp_path: Path, mode: str, ends: tuple[str, ...]) -> None:
    tunnels.the_way_is_explained(tmp_path, mode, ends)


@pytest.mark.parametrize(("mode", "ends"), MODES)
def test_it_repairs_its_devices_and_the_routes(tmp_path: Path, mode: str, ends: tuple[str, ...]) -> None:
    tunnels.tampering_is_repaired(tmp_path, mode, ends)
