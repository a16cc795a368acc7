"""Run a command on a node of a lab that runs in another terminal, as ``ip netns exec`` would.

    python -m lab.enter n1 ip route

The lab's namespaces have no name on the machine. A node is found by its worker: the process
whose environment says that it is the worker of that node in a lab's directory.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.clean import BASE
from lab.syscalls import CLONE_NEWNET, setns


def worker(node: str, base: Path = BASE) -> int | None:
    """Process id of the worker of the node, of the newest lab; None when there is none."""
    found = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdecimal() and _is_worker(p, node, base)]
    return max(found, default=None)


def _is_worker(process: Path, node: str, base: Path) -> bool:
    try:
        variables = (process / "environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:  # it has ended
        return False
    values = dict(variable.split("=", 1) for variable in variables if "=" in variable)
    return values.get("NETADMIN_NODE") == node and values.get("NETADMIN_STATE_DIR", "").startswith(f"{base}/")


def main(arguments: Sequence[str]) -> None:
    """Become the command on the node; exits with 2 for a wrong call, 1 without such a node."""
    if len(arguments) < 2:
        print("usage: python -m lab.enter NODE COMMAND [ARGUMENT ...]", file=sys.stderr)
        sys.exit(2)
    node, *command = arguments
    pid = worker(node)
    if pid is None:
        sys.exit(f"node {node}: no worker of a lab runs on this machine; start one with make demo")
    setns(os.open(f"/proc/{pid}/ns/net", os.O_RDONLY), CLONE_NEWNET)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
