"""Routing daemons of others with the same static routes, inside a node's namespace and nowhere else.

Debian's ``frr`` and ``bird2``, started by argument vector with a configuration and sockets in a private
directory. FRR's staticd takes minutes for thousands of routes, so zebra holds a few hundred.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.scene import address, segment
from lab.namespaces import Namespace

USER = "frr"
"""Of the package: zebra starts only as a member of its group frrvty."""
BIRD = 12
"""RTPROT_BIRD (linux/rtnetlink.h)."""
STATIC = 196
"""RTPROT_ZSTATIC, as zebra marks static routes."""


@contextmanager
def bird(node: Namespace, directory: Path, count: int) -> Iterator[subprocess.Popen[bytes]]:
    """With Calico's scan time of two seconds."""
    hops = "\n".join(f"    route {segment(n)} via {address(n)};" for n in range(2, count + 2))
    configuration = directory / "bird.conf"
    configuration.write_text(
        "router id 198.18.0.1;\nprotocol device {}\n"
        "protocol kernel { scan time 2; ipv4 { import none; export all; }; }\n"
        f"protocol static {{\n    ipv4;\n{hops}\n}}\n"
    )
    arguments = ["bird", "-f", "-c", str(configuration), "-s", str(directory / "bird.ctl")]
    with _running(node, arguments) as process:
        yield process


@contextmanager
def zebra(node: Namespace, directory: Path, count: int) -> Iterator[None]:
    """With staticd, which gives it the routes."""
    for place in (directory.parent, directory):
        place.chmod(0o711)
    shutil.chown(directory, USER, USER)
    socket = directory / "zserv.api"
    routes = "\n".join(f"ip route {segment(n)} {address(n)}" for n in range(2, count + 2))
    (directory / "zebra.conf").write_text("")
    (directory / "staticd.conf").write_text(routes + "\n")
    common = ["-z", str(socket), "-u", USER, "-g", USER, "-P", "0", "--vty_socket", str(directory)]
    with (
        _running(
            node, ["/usr/lib/frr/zebra", "-f", str(directory / "zebra.conf"), *common, *_pid(directory, "z")]
        ),
        _running(
            node,
            ["/usr/lib/frr/staticd", "-f", str(directory / "staticd.conf"), *common, *_pid(directory, "s")],
        ),
    ):
        yield


def _pid(directory: Path, name: str) -> list[str]:
    return ["-i", str(directory / f"{name}.pid")]


@contextmanager
def _running(node: Namespace, arguments: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    process = node.popen(
        arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()
