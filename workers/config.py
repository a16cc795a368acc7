"""Settings of one worker: typed, read once.

The same names in both places, the environment wins over the file::

    # /etc/netadmin/worker.conf
    NETADMIN_NODE=n1
    NETADMIN_URL=http://192.0.2.1:8000
    NETADMIN_TOKEN_FILE=/etc/netadmin/token
    NETADMIN_BROKER_URL=redis://192.0.2.1:6379/0

A secret may be given as NAME, or as NAME_FILE with the path of a file that holds it.
"""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

DEFAULT_FILE = Path("/etc/netadmin/worker.conf")


class SettingsError(ValueError):
    """A setting is missing or cannot be used; says which, its value and the remedy."""


@dataclass(frozen=True, slots=True)
class Settings:
    node: str
    url: str
    """The control plane, without ``/api/v1``."""
    token: str
    """The node token; also the node's password at the broker."""
    broker_url: str
    """Empty: no wake-ups, the timer alone."""
    state_dir: Path
    """Holds the last document; must survive a reboot."""
    cni_plugins: str
    """Directory; empty: as the document says."""
    cni_config: str
    """Directory; empty: as the document says."""
    cni_store: Path
    """``dataDir`` of host-local. On tmpfs, leases die with the namespaces they belong to."""
    protocol: int
    """rtm_protocol and IFA_PROTO of what is ours."""
    group: int
    """IFLA_GROUP of the links that are ours: part of the message that creates them, so that
    a worker killed at any moment leaves no link behind that it does not know again."""
    nft_table: str
    """Name of our own table, family inet."""
    netns_dir: Path = Path("/run/netns")
    """Where network namespaces have names (ip-netns(8)); those of services' own are made here."""


def load(environment: Mapping[str, str], file: Path | None = None) -> Settings:
    """Settings from the environment over the file; raises SettingsError."""
    values = {**_read(file), **{k: v for k, v in environment.items() if k.startswith("NETADMIN_")}}
    node = values.get("NETADMIN_NODE") or socket.gethostname().partition(".")[0]
    token = _secret(values, "NETADMIN_TOKEN")
    return Settings(
        node=node,
        url=_required(
            values, "NETADMIN_URL", "the control plane's address, e.g. http://192.0.2.1:8000"
        ).rstrip("/"),
        token=token,
        broker_url=_with_login(values.get("NETADMIN_BROKER_URL", ""), node, token),
        state_dir=Path(values.get("NETADMIN_STATE_DIR", "/var/lib/netadmin")),
        cni_plugins=values.get("NETADMIN_CNI_PLUGINS", ""),
        cni_config=values.get("NETADMIN_CNI_CONFIG", ""),
        cni_store=Path(values.get("NETADMIN_CNI_STORE", "/run/netadmin/leases")),
        protocol=_number(values, "NETADMIN_PROTOCOL", 157, 5, 255),
        group=_number(values, "NETADMIN_LINK_GROUP", 28257, 1, 2**31 - 1),
        nft_table=values.get("NETADMIN_NFT_TABLE", "netadmin"),
        netns_dir=Path(values.get("NETADMIN_NETNS_DIR", "/run/netns")),
    )


def _read(file: Path | None) -> dict[str, str]:
    """KEY=VALUE lines, as systemd's EnvironmentFile takes them."""
    if file is None:
        if not DEFAULT_FILE.exists():
            return {}
        file = DEFAULT_FILE
    try:
        lines = file.read_text().splitlines()
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read ({error.strerror}); fix the path or its mode") from error
    values = {}
    for number, line in enumerate(lines, 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        key, separator, value = line.partition("=")
        if not separator:
            raise SettingsError(f"{file}:{number}: {line!r} is not NAME=VALUE; put one setting on a line")
        values[key.strip()] = value.strip().strip("\"'")
    return values


def _required(values: Mapping[str, str], name: str, what: str) -> str:
    if not values.get(name):
        raise SettingsError(f"{name}: is not set; give {what}, in the environment or in {DEFAULT_FILE}")
    return values[name]


def _secret(values: Mapping[str, str], name: str) -> str:
    if path := values.get(f"{name}_FILE"):
        try:
            return Path(path).read_text().strip()
        except OSError as error:
            raise SettingsError(
                f"{name}_FILE={path!r}: cannot be read ({error.strerror}); fix the path or its mode"
            ) from error
    return _required(
        values, name, "the node's token (manage.py node token NAME), or a file of it as " + name + "_FILE"
    )


def _number(values: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = values.get(name, str(default))
    if not text.isdecimal() or not low <= int(text) <= high:
        raise SettingsError(
            f"{name}={text!r}: is not a number from {low} to {high}; leave it out for {default}"
        )
    return int(text)


def _with_login(url: str, node: str, token: str) -> str:
    """The node's own broker login, unless the URL brings one: user ``node.NAME``, password the token."""
    parts = urlsplit(url)
    if not url or "@" in parts.netloc:
        return url
    login = f"{quote('node.' + node, safe='')}:{quote(token, safe='')}@{parts.netloc}"
    return urlunsplit(parts._replace(netloc=login))
