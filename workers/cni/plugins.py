"""Where the CNI plugins are, and which.

A directory without a ``bridge`` plugin is replaced by the place where the Debian package
puts them, then by the one of the EPEL package: a node whose directory was set wrong, or
not at all, still gets its containers attached.
"""

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from workers.cni import confs
from workers.config import Settings
from workers.document import Document
from workers.report import Finding

FALLBACK = (Path("/usr/lib/cni"), Path("/usr/libexec/cni"))


def directory(settings: Settings, document: Document | None) -> Path:
    """The plugin directory in effect; the configured one when no other is better."""
    configured = Path(settings.cni_plugins or (document.cni_plugins if document else "") or FALLBACK[0])
    return next((place for place in (configured, *FALLBACK) if _is_program(place / "bridge")), configured)


def names(place: Path) -> tuple[str, ...]:
    """The programs in a plugin directory."""
    try:
        return tuple(sorted(entry.name for entry in os.scandir(place) if _is_program(Path(entry.path))))
    except OSError:
        return ()


def missing(place: Path) -> tuple[Finding, ...]:
    """No bridge plugin at all: the networks are there, but no container can be attached."""
    if _is_program(place / "bridge"):
        return ()
    return (
        Finding(
            "no-plugin",
            "",
            f"plugin bridge in {place}",
            "is not there, nor in " + " or ".join(map(str, FALLBACK)),
            "Install the Debian package containernetworking-plugins, or set NETADMIN_CNI_PLUGINS",
        ),
    )


def not_there(files: Mapping[str, str], place: Path, there: Collection[str]) -> tuple[Finding, ...]:
    """Plugins that CNI files (network to content) call and the directory does not hold; ``bridge`` apart."""
    return tuple(
        Finding(
            "no-plugin",
            network,
            f"plugin {program} in {place}",
            f"is not there, so no container can be attached to {network}",
            "Install it there, or take the node out of the network's scope",
        )
        for network, content in files.items()
        for program in sorted(confs.programs(content) - {*there, "bridge"})
    )


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
