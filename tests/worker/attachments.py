"""Attachments as the control plane asks for them, and containers to put them into."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lab.namespaces import Namespace
from workers.holdings import Attachment, Port


def attachment(number: int = 1, **values: Any) -> Attachment:
    """Of service ``root/svc/webNUMBER`` in ``backend1``; ``netns`` must be given, or is the service's own."""
    defaults: dict[str, Any] = {
        "id": f"{number:032x}",
        "network": "backend1",
        "service": f"root/svc/web{number}",
        "resource": "ip#0",
        "netns": "",
        "interface": "eth12",
    }
    return Attachment(**{**defaults, **values})


def port(number: int, host_port: int = 0, protocol: str = "tcp") -> Port:
    return Port(number, protocol, host_port)


@contextmanager
def container(node: Namespace, name: str = "c1") -> Iterator[tuple[Namespace, str]]:
    """A namespace that a process keeps, and its process id as ``netns``."""
    with Namespace(name) as inside:
        process = inside.popen(["sleep", "1000"])
        try:
            yield inside, str(process.pid)
        finally:
            process.kill()
            process.wait()
