"""What the control plane reads from its environment: typed, read once, here only.

A secret may be given as NAME, or as NAME_FILE with the path of a file that holds it.
"""

import os
import secrets
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class EnvironmentProblem(ValueError):
    """A variable is missing or cannot be used; says which, its value and the remedy."""


@dataclass(frozen=True, slots=True)
class Environment:
    data_dir: Path
    """SQLite database, secret key of the embedded default, broker files, static files."""
    database_url: str
    """``postgres://user:password@host:port/name``; empty: SQLite in ``data_dir``."""
    broker_url: str
    """``redis://...`` or ``redis+socket:///path``; empty: the embedded Valkey's UNIX socket."""
    broker_bind: tuple[str, ...]
    """Addresses the embedded Valkey listens on, besides its UNIX socket."""
    broker_port: int
    secret_key: str
    allowed_hosts: tuple[str, ...]
    trusted_origins: tuple[str, ...]
    """Origins with scheme from which forms may be sent when a proxy ends TLS."""
    debug: bool
    language: str


def load() -> Environment:
    """Read and check every variable; raises EnvironmentProblem."""
    data_dir = Path(os.environ.get("NETADMIN_DATA_DIR", ROOT / "var")).resolve()
    port = os.environ.get("NETADMIN_BROKER_PORT", "6379")
    if not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise EnvironmentProblem(
            f"NETADMIN_BROKER_PORT={port!r}: is not a port from 1 to 65535; leave it out for 6379"
        )
    return Environment(
        data_dir=data_dir,
        database_url=_secret("NETADMIN_DATABASE_URL"),
        broker_url=_secret("NETADMIN_BROKER_URL"),
        broker_bind=_list("NETADMIN_BROKER_BIND", "127.0.0.1"),
        broker_port=int(port),
        secret_key=_secret("NETADMIN_SECRET_KEY") or kept_secret(data_dir / "secret_key"),
        allowed_hosts=_list("NETADMIN_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]"),
        trusted_origins=_list("NETADMIN_TRUSTED_ORIGINS", ""),
        debug=os.environ.get("NETADMIN_DEBUG", "") == "1",
        language=os.environ.get("NETADMIN_LANGUAGE", "en-us"),
    )


def _list(name: str, default: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in os.environ.get(name, default).split(",") if item.strip())


def _secret(name: str) -> str:
    if not (path := os.environ.get(f"{name}_FILE")):
        return os.environ.get(name, "")
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise EnvironmentProblem(
            f"{name}_FILE={path!r}: cannot be read ({error.strerror}); fix the path or its mode"
        ) from error


def kept_secret(path: Path) -> str:
    """A secret that is made once and kept in a file that only we read.

    The file appears whole under its name: of several processes that start at once, one makes
    it and all read the same.
    """
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent) as fresh:  # mode 0600
            fresh.write(secrets.token_urlsafe(50))
            fresh.flush()
            with suppress(FileExistsError):
                os.link(fresh.name, path)
    return path.read_text().strip()
