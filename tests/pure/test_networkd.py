"""What systemd-networkd is told, in its own precedence."""

from pathlib import Path

import pytest

from workers import networkd

BOTH = networkd.SWITCHES
OFFERED = "/etc/systemd/networkd.conf.d/netadmin.conf"

CASES = [
    pytest.param({}, BOTH, id="nothing is said"),
    pytest.param({OFFERED: networkd.OFFER}, (), id="the drop-in that we offer"),
    pytest.param(
        {"/etc/systemd/networkd.conf": "[Network]\n#ManageForeignRoutes=no\n"}, BOTH, id="a comment"
    ),
    pytest.param(
        {"/etc/systemd/networkd.conf": "[Network]\nManageForeignRoutes=no\n"}, BOTH[1:], id="one of the two"
    ),
    pytest.param(
        {"/etc/systemd/networkd.conf": "[DHCPv4]\nManageForeignRoutes=no\n"}, BOTH, id="in another section"
    ),
    pytest.param(
        {"/etc/systemd/networkd.conf": "", "/usr/lib/systemd/networkd.conf": networkd.OFFER},
        BOTH,
        id="the main file of /etc hides the one of /usr",
    ),
    pytest.param(
        {
            "/etc/systemd/networkd.conf": networkd.OFFER,
            "/usr/lib/systemd/networkd.conf.d/10-x.conf": "[Network]\nManageForeignRoutes=yes\n",
        },
        BOTH[:1],
        id="a drop-in lies over the main file, wherever it is",
    ),
    pytest.param(
        {
            "/usr/lib/systemd/networkd.conf.d/10-x.conf": networkd.OFFER,
            "/etc/systemd/networkd.conf.d/10-x.conf": "",
        },
        BOTH,
        id="a drop-in of /etc replaces one of its name in /usr",
    ),
    pytest.param(
        {
            "/run/systemd/networkd.conf.d/90-x.conf": "[Network]\nManageForeignRoutes = true\n",
            OFFERED.replace("netadmin", "10-netadmin"): networkd.OFFER,
        },
        BOTH[:1],
        id="the last name wins",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("files", "expected"), CASES)
def test_it_takes_away(tmp_path: Path, files: dict[str, str], expected: tuple[str, ...]) -> None:
    _write(tmp_path, {f"/{networkd.RAN}": "", **files})
    assert networkd.takes_away(tmp_path) == expected


def test_it_takes_nothing_away_where_it_never_ran(tmp_path: Path) -> None:
    assert networkd.takes_away(tmp_path) == ()


def test_the_file_that_is_shipped_is_the_one_that_is_offered() -> None:
    shipped = (Path(__file__).parents[2] / "deploy" / "networkd-netadmin.conf").read_text().splitlines()
    assert shipped[1:] == networkd.OFFER.splitlines()


def _write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        file = root / name.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
