"""Who of the cluster is heard of."""

from datetime import datetime, timedelta

from django.utils import timezone

from nodes.models import Cluster, Node

MISSED_LOOKS = 3
"""A node that missed so many looks is called silent."""


def heard_since() -> datetime:
    """Who was last heard of before this time is silent. One query."""
    return timezone.now() - timedelta(seconds=MISSED_LOOKS * Cluster.current().look_interval)


def is_silent(node: Node, since: datetime) -> bool:
    """Not heard of for some looks, or never."""
    return node.last_seen is None or node.last_seen < since
