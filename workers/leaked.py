"""The answer to a question of kind ``leases``: leases whose container is gone, and which were freed.

The question's body: ``release``, whether they are to be freed at once; ``ours``, container ids of services'
attachments, which are looked after elsewhere.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Leak:
    network: str
    address: str
    container: str
    interface: str
    since: float
    """When the address was taken, seconds since 1970."""
    freed: bool


@dataclass(frozen=True, slots=True)
class Leaked:
    leases: tuple[Leak, ...]
    looked: int
    """At how many leases."""
