"""systemd-networkd, which by default takes away routes and rules that it did not make, when it restarts.

    /run/systemd/netif             it has run since the last boot
    networkd.conf, *.conf.d        whether it leaves alone what is not its own

The main file is the first one there is; drop-ins count by name, those of /etc before those of /run
before those of /usr, and lie over it in the order of their names. Source: networkd.conf(5).
"""

from collections.abc import Iterator
from pathlib import Path

DIRECTORIES = ("etc/systemd", "run/systemd", "usr/local/lib/systemd", "usr/lib/systemd")
RAN = "run/systemd/netif/state"
SWITCHES = ("ManageForeignRoutes", "ManageForeignRoutingPolicyRules")
"""Both are on where nothing is said."""
NO = ("0", "no", "n", "false", "f", "off")
DROP_IN = "/etc/systemd/networkd.conf.d/netadmin.conf"
OFFER = "[Network]\n" + "".join(f"{switch}=no\n" for switch in SWITCHES)
"""The drop-in that ends it."""


def takes_away(root: Path = Path("/")) -> tuple[str, ...]:
    """The switches by which it takes away what is not its own; none when it does not run."""
    if not (root / RAN).exists():
        return ()
    said = {key: value for file in _files(root) for key, value in _network(file.read_text(errors="replace"))}
    return tuple(switch for switch in SWITCHES if said.get(switch, "yes").lower() not in NO)


def _files(root: Path) -> Iterator[Path]:
    """What it reads, in the order in which later ones win."""
    places = [root / directory for directory in DIRECTORIES]
    yield from [place / "networkd.conf" for place in places if (place / "networkd.conf").is_file()][:1]
    drop_ins: dict[str, Path] = {}
    for place in reversed(places):
        drop_ins |= {file.name: file for file in (place / "networkd.conf.d").glob("*.conf")}
    yield from (drop_ins[name] for name in sorted(drop_ins) if drop_ins[name].is_file())


def _network(text: str) -> Iterator[tuple[str, str]]:
    """Keys and values of the section [Network]."""
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line
        elif section == "[Network]" and "=" in line and line[:1] not in "#;":
            key, _, value = line.partition("=")
            yield key.strip(), value.strip()
