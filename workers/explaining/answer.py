"""Answers a question of kind ``explain``: what a packet meets on this node, and whether one comes back.

The echoes come first, so that the kernel knows its neighbours when it is asked for them.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Any

from workers import wire
from workers.asked import Ground
from workers.cni.store import Store
from workers.explained import Echo, Explained, Hop, Leg, Passage
from workers.explaining import carriers, ends, routing, sight, walls
from workers.explaining.course import Course, course
from workers.explaining.crossing import cross
from workers.explaining.sight import Sight
from workers.objects import wanted
from workers.observe import observe


def explain(body: Mapping[str, Any], ground: Ground) -> Explained:
    """Raises WireError or DocumentError for a question that is none to this node, OSError when the
    kernel does not answer."""
    start = time.monotonic()
    document = ground.drafted(body["head"])
    legs: tuple[Leg, ...] = wire.read(tuple[Leg, ...], body["legs"], "legs")
    crossings = cross(wire.read(tuple[Echo, ...], body["echoes"], "echoes"))
    settings, kernel = ground.settings, ground.kernel
    observed = observe(document, settings, kernel)
    objects, findings = wanted(document, observed.host, settings)
    leases = Store(settings.cni_store).leases()
    listing = kernel.nft.listing(settings.nft_table)
    at = sight.node(observed, leases, listing, crossings, settings)
    courses = [course(leg, document, observed.host, objects, findings) for leg in legs]
    return Explained(
        passages=tuple(
            Passage(one.leg.step, tuple(hops(one, sight.look(one, at, kernel)))) for one in courses
        ),
        crossings=crossings,
        milliseconds=round((time.monotonic() - start) * 1000, 3),
    )


def hops(course: Course, sight: Sight) -> Iterator[Hop]:
    """Everything that the packet meets, in its order; pure."""
    if course.leg.starts:
        yield from ends.source(course, sight)
    else:
        yield from carriers.hops(course, sight)
    if not course.stays_on_bridge:
        yield from routing.hops(course, sight)
    yield from walls.hops(course, sight)
    if course.leg.starts:
        yield from carriers.hops(course, sight)
    yield from ends.destination(course, sight)
