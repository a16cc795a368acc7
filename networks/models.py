"""Network, segment, allocation, address.

Rows hold what was declared in canonical text; ``rules`` says what may be declared,
``addressing`` does the arithmetic.
"""

from uuid import uuid4

from django.db import models
from netaddr import IPNetwork

from networks import addressing
from networks.fields import AddressField
from nodes.models import Node


class Type(models.TextChoices):
    BRIDGE = "bridge", "bridge: the same range on each node, not routed between them"
    ROUTED_BRIDGE = "routed_bridge", "routed bridge: a segment per node, routes between them"
    WEAVE = "weave", "weave: a file for the weave plugin"
    LOOPBACK = "loopback", "loopback"
    CNI = "cni", "cni: any other plugin, by a configuration list of your own"


BRIDGES = (Type.BRIDGE, Type.ROUTED_BRIDGE)
OWN_RANGES = (Type.BRIDGE, Type.CNI)
"""Types that may have another range on a node (``network@NODE``)."""
RANGE_OPTIONAL = (Type.CNI,)
"""Types whose network is there without a range: the plugin has its own ways."""
DEFAULT_RANGES = {Type.BRIDGE: "10.22.0.0/16", Type.WEAVE: "10.32.0.0/12", Type.LOOPBACK: "127.0.0.1/32"}
BUILT_IN = ("default", "lo")


class Tunnel(models.TextChoices):
    AUTO = "auto", "auto: to peers that are on no connected subnet"
    ALWAYS = "always", "always: to every peer"
    NEVER = "never", "never"


class TunnelMode(models.TextChoices):
    IPIP = "ipip", "ipip: 20 bytes; ip6ip6 between IPv6 addresses"
    GRE = "gre", "gre: 24 bytes; ip6gre between IPv6 addresses"
    IP6IP6 = "ip6ip6", "ip6ip6: 40 bytes, between IPv6 addresses only"
    IP6GRE = "ip6gre", "ip6gre: 44 bytes, between IPv6 addresses only"
    VXLAN = "vxlan", "vxlan: 36 bytes, over IPv6 56; UDP port 4790, passes firewalls that know no tunnels"


def main_table() -> list[str]:
    return ["main"]


class Network(models.Model):
    """A declared backend network."""

    name = models.CharField(max_length=63, unique=True)
    type = models.CharField(max_length=16, choices=Type.choices, default=Type.BRIDGE)
    network = models.CharField(
        max_length=100,
        blank=True,
        help_text="CIDR, or one of each family with a space between; empty only for a network of type cni, "
        "and for `default`: switched off.",
    )
    every_node = models.BooleanField(default=True, help_text="On every node, also on those that join later.")
    nodes = models.ManyToManyField(
        Node, blank=True, related_name="+", help_text="Only on these, unless on every node."
    )
    ips_per_node = models.PositiveBigIntegerField(
        default=1024, help_text="Addresses of a segment, rounded up to a power of two."
    )
    mask_per_node = models.CharField(
        max_length=10,
        blank=True,
        help_text="Prefix length of a segment, one per CIDR; wins over the number of addresses.",
    )
    tunnel = models.CharField(max_length=8, choices=Tunnel.choices, default=Tunnel.AUTO)
    tunnel_mode = models.CharField(max_length=8, choices=TunnelMode.choices, default=TunnelMode.IPIP)
    tables = models.JSONField(
        default=main_table, help_text="Routing tables that each get every route, by name or number."
    )
    dev = models.CharField(
        max_length=15, blank=True, help_text="An existing bridge to use; empty: obr_NAME is made."
    )
    public = models.BooleanField(default=False, help_text="Traffic that leaves is not masqueraded.")
    mtu = models.PositiveIntegerField(
        null=True, blank=True, help_text="Bytes; empty: what underlay and tunnels of every node carry."
    )
    template = models.TextField(
        blank=True,
        help_text="Of type cni: the CNI configuration list as JSON, with placeholders like {{cidr}} for what "
        "differs.",
    )
    comment = models.CharField(max_length=255, blank=True)
    tags = models.JSONField(default=list, blank=True)
    version = models.PositiveIntegerField(default=1, editable=False)
    created = models.DateTimeField(auto_now_add=True)
    changed = models.DateTimeField(auto_now=True)

    turn = models.PositiveBigIntegerField(
        default=0, editable=False, help_text="Node (key) whose part gave the last address for any node."
    )
    # The part of the desired state that all its nodes share, rendered once per change.
    peers_digest = models.CharField(max_length=64, blank=True, editable=False)
    peers_body = models.TextField(blank=True, editable=False)
    carries = models.PositiveIntegerField(
        null=True,
        editable=False,
        help_text="MTU computed of what the nodes report; empty: none has reported, or a local bridge.",
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def switched_on(cls) -> "models.QuerySet[Network]":
        """Those that nodes are to have."""
        return cls.objects.exclude(~models.Q(type__in=RANGE_OPTIONAL), network="")

    @property
    def cidrs(self) -> list[IPNetwork]:
        """The declared CIDRs, IPv4 first; none when switched off."""
        return [IPNetwork(text) for text in self.network.split()]

    @property
    def size(self) -> int:
        """All addresses, network and broadcast included."""
        return sum(int(cidr.size) for cidr in self.cidrs)

    @property
    def device(self) -> str:
        """The bridge; empty for types without one."""
        return (self.dev or f"obr_{self.name}") if self.type in BRIDGES else ""

    @property
    def effective_mtu(self) -> int | None:
        """Bytes: as declared, else computed; None: each node takes what its own underlay carries."""
        return self.mtu or self.carries

    @property
    def is_off(self) -> bool:
        """Declared without a range, so no node has it."""
        return not self.network and self.type not in RANGE_OPTIONAL

    @property
    def is_bridge(self) -> bool:
        return self.type in BRIDGES

    @property
    def is_segmented(self) -> bool:
        return self.type == Type.ROUTED_BRIDGE

    @property
    def has_peers(self) -> bool:
        """Whether its nodes are told of each other."""
        return self.type in (Type.ROUTED_BRIDGE, Type.WEAVE)

    @property
    def grid(self) -> addressing.Grid:
        """How the network is cut into segments."""
        cidrs = self.cidrs
        masks = [int(word) for word in self.mask_per_node.split()]
        prefixes = masks or [
            addressing.prefix_for(self.ips_per_node, addressing.bits(cidr)) for cidr in cidrs
        ]
        return addressing.Grid(tuple(cidrs), tuple(prefixes))

    def locality(self, node: Node | None) -> int:
        """The address space of an address (``Address.locality``): a local bridge has one per node."""
        return 0 if self.is_segmented or node is None else node.pk

    def part(self, segment: "Segment | None") -> list[IPNetwork]:
        """What a node with this segment has of it: one CIDR per family."""
        if self.is_segmented:
            return segment.cidrs if segment else []
        own = segment.own_range if segment else ""
        return [IPNetwork(text) for text in own.split()] if own else self.cidrs

    def scope(self) -> "models.QuerySet[Node]":
        """The nodes that are to have it, in cluster order."""
        return Node.objects.all() if self.every_node else self.nodes.all()


class Segment(models.Model):
    """What one node has of a network: its part of a routed_bridge, and its overrides.

    A segment whose node went stays, without a node: that is how a freed slot is known and
    reused last.
    """

    network = models.ForeignKey(Network, models.CASCADE, related_name="segments")
    node = models.ForeignKey(Node, models.SET_NULL, null=True, blank=True, related_name="segments")
    subnet = models.CharField(
        max_length=100, blank=True, help_text="Of a routed_bridge: one CIDR per family."
    )
    declared = models.BooleanField(default=False, help_text="Given as subnet@NODE, not chosen.")
    own_range = models.CharField(
        max_length=100, blank=True, help_text="Of a bridge, or of type cni: network@NODE."
    )
    addr = models.CharField(
        max_length=100, blank=True, help_text="The node's tunnel end and next hop for its peers."
    )
    gateway = models.CharField(
        max_length=100, blank=True, help_text="Next hop of the peers towards this node."
    )
    released = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["network", "node"], name="one_segment_per_node"),
            models.UniqueConstraint(
                fields=["network", "subnet"], condition=~models.Q(subnet=""), name="one_node_per_segment"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subnet or self.own_range or 'overrides'} of {self.network} on {self.node or 'no node'}"

    @property
    def cidrs(self) -> list[IPNetwork]:
        return [IPNetwork(text) for text in self.subnet.split()]


class State(models.TextChoices):
    RESERVED = "reserved"
    REQUESTED = "requested"
    ATTACHED = "attached"
    RELEASING = "releasing"
    LOST = "lost"


OF_SERVICES = (State.REQUESTED, State.ATTACHED, State.RELEASING)
"""States of a service's allocation."""


class Learnt(models.TextChoices):
    REQUEST = "request", "asked for through the control plane"
    STORE = "store", "seen in a node's lease store"


class Allocation(models.Model):
    """What one holder has of a network: its addresses, in use or kept.

    A service's ip resource, a container that somebody else started, or a reservation.
    """

    uuid = models.UUIDField(
        unique=True, default=uuid4, editable=False, help_text="Its name on the node (``workers.holdings``)."
    )
    network = models.ForeignKey(Network, models.CASCADE, related_name="allocations")
    node = models.ForeignKey(Node, models.CASCADE, null=True, blank=True, related_name="allocations")
    service = models.CharField(
        max_length=255, blank=True, help_text="NS/svc/NAME; of a reservation any text."
    )
    resource = models.CharField(max_length=63, blank=True, help_text="For instance ip#0.")
    netns = models.CharField(
        max_length=255, blank=True, help_text="Of which container; empty: the service's own namespace."
    )
    interface = models.CharField(max_length=15, blank=True)
    wanted = models.JSONField(
        default=list, blank=True, help_text="Fixed addresses, at most one per family; empty: any."
    )
    expose = models.JSONField(default=list, blank=True, help_text="PORT/PROTOCOL[:HOSTPORT].")
    hostname = models.CharField(max_length=253, blank=True)
    dns_name_suffix = models.CharField(max_length=63, blank=True)
    wait_dns = models.FloatField(
        default=0,
        help_text="Seconds for which who waits until it is attached also waits until its names are served.",
    )
    comment = models.CharField(max_length=255, blank=True, help_text="What a reservation is for.")

    state = models.CharField(max_length=10, choices=State.choices)
    healthy = models.BooleanField(
        default=True, help_text="Its last check passed; one that failed is not in the DNS."
    )
    why = models.CharField(max_length=1000, blank=True, help_text="What is waited for, or wrong.")
    remedy = models.CharField(max_length=500, blank=True)
    container = models.CharField(
        max_length=128, blank=True, help_text="Id of the container, or its namespace."
    )
    mac = models.CharField(max_length=17, blank=True)
    learnt = models.CharField(max_length=8, choices=Learnt.choices)
    since = models.DateTimeField(auto_now_add=True)
    version = models.PositiveBigIntegerField(
        default=0, editable=False, help_text="Of the node's holdings, when it was changed last."
    )
    carried = models.PositiveBigIntegerField(
        default=0, editable=False, help_text="The version that its node has carried out, or could not."
    )

    STANDINGS = {
        "failed": models.Q(state=State.REQUESTED, healthy=False),
        "broken": models.Q(state=State.ATTACHED, healthy=False),
        "waiting": models.Q(state=State.REQUESTED, healthy=True) & ~models.Q(why=""),
        "requested": models.Q(state=State.REQUESTED, healthy=True, why=""),
        "releasing": models.Q(state=State.RELEASING),
        "attached": models.Q(state=State.ATTACHED, healthy=True),
    }
    """Of what services ask for, the worst first: the rows of which ``standing`` is that word."""

    class Meta:
        ordering = ["network", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["node", "service", "resource"],
                condition=~models.Q(service="") & ~models.Q(resource=""),
                name="one_allocation_per_resource",
            )
        ]

    @property
    def standing(self) -> str:
        """One word: how it is with what was asked for."""
        if self.state == State.ATTACHED:
            return "attached" if self.healthy else "broken"
        if self.state == State.RESERVED:
            return "reserved" if self.healthy else "declined"
        if self.state != State.REQUESTED:
            return str(self.state)
        return "failed" if not self.healthy else "waiting" if self.why else "requested"

    def __str__(self) -> str:
        holder = f"{self.service} {self.resource}".strip() or self.container or self.state
        return f"{holder} in {self.network}"


class Address(models.Model):
    """One address of an allocation; nobody else has it in the same address space."""

    network = models.ForeignKey(Network, models.CASCADE, related_name="addresses")
    allocation = models.ForeignKey(Allocation, models.CASCADE, related_name="addresses")
    address = AddressField()
    locality = models.BigIntegerField(
        default=0,
        editable=False,
        help_text="The node for a local bridge, 0 for a network with one address space.",
    )

    class Meta:
        ordering = ["network", "address", "locality"]
        constraints = [
            models.UniqueConstraint(fields=["network", "address", "locality"], name="one_holder_per_address")
        ]

    def __str__(self) -> str:
        return f"{self.address} of {self.network}"


class Pointer(models.Model):
    """The address of a node's part of a network that was reserved last: the next one is looked for below."""

    network = models.ForeignKey(Network, models.CASCADE, related_name="+")
    node = models.ForeignKey(Node, models.CASCADE, related_name="+")
    family = models.PositiveSmallIntegerField(help_text="4 or 6.")
    address = AddressField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["network", "node", "family"], name="one_pointer_per_part")
        ]

    def __str__(self) -> str:
        return f"{self.address} of {self.network} on {self.node}"


class HostPort(models.Model):
    """One port of a node that leads to an allocation; nobody else has it."""

    node = models.ForeignKey(Node, models.CASCADE, related_name="+")
    allocation = models.ForeignKey(Allocation, models.CASCADE, related_name="host_ports")
    protocol = models.CharField(max_length=3)
    port = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["node", "protocol", "port"], name="one_allocation_per_host_port")
        ]

    def __str__(self) -> str:
        return f"{self.port}/{self.protocol} of {self.node}"


class DnsSerial(models.Model):
    """One row: the serial of all zones of the cluster DNS, which grows with every change."""

    serial = models.PositiveBigIntegerField()

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="one_dns_serial")]

    def __str__(self) -> str:
        return str(self.serial)


class DnsServer(models.Model):
    """A process that serves the zones, and how far it has come."""

    name = models.CharField(max_length=253, unique=True)
    serial = models.PositiveBigIntegerField(help_text="All changes up to this one are served.")
    seen = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
