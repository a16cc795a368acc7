"""What the service manager is told.

systemd.service(5), Type=notify; the protocol is that of sd_notify(3): a datagram to a UNIX socket.
"""

import logging
import os
import socket

log = logging.getLogger("netadmin.worker")


def ready() -> None:
    """Units that are ordered behind this one may start. Nothing happens where nobody asked to be told."""
    address = os.environ.pop("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
            to.sendto(b"READY=1", address)
    except OSError as error:
        log.error("NOTIFY_SOCKET=%s: cannot be told that the worker is ready (%s)", address, error)
