"""Cluster, node, token, report, event."""

from typing import Any, cast

from django.conf import settings
from django.db import models

from netadmin.statements import Statement


def all_networks_allowed() -> list[str]:
    return []


class Cluster(models.Model):
    """The one cluster of this control plane; its row is also the lock of every declaration."""

    name = models.SlugField(max_length=63, default="cluster1")
    dns = models.JSONField(default=list, blank=True, help_text="Addresses of the cluster's DNS servers.")
    allowed_networks = models.JSONField(
        default=all_networks_allowed,
        blank=True,
        help_text="CIDRs inside which networks may be declared; empty: anywhere.",
    )
    cni_plugins = models.CharField(max_length=255, default="/usr/lib/cni")
    cni_config = models.CharField(max_length=255, default="/etc/cni/net.d")
    look_interval = models.PositiveIntegerField(
        default=30, help_text="Seconds between two looks of a node when nothing else triggers one."
    )
    probe_interval = models.PositiveIntegerField(
        default=30, help_text="Seconds between two rounds of a node's probes; 0: no probes."
    )
    lease_grace = models.PositiveIntegerField(
        default=300,
        help_text="Seconds for which a container must have been gone before a node frees its addresses.",
    )
    confirm_seconds = models.PositiveIntegerField(
        default=30,
        help_text="A node that does not reach the control plane for so long after a change takes it back; "
        "0: never.",
    )
    version = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        verbose_name_plural = "cluster"
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="one_cluster")]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def locked(cls) -> "Cluster":
        """The cluster under its lock: whatever is declared goes one after the other."""
        [(cluster,)] = LOCKED.rows()
        return cast(Cluster, cluster)

    @classmethod
    def current(cls) -> "Cluster":
        return cls.objects.get(pk=1)


LOCKED = Statement("SELECT {cluster} FROM nodes_cluster cluster WHERE id = 1 {locked}", cluster=Cluster)


class Node(models.Model):
    """A cluster member with a worker."""

    name = models.CharField(max_length=63, unique=True)
    position = models.PositiveIntegerField(unique=True, editable=False, help_text="Order of joining, from 0.")
    addresses = models.JSONField(
        default=list, help_text="Underlay addresses, as a look-up of the node's name would give them."
    )
    cni_plugins = models.CharField(max_length=255, blank=True, help_text="Directory; empty: the cluster's.")
    cni_config = models.CharField(max_length=255, blank=True, help_text="Directory; empty: the cluster's.")
    weight = models.PositiveIntegerField(
        default=10, help_text="Of its services' ports in the DNS (SRV): a share of the clients, 0 to 65535."
    )
    comment = models.CharField(max_length=255, blank=True)
    joined = models.DateTimeField(auto_now_add=True)
    version = models.PositiveIntegerField(default=1, editable=False)

    desired_version = models.CharField(max_length=64, blank=True, editable=False)
    applied_version = models.CharField(max_length=64, blank=True, editable=False)
    last_seen = models.DateTimeField(null=True, editable=False)
    underlay = models.JSONField(
        default=dict,
        editable=False,
        help_text="Addresses (with prefix length) of its interfaces that are not ours: MTU of the interface.",
    )
    attempt = models.PositiveIntegerField(
        default=0,
        editable=False,
        help_text="Part of its document: growing makes a version that was rolled back a new one.",
    )
    holdings = models.PositiveBigIntegerField(
        default=0, editable=False, help_text="Version of what it must hold for services."
    )
    stated = models.PositiveBigIntegerField(
        default=0, editable=False, help_text="Sequence of its newest statement."
    )
    questions = models.PositiveIntegerField(
        default=0, editable=False, help_text="How many questions wait for its answer."
    )

    class Meta:
        ordering = ["position"]

    def __str__(self) -> str:
        return self.name


class Report(models.Model):
    """The newest report of a node (shapes: ``workers.report.Report``)."""

    node = models.OneToOneField(Node, models.CASCADE, primary_key=True)
    received = models.DateTimeField()
    sequence = models.BigIntegerField()
    version = models.CharField(max_length=64, blank=True)
    outcome = models.CharField(max_length=16)
    milliseconds = models.FloatField()
    routes = models.PositiveIntegerField()
    findings = models.JSONField()
    interfaces = models.JSONField()
    leases = models.JSONField()
    files = models.JSONField()
    capabilities = models.JSONField()
    last_plan = models.JSONField(help_text="What the last apply that changed something carried out.")
    last_plan_at = models.DateTimeField(null=True)
    probes = models.JSONField(
        default=list, help_text="By network and family: counts, and the pairs that are not up."
    )
    pairs = models.JSONField(default=list, help_text="Every pair that was told, with its network and family.")
    foreign = models.JSONField(default=dict)
    refused = models.CharField(max_length=64, blank=True)

    def __str__(self) -> str:
        return f"report of {self.node_id} at {self.received}"


class Operation(models.Model):
    """What nodes were asked together: a plan of a draft, the way of a packet. Nothing is changed by it."""

    kind = models.CharField(max_length=16, help_text="plan or explain.")
    subject = models.CharField(max_length=255, help_text="The network, or the two addresses.")
    by = models.CharField(max_length=150)
    at = models.DateTimeField(auto_now_add=True)
    deadline = models.DateTimeField(help_text="Who has not answered by then is not waited for.")
    asked: Any = models.JSONField(help_text="What was asked for, as it was given.")
    shared: Any = models.JSONField(default=dict, help_text="Parts of the questions that all nodes share.")

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.kind} of {self.subject}"


class Question(models.Model):
    """The part of an operation that one node answers."""

    operation = models.ForeignKey(Operation, models.CASCADE, related_name="questions")
    node = models.ForeignKey(Node, models.CASCADE, related_name="+")
    body: Any = models.JSONField()
    state = models.CharField(
        max_length=8,
        default="waiting",
        help_text="waiting, answered, failed, or silent: it was not waited for.",
    )
    answer: Any = models.JSONField(null=True)
    why = models.TextField(blank=True, help_text="What kept it from answering.")
    answered = models.DateTimeField(null=True)

    class Meta:
        ordering = ["node__position"]
        constraints = [
            models.UniqueConstraint(fields=["operation", "node"], name="one_question_per_node"),
        ]

    def __str__(self) -> str:
        return f"{self.operation} at {self.node}"


class Token(models.Model):
    """A secret that opens the API, for a person or for a node; only its hash is stored.

    A node's token outlives the node, so that a worker that was away learns that it was
    removed (410) and cleans up.
    """

    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the token.")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True)
    node = models.ForeignKey(Node, models.SET_NULL, null=True, blank=True)
    node_name = models.CharField(max_length=63, blank=True)
    description = models.CharField(max_length=255, blank=True)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(user__isnull=False, node_name="")
                | (models.Q(user__isnull=True) & ~models.Q(node_name="")),
                name="token_of_user_or_node",
            )
        ]

    def __str__(self) -> str:
        return f"token of {self.user or 'node ' + self.node_name}"


class Event(models.Model):
    """Append-only: who did what to what; also the audit log."""

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    actor = models.CharField(max_length=150, help_text="User, or ``node NAME``.")
    verb = models.CharField(max_length=32)
    kind = models.CharField(max_length=32, help_text="``network``, ``node``, ``cluster``, ``token`` ...")
    name = models.CharField(max_length=150)
    before: Any = models.JSONField(null=True)
    after: Any = models.JSONField(null=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["kind", "name", "-id"], name="event_subject")]

    def __str__(self) -> str:
        return f"{self.actor} {self.verb} {self.kind} {self.name}"
