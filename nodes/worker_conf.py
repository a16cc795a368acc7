"""The configuration file of a node's worker, ready to be copied there (format: ``workers.config``)."""

import socket
from urllib.parse import urlsplit, urlunsplit

from netadmin.environment import Environment

FILE = "/etc/netadmin/worker.conf"


def render(node: str, token: str, *, url: str, broker_url: str) -> str:
    return (
        f"# {FILE} of {node}, mode 0600: it holds the node's token.\n"
        f"NETADMIN_NODE={node}\n"
        f"NETADMIN_URL={url}\n"
        f"NETADMIN_TOKEN={token}\n"
        f"NETADMIN_BROKER_URL={broker_url}"
    )


def likely_url() -> str:
    """The control plane as nodes are likely to reach it: this machine's name."""
    return f"http://{socket.gethostname()}:8000"


def broker_url(environment: Environment) -> str:
    """The broker as nodes reach it, without our login: a node has its own."""
    if not environment.broker_url:
        reachable = [host for host in environment.broker_bind if not host.startswith(("127.", "::1"))]
        host = (reachable or [socket.gethostname()])[0]
        return f"redis://{f'[{host}]' if ':' in host else host}:{environment.broker_port}/0"
    parts = urlsplit(environment.broker_url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
