"""All benchmarks, one after the other: ``make bench``. Status 1 when a row is not what it must be.

Each is a process of its own in the surroundings that it needs. What they missed is said behind all tables.
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence

from bench import table

PYTHON = (sys.executable, "-m")
SANDBOX = (*PYTHON, "lab.sandbox", "--", *PYTHON)
POSTGRESQL = (*PYTHON, "tests.postgres", "--", *PYTHON)
PARTS = {
    "bench.node": SANDBOX,
    "bench.attaching": SANDBOX,
    "bench.addresses": POSTGRESQL,
    "bench.dns": SANDBOX,
    "bench.services": SANDBOX,
}


def run(parts: Mapping[str, Sequence[str]]) -> int:
    """Their commands by name; those behind one that misses or breaks run all the same."""
    missed = []
    for name, command in parts.items():
        sentences = []
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith(table.MISSED):
                    sentences.append(line.rstrip())
                else:
                    print(line, end="", flush=True)
        if process.returncode and not sentences:
            sentences = [f"{table.MISSED}{name} ended with status {process.returncode}"]
        missed += sentences
    print("\n".join(missed) or "all that must be met is met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(run({name: (*surroundings, name) for name, surroundings in PARTS.items()}))
