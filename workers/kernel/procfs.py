"""The door to /proc/sys of the network namespace that the calling thread is in."""

from pathlib import Path

SYSCTL = Path("/proc/sys")
OWN_NET = Path("/proc/thread-self/net")
TABLES = (Path("/usr/share/iproute2"), Path("/etc/iproute2"))
"""Where routing tables get their names; later ones win (ip-route(8))."""


class Procfs:
    def read(self, name: str) -> str | None:
        """Value of a switch, by its path below /proc/sys; None when there is no such switch."""
        try:
            return (SYSCTL / name).read_text().strip()
        except FileNotFoundError:
            return None

    def write(self, name: str, value: str) -> None:
        """Set a switch; raises OSError."""
        (SYSCTL / name).write_text(value)

    def legacy_filters(self) -> tuple[str, ...]:
        """Tools whose legacy kind has a filter table in this network namespace."""
        names = {"iptables": "ip_tables_names", "ip6tables": "ip6_tables_names"}
        return tuple(tool for tool, file in names.items() if "filter" in _words(OWN_NET / file))

    def speaks_ipv6(self) -> bool:
        """False on a kernel without IPv6, or started with ipv6.disable=1."""
        return (SYSCTL / "net/ipv6").exists()

    def tables(self) -> dict[str, int]:
        """Numbers of routing tables by name."""
        found = {"default": 253, "main": 254, "local": 255}
        for directory in TABLES:
            for file in (directory / "rt_tables", *sorted(directory.glob("rt_tables.d/*.conf"))):
                if file.exists():
                    found.update(parse_tables(file.read_text()))
        return found


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except FileNotFoundError:
        return []


def parse_tables(text: str) -> dict[str, int]:
    """``NUMBER NAME`` lines, # starts a comment."""
    found = {}
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if len(words) >= 2:
            found[words[1]] = int(words[0], 0)
    return found
