"""Which tunnel devices the tests need, and whether the running kernel makes them by itself."""

from lab.namespaces import Namespace

KINDS = ("ipip external", "gre external", "ip6tnl external", "ip6gre external", "sit local 192.0.2.1")
"""One device of each kind, as for ``ip link add NAME type``."""


def native() -> bool:
    """Whether every device can be made here; tried in a throw-away namespace. Raises PermissionError."""
    with Namespace("probe") as probe:
        commands = [f"ip link add na-probe{n} type {kind}" for n, kind in enumerate(KINDS)]
        return all(probe.call(command.split()).returncode == 0 for command in commands)
