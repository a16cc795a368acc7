"""What may be declared: the only place that says no.

Every rule is a function that yields faults; ``check`` runs them all, so that a form shows
every mistake at once. Works on rows that are not saved yet.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from netaddr import AddrFormatError, IPAddress, IPNetwork, valid_ipv4, valid_ipv6

from netadmin.problems import Fault
from networks import addressing, conflist
from networks.models import OWN_RANGES, Network, Segment, Tunnel, TunnelMode, Type
from nodes.models import Cluster, Node

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
TABLE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,31}")
DEVICE_BYTES = 15
"""IFNAMSIZ less the final zero (linux/if.h)."""
LARGEST_TABLE = 2**32 - 1
SMALLEST_MTU = {4: 576, 6: 1280}
"""RFC 791 and RFC 8200."""
LARGEST_MTU = 65535
LARGEST_WEIGHT = 65535
LARGEST_NUMBER = 2**63 - 1
"""Of a column."""
LONGEST_TEXT = 255
LONGEST_TAG = 63
LONGEST_MASKS = 10
SMALLEST_ASKED = addressing.SMALLEST_SEGMENT - 1
"""``ips_per_node``: 3 is rounded up to 4."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a declaration is judged against."""

    cluster: Cluster
    others: Sequence[Network]
    nodes: Sequence[Node]
    """The nodes in scope."""
    plugins: Mapping[str, Collection[str]]
    """CNI plugins by node in scope; a node that has not reported yet is not there."""
    segments: Sequence[Segment] = ()
    """Segments of this network with overrides, as they would be."""
    others_segments: Sequence[Segment] = ()
    """Segments of other networks with a range of their own."""


def check(network: Network, around: Surroundings) -> list[Fault]:
    """Everything that is wrong with a network as it would be; empty: it may be declared."""
    faults = [*_name(network), *_choices(network)]
    if faults:
        return faults
    faults += [*_network(network), *_device(network, around), *_tables(network), *_mtu(network)]
    faults += [*_texts(network), *_numbers(network), *_template(network, around), *_weave(network, around)]
    faults += _overrides(network, around)
    if any(fault.field in ("network", "subnet", "ips_per_node", "mask_per_node") for fault in faults):
        return faults
    faults += [*_allowed(network, around), *_overlap(network, around)]
    if network.is_segmented and network.network:
        grid_faults = list(_grid(network, around))
        faults += grid_faults or [*_subnets(network, around)]
    return faults


def check_name(field: str, name: str) -> Iterator[Fault]:
    """Names of networks and nodes become names of devices, files and queues."""
    if not NAME.fullmatch(name):
        yield Fault(
            field, name, "is not a name", "Use 1 to 63 of a-z, 0-9, _ and -, beginning with a letter or digit"
        )


def _name(network: Network) -> Iterator[Fault]:
    yield from check_name("name", network.name)
    if network.type == Type.LOOPBACK and network.name != "lo":
        yield Fault("type", network.type, "is only for the network lo", "Use bridge or routed_bridge")
    if network.name == "lo" and network.type != Type.LOOPBACK:
        yield Fault("type", network.type, "the network lo is of type loopback", "Give another name")
    if network.name == "default" and network.type != Type.BRIDGE:
        yield Fault("type", network.type, "the network default is of type bridge", "Give another name")


def _choices(network: Network) -> Iterator[Fault]:
    for field, choices in (("type", Type), ("tunnel", Tunnel), ("tunnel_mode", TunnelMode)):
        value = getattr(network, field)
        if value not in choices.values:
            yield Fault(field, str(value), "is unknown", f"Use one of {', '.join(choices.values)}")


def _network(network: Network) -> Iterator[Fault]:
    if not network.network:
        if network.is_off and network.name != "default":
            yield Fault("network", "", "is missing", "Declare a CIDR like 10.11.0.0/16")
        return
    yield from cidr_faults("network", network.network)


def cidr_faults(field: str, text: str) -> Iterator[Fault]:
    """Faults of a text of one CIDR, or one of each family."""
    versions = []
    for word in text.split():
        try:
            cidr = addressing.parse(word)
        except ValueError as error:
            yield Fault(field, word, str(error), _better_cidr(word))
            continue
        if cidr.is_ipv4_mapped():  # rows, nodes and the DNS take its addresses for IPv4
            yield Fault(field, word, "is IPv4 written as IPv6", f"Declare {cidr.ipv4()}")
        versions.append(cidr.version)
    if len(versions) != len(set(versions)):
        yield Fault(field, text, "has two CIDRs of one family", "Declare one network for each")


def _better_cidr(word: str) -> str:
    try:
        cidr = IPNetwork(word)
    except (AddrFormatError, ValueError):
        return "Declare a CIDR like 10.11.0.0/16"
    if "/" not in word:
        return f"Declare {word}/24, or whatever its size is"
    return f"Declare {cidr.cidr}"


def _allowed(network: Network, around: Surroundings) -> Iterator[Fault]:
    yield from allowed_faults(network, around.cluster, [*network.cidrs, *_own_ranges(around.segments)])


def allowed_faults(network: Network, cluster: Cluster, cidrs: Iterable[IPNetwork]) -> Iterator[Fault]:
    """CIDRs outside what the cluster allows."""
    allowed = [IPNetwork(text) for text in cluster.allowed_networks]
    if not allowed or network.name == "lo":
        return
    spaces = ", ".join(cluster.allowed_networks)
    for cidr in cidrs:
        if not any(cidr in space for space in allowed):
            yield Fault(
                "network",
                str(cidr),
                "is outside the networks that the cluster allows",
                f"Choose one inside {spaces}, or let an admin change allowed_networks",
            )


def _own_ranges(segments: Iterable[Segment]) -> list[IPNetwork]:
    return [IPNetwork(text) for segment in segments for text in segment.own_range.split()]


def _overlap(network: Network, around: Surroundings) -> Iterator[Fault]:
    mine = [*network.cidrs, *_own_ranges(around.segments)]
    theirs = [(other.name, cidr) for other in around.others for cidr in other.cidrs]
    theirs += [
        (segment.network.name, IPNetwork(text))
        for segment in around.others_segments
        for text in segment.own_range.split()
    ]
    for cidr in mine:
        for name, other in theirs:
            if addressing.overlap(cidr, other):
                yield Fault(
                    "network",
                    str(cidr),
                    f"overlaps {other} of network {name}",
                    f"Choose a range outside {other}",
                )
                break


def _device(network: Network, around: Surroundings) -> Iterator[Fault]:
    if not network.is_bridge:
        if network.dev:
            yield Fault(
                "dev", network.dev, f"a network of type {network.type} has no bridge", "Leave it empty"
            )
        return
    if network.dev and not DEVICE.fullmatch(network.dev):
        yield Fault(
            "dev",
            network.dev,
            "is not a device name",
            f"Use 1 to {DEVICE_BYTES} of letters, digits, _ . and -",
        )
    elif len(network.device.encode()) > DEVICE_BYTES:
        longest = DEVICE_BYTES - len("obr_")
        yield Fault(
            "name",
            network.name,
            f"makes the device name {network.device}, longer than the kernel's {DEVICE_BYTES} bytes",
            f"Use a name of at most {longest} characters, or give an existing bridge as dev",
        )
    for other in around.others:
        if other.device == network.device:
            yield Fault("dev", network.device, f"is the bridge of network {other.name}", "Use another one")


def _template(network: Network, around: Surroundings) -> Iterator[Fault]:
    if network.type != Type.CNI:
        if network.template:
            yield Fault(
                "template",
                network.template.partition("\n")[0][:40],
                f"a network of type {network.type} writes its own configuration",
                "Leave it empty, or declare type cni",
            )
        return
    families = {6 if ":" in word else 4 for word in network.network.split()}
    faults = conflist.faults(network.template, network.name, families)
    yield from faults or _plugins(conflist.programs(network.template), around)


def _plugins(needed: Iterable[str], around: Surroundings) -> Iterator[Fault]:
    """Plugins that nodes say they do not have."""
    for program in sorted(needed):
        lacking = [node for node, there in around.plugins.items() if program not in there]
        if lacking:
            yield Fault(
                "template",
                program,
                f"is no plugin in the plugin directory of {_some(lacking)}",
                "Install it there, or limit the network to nodes that have it",
            )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _weave(network: Network, around: Surroundings) -> Iterator[Fault]:
    """A node has one weave router, with one range of IPv4."""
    if network.type != Type.WEAVE:
        return
    if len(network.network.split()) > 1 or ":" in network.network:
        yield Fault("network", network.network, "is not one IPv4 CIDR, and weave knows no other", "Give one")
    for other in around.others:
        if other.type == Type.WEAVE:
            yield Fault(
                "type",
                network.type,
                f"network {other.name} is of this type, and a node has one weave router",
                f"Use {other.name}, or another type",
            )


def _tables(network: Network) -> Iterator[Fault]:
    tables = network.tables
    if not isinstance(tables, list) or not tables:
        yield Fault(
            "tables", str(tables), "is not a list of routing tables", 'Use ["main"], or names and numbers'
        )
        return
    for table in tables:
        text = str(table)
        number = re.fullmatch("[0-9]{1,10}", text) and 1 <= int(text) <= LARGEST_TABLE
        if not number and not TABLE.fullmatch(text):
            yield Fault(
                "tables", text, "is not a routing table", f"Use a name, or a number from 1 to {LARGEST_TABLE}"
            )


def _mtu(network: Network) -> Iterator[Fault]:
    if network.mtu is None:
        return
    smallest = SMALLEST_MTU[6 if ":" in network.network else 4]
    if not smallest <= network.mtu <= LARGEST_MTU:
        yield Fault(
            "mtu",
            str(network.mtu),
            "is no possible MTU",
            f"Use {smallest} to {LARGEST_MTU}, or leave it empty",
        )


def _texts(network: Network) -> Iterator[Fault]:
    yield from length_faults("comment", network.comment, LONGEST_TEXT)
    for tag in network.tags:
        yield from length_faults("tags", str(tag), LONGEST_TAG)


def length_faults(field: str, text: str, longest: int) -> Iterator[Fault]:
    """A text longer than its column."""
    if len(text) > longest:
        yield Fault(field, f"{text[:20]}...", f"is longer than {longest} characters", "Shorten it")


def weight_faults(weight: int) -> Iterator[Fault]:
    """Of a node: the weight of SRV records (RFC 2782), 16 bits."""
    if not 0 <= weight <= LARGEST_WEIGHT:
        yield Fault("weight", str(weight), "is out of range", f"Use 0 to {LARGEST_WEIGHT}; 10 is usual")


def _numbers(network: Network) -> Iterator[Fault]:
    if not 0 <= network.ips_per_node <= LARGEST_NUMBER:
        yield Fault(
            "ips_per_node",
            str(network.ips_per_node),
            "is no number of addresses",
            f"Use 4 to {LARGEST_NUMBER}, or give the size as mask_per_node",
        )
    if len(network.mask_per_node) > LONGEST_MASKS:
        yield Fault(
            "mask_per_node",
            network.mask_per_node,
            "is not one prefix length per CIDR",
            'Give "24", or "24 64"',
        )


def _grid(network: Network, around: Surroundings) -> Iterator[Fault]:
    """How the network is cut: each step only when the one before makes sense."""
    yield from list(_segment_size(network)) or list(_prefixes(network)) or _room(network, around)


def _segment_size(network: Network) -> Iterator[Fault]:
    cidrs = network.cidrs
    masks = network.mask_per_node.split()
    if not all(re.fullmatch("[0-9]{1,3}", mask) for mask in masks) or len(masks) not in (0, len(cidrs)):
        yield Fault(
            "mask_per_node",
            network.mask_per_node,
            "is not one prefix length per CIDR of the network",
            f"Give {' '.join('24' if cidr.version == 4 else '64' for cidr in cidrs)}, for instance",
        )
    elif not masks and network.ips_per_node < SMALLEST_ASKED:
        yield Fault(
            "ips_per_node",
            str(network.ips_per_node),
            "is too small: a segment needs 4 addresses (network, bridge, one container, broadcast)",
            f"Use {addressing.SMALLEST_SEGMENT} or more",
        )


def _prefixes(network: Network) -> Iterator[Fault]:
    field = "mask_per_node" if network.mask_per_node else "ips_per_node"
    value = network.mask_per_node or str(network.ips_per_node)
    for cidr, prefix in zip(network.cidrs, network.grid.prefixes, strict=True):
        longest = addressing.bits(cidr) - 2
        if prefix < cidr.prefixlen:
            yield Fault(
                field,
                value,
                f"makes segments (/{prefix}) larger than the network {cidr}",
                f"Use at most {cidr.size} addresses (/{cidr.prefixlen}) per node, or a larger network",
            )
        elif prefix > longest:
            yield Fault(
                field,
                value,
                f"makes segments of fewer than 4 addresses in {cidr}",
                f"Use /{longest} or shorter",
            )


def _room(network: Network, around: Surroundings) -> Iterator[Fault]:
    """Also counts the segments that were declared with a size of their own."""
    grid = network.grid
    declared = [segment.cidrs for segment in around.segments if segment.declared and segment.subnet]
    holders = {segment.node_id for segment in around.segments if segment.declared and segment.subnet}
    needed = sum(1 for node in around.nodes if node.pk not in holders)
    free = 0
    for _ in grid.free_slots(declared):
        free += 1
        if free >= needed:
            return
    if needed <= free:
        return
    yield too_small(network, len(around.nodes))


def too_small(network: Network, count: int) -> Fault:
    """The network does not hold a segment for each of ``count`` nodes: how large it would have to be."""
    fits = " ".join(
        f"/{addressing.longest_prefix_that_fits(count, prefix)}" for prefix in network.grid.prefixes
    )
    sizes = " ".join(f"/{prefix}" for prefix in network.grid.prefixes)
    return Fault(
        "network",
        network.network,
        f"holds {network.grid.size} segments of {sizes}, {count} nodes need one each",
        f"Declare a network of {fits} or larger, or smaller segments (ips_per_node)",
    )


def _subnets(network: Network, around: Surroundings) -> Iterator[Fault]:
    """subnet@NODE: inside the network, one per family, apart from each other."""
    seen: list[tuple[str, IPNetwork]] = []
    for segment in around.segments:
        if not segment.subnet or not segment.declared:
            continue
        name = segment.node.name if segment.node else ""
        cidrs = segment.cidrs
        if [cidr.version for cidr in cidrs] != [cidr.version for cidr in network.cidrs]:
            yield Fault(
                "subnet",
                segment.subnet,
                f"of {name} is not one CIDR per family of {network.network}",
                "Give one each",
            )
            continue
        for cidr in cidrs:
            if not any(cidr in whole for whole in network.cidrs):
                yield Fault(
                    "subnet",
                    str(cidr),
                    f"of {name} is outside {network.network}",
                    "Choose one inside the network",
                )
            if cidr.size < addressing.SMALLEST_SEGMENT:
                yield Fault(
                    "subnet", str(cidr), f"of {name} has fewer than 4 addresses", "Choose a larger one"
                )
            for other, taken in seen:
                if addressing.overlap(cidr, taken):
                    yield Fault(
                        "subnet",
                        str(cidr),
                        f"of {name} overlaps {taken} of {other}",
                        "Give each node its own",
                    )
        seen += [(name, cidr) for cidr in cidrs]


def _overrides(network: Network, around: Surroundings) -> Iterator[Fault]:
    in_scope = {node.pk for node in around.nodes}
    for segment in around.segments:
        if segment.node is None:
            continue
        name = segment.node.name
        given = {"addr": segment.addr, "gateway": segment.gateway, "network": segment.own_range}
        if segment.declared:
            given["subnet"] = segment.subnet
        for field, value in given.items():
            if not value:
                continue
            if segment.node_id not in in_scope:
                yield Fault(
                    field,
                    value,
                    f"node {name} is not in the scope of the network",
                    "Add it to the scope first",
                )
            elif field in ("addr", "gateway"):
                yield from address_faults(field, value, name)
            elif field == "network" and network.type not in OWN_RANGES:
                yield Fault(
                    field,
                    value,
                    f"only a network of type bridge or cni has a range per node ({name})",
                    "Use subnet@NODE",
                )
            elif field == "subnet" and not network.is_segmented:
                yield Fault(
                    field, value, f"a network of type {network.type} has no segments ({name})", "Leave it out"
                )
            else:
                yield from cidr_faults(field, value)


def syntax_faults(field: str, word: str, node: str) -> Iterator[Fault]:
    """A word that is not one IP address."""
    if not (valid_ipv4(word) or valid_ipv6(word)):
        yield Fault(field, word, f"of {node} is not an IP address", "Give one like 192.0.2.1")


def address_faults(field: str, text: str, node: str) -> Iterator[Fault]:
    """Addresses by which peers reach a node: at most one per family, none of loopback or link-local."""
    versions = []
    for word in text.split():
        if faults := list(syntax_faults(field, word, node)):
            yield from faults
            continue
        address = IPAddress(word)
        versions.append(address.version)
        if address.is_loopback() or address.is_link_local() or address.is_multicast() or int(address) == 0:
            yield Fault(
                field,
                word,
                f"of {node} cannot be reached from other nodes",
                "Give an address of its underlay interface",
            )
    if len(versions) != len(set(versions)):
        yield Fault(field, text, f"of {node} has two addresses of one family", "Give at most one of each")


def directory_faults(field: str, path: str) -> Iterator[Fault]:
    """Directories on the nodes."""
    yield from length_faults(field, path, LONGEST_TEXT)
    if not path.startswith("/") or "/../" in path + "/" or any(character in path for character in "\n\0"):
        yield Fault(field, path, "is not the absolute path of a directory", "Give one like /usr/lib/cni")
