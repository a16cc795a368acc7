"""Forms of the pages and of the admin: they parse, the verbs judge.

    POST -> form.is_valid (only: is it readable) -> form.declaration() -> declare / change
         <- form.refuse(problem): every fault at its field

A field has the name of its keyword, so that a fault finds it.
"""

import re
from collections import defaultdict
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from netaddr import IPAddress

from netadmin.problems import Problem, StaleVersion
from networks import conflist, wishes
from networks.declaration import OVERRIDES, Declaration, EveryNode
from networks.declare import overrides_of
from networks.models import Allocation, Network, Tunnel, TunnelMode, Type
from networks.resources import Ask
from networks.wishes import Wish
from nodes.models import Cluster, Node
from workers.document import PLACEHOLDERS

OVERRIDE = re.compile(rf"({'|'.join(OVERRIDES)})@([^\s=]+)\s*=\s*(.+)")

ADVANCED = ("mask_per_node", "tunnel", "tunnel_mode", "tables", "dev", "mtu", "public", "overrides", "tags")
NOTHING: tuple[Any, ...] = ("", None, False, [])
USUAL = {"tunnel": (Tunnel.AUTO,), "tunnel_mode": (TunnelMode.IPIP,), "tables": ("main", ["main"])}


def _help(model: Any, column: str) -> str:
    """What a column is for is said once, in the model."""
    text: str = model._meta.get_field(column).help_text
    return text


def _without_nul(value: Any) -> Any:
    """Raises ValidationError; PostgreSQL keeps no NUL."""
    if any("\0" in str(word) for word in (value if isinstance(value, list) else [value])):
        raise ValidationError("A character with the code 0 is no text. Leave it out")
    return value


class Words(forms.CharField):
    """A list of words, with blanks, commas or line ends between."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)

    def to_python(self, value: Any) -> Any:
        text = (_without_nul(super().to_python(value)) or "").strip()
        return re.split(r"[\s,]+", text) if text else []

    def prepare_value(self, value: Any) -> Any:
        return " ".join(map(str, value)) if isinstance(value, list) else value


class Names(forms.MultipleChoiceField):
    """Names to choose from; whether a name exists when it is saved is for the rules to say."""

    def to_python(self, value: Any) -> Any:
        return _without_nul(super().to_python(value))

    def valid_value(self, value: Any) -> bool:
        return True


class Name(forms.ChoiceField):
    """One of them."""

    def to_python(self, value: Any) -> Any:
        return _without_nul(super().to_python(value))

    def valid_value(self, value: Any) -> bool:
        return True


class Number(forms.IntegerField):
    """A whole number or nothing; its range is for the rules to say."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, widget=forms.TextInput(attrs={"inputmode": "numeric"}), **kwargs)

    def to_python(self, value: Any) -> int | None:
        try:
            return super().to_python(value)
        except ValidationError as error:
            raise ValidationError(f"{value}: is not a whole number. Give one like 1024") from error


class Seconds(forms.FloatField):
    """A number of seconds, none unless given; its range is for the rules to say."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, widget=forms.TextInput(attrs={"inputmode": "decimal"}), **kwargs)

    def to_python(self, value: Any) -> Any:
        try:
            return super().to_python(value) or 0.0
        except ValidationError as error:
            raise ValidationError(f"{value}: is no number of seconds. Give one like 2.5") from error


def _line(label: str, help_text: str = "", placeholder: str = "") -> forms.CharField:
    attributes = {"autocomplete": "off", "spellcheck": "false", "placeholder": placeholder}
    return forms.CharField(
        label=label, help_text=help_text, required=False, widget=forms.TextInput(attrs=attributes)
    )


def _placeholders() -> str:
    return ", ".join(f"{{{{{name}}}}}" for name in PLACEHOLDERS)


class Refusable(forms.BaseForm):
    """A form whose verb judges what was given."""

    SHOWN_AT: dict[str, str] = {}
    """Keywords that have no field of their own: where their faults are shown."""

    def refuse(self, problem: Problem) -> None:
        """Put every fault to its field; what has no field goes to the top of the form."""
        for fault in problem.faults:
            field = fault.field.rpartition(".")[2]  # which of several it is of, its value says
            if field in self.fields:
                typed = isinstance(self.fields[field], forms.CharField | Name | Number | Seconds)
                value = f"{fault.value}: " if typed and fault.value else ""
                self.add_error(field, f"{value}{fault.why}. {fault.remedy}")
            else:
                self.add_error(self.SHOWN_AT.get(field), str(fault))


class VerbForm(Refusable, forms.ModelForm):  # type: ignore[type-arg]
    """A form whose verb judges and saves: the model's own validation would say it in other words."""

    version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.label_suffix = ""
        self.initial["version"] = self.instance.version if self.instance.pk else None

    def _post_clean(self) -> None:
        """The instance stays as it was read."""

    @property
    def expected(self) -> int | None:
        """The version that was read."""
        version: int | None = self.cleaned_data.get("version")
        return version

    def refuse(self, problem: Problem) -> None:
        """After a lost race the form is one of the new version: what was typed is kept, and saving it again
        is on purpose."""
        super().refuse(problem)
        if isinstance(problem, StaleVersion):
            data = QueryDict(mutable=True)
            data.update(self.data)
            data["version"] = str(self.instance.version)
            self.data = data


class NetworkForm(VerbForm):
    SHOWN_AT = {"subnet": "overrides", "addr": "overrides", "gateway": "overrides"}

    name = _line("Name", "Also the name of its CNI file and, as obr_NAME, of its bridge.", "backend1")
    type = forms.ChoiceField(
        label="Type",
        choices=[choice for choice in Type.choices if choice[0] != Type.LOOPBACK],
        widget=forms.RadioSelect,
        initial=Type.ROUTED_BRIDGE,
    )
    network = _line(
        "Range",
        "CIDR, or one of each family with a space between. Empty: what is usual for the type.",
        "10.11.0.0/16",
    )
    ips_per_node = Number(label="Addresses per node", help_text=_help(Network, "ips_per_node"), initial=1024)
    every_node = forms.BooleanField(
        label="On every node", required=False, initial=True, help_text="Also on those that join later."
    )
    nodes = Names(label="Only on these nodes", required=False, widget=forms.CheckboxSelectMultiple)
    template = forms.CharField(
        label="Configuration list",
        required=False,
        strip=False,
        help_text=f"JSON as CNI wants it; its name is the network's. Placeholders: {_placeholders()}.",
        widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false", "placeholder": conflist.EXAMPLE}),
    )
    comment = _line("Comment")
    tags = Words(label="Tags", help_text="Words, with blanks between.")
    mask_per_node = _line("Prefix length per node", _help(Network, "mask_per_node"), "22")
    tunnel = forms.ChoiceField(label="Tunnel", choices=Tunnel.choices, initial=Tunnel.AUTO)
    tunnel_mode = forms.ChoiceField(
        label="Tunnel mode",
        choices=[(mode, mode) for mode in TunnelMode.values],
        initial=TunnelMode.IPIP,
        help_text="ipip becomes ip6ip6 where the ends are IPv6; gre carries both families.",
    )
    tables = Words(label="Routing tables", help_text=_help(Network, "tables"), initial=["main"])
    dev = _line("Bridge", _help(Network, "dev"))
    mtu = Number(label="MTU", help_text=_help(Network, "mtu"))
    public = forms.BooleanField(label="Public", required=False, help_text=_help(Network, "public"))
    overrides = forms.CharField(
        label="For single nodes",
        required=False,
        help_text="A line each: subnet@n1=10.11.4.0/22, addr@n1=192.0.2.1, gateway@n1=192.0.2.254, "
        "or network@n1=10.10.11.0/24 of a bridge or of type cni.",
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
    )
    force = forms.BooleanField(label="Take the addresses away from those who hold them", required=False)

    class Meta:
        model = Network
        fields: tuple[str, ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["nodes"].choices = [(name, name) for name in Node.objects.values_list("name", flat=True)]  # type: ignore[attr-defined]
        if self.instance.pk:
            del self.fields["name"]
            empty = " Empty: switched off." if self.instance.name == "default" else ""
            self.fields["network"].help_text = f"CIDR, or one of each family with a space between.{empty}"
            self._read(self.instance)

    @property
    def advanced_in_use(self) -> bool:
        """Whether a keyword that is folded away says something, or is wrong."""
        bound = [self[name] for name in ADVANCED]
        return any(field.errors or field.value() not in USUAL.get(field.name, NOTHING) for field in bound)

    def _read(self, network: Network) -> None:
        """The form shows the network as it is declared."""
        if network.type == Type.LOOPBACK:
            self.fields["type"].choices = [(Type.LOOPBACK, Type.LOOPBACK.label)]  # type: ignore[attr-defined]
        columns = set(self.fields) & {column.name for column in Network._meta.get_fields()} - {"nodes"}
        self.initial.update({column: getattr(network, column) for column in columns})
        self.initial["nodes"] = [] if network.every_node else [node.name for node in network.scope()]
        self.initial["overrides"] = "\n".join(
            f"{keyword}@{name}={value}"
            for name, given in overrides_of(network).items()
            for keyword, value in given.items()
        )

    def clean_overrides(self) -> dict[str, dict[str, str]]:
        """Node name to keywords; those that are no longer there are taken back."""
        kept = overrides_of(self.instance) if self.instance.pk else {}
        given: dict[str, dict[str, str]] = defaultdict(dict)
        for name, keywords in kept.items():
            given[name] = dict.fromkeys(keywords, "")
        for line in filter(None, map(str.strip, self.cleaned_data["overrides"].splitlines())):
            if not (parsed := OVERRIDE.fullmatch(line)):
                raise ValidationError(
                    f"{line}: is not KEYWORD@NODE=VALUE with one of {', '.join(OVERRIDES)}. "
                    "Write for instance addr@n1=192.0.2.1"
                )
            keyword, name, value = parsed.groups()
            given[name][keyword] = value
        return dict(given)

    def declaration(self) -> Declaration:
        """What is asked for; an empty number or range of a new network is left to the defaults."""
        data = self.cleaned_data
        left_out = {"name", "every_node", "nodes", "overrides", "force", "version"}
        left_out |= {"ips_per_node"} if data["ips_per_node"] is None else set()
        left_out |= {"network"} if not (self.instance.pk or data["network"]) else set()
        return Declaration(
            values={name: value for name, value in data.items() if name not in left_out},
            scope=EveryNode() if data["every_node"] else tuple(data["nodes"]),
            per_node=data["overrides"],
        )


class NodeForm(VerbForm):
    name = _line("Name", "As its worker will call it: usually the host name.", "n1")
    addresses = Words(
        label="Addresses",
        help_text="By which other nodes reach it, with blanks between. Empty: its name is looked up.",
    )
    cni_plugins = _line("Directory of the CNI plugins", _help(Node, "cni_plugins"), "/usr/lib/cni")
    cni_config = _line("Directory of the CNI files", _help(Node, "cni_config"), "/etc/cni/net.d")
    weight = Number(label="Weight", help_text=_help(Node, "weight"))
    comment = _line("Comment")

    class Meta:
        model = Node
        fields: tuple[str, ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            del self.fields["name"]
        self.initial.update(
            {
                name: getattr(self.instance, name)
                for name in self.fields
                if self.instance.pk and name != "version"
            }
        )

    def given(self) -> dict[str, Any]:
        """Keyword arguments of the membership verbs, but the name. An empty weight is the usual one."""
        given = {name: value for name, value in self.cleaned_data.items() if name not in ("name", "version")}
        return {**given, "weight": Node().weight if given["weight"] is None else given["weight"]}


class ServiceForm(VerbForm):
    service = _line("Service", "NAMESPACE/svc/NAME, or NAME of the namespace root.", "prod/svc/web")
    resource = _line("Resource", "Its id in the service's configuration.", "ip#0")
    node = Name(label="Node", required=False)
    network = Name(label="Network", required=False)
    netns = _line(
        "Container",
        "container#NAME, docker:NAME, podman:NAME, lxc:NAME, a process id, a path or the name of a "
        "namespace. Empty: a namespace of the service's own is made.",
        "docker:web",
    )
    expose = Words(label="Ports", help_text="PORT/PROTOCOL, or PORT/PROTOCOL:HOSTPORT, with blanks between.")
    wanted = Words(label="Fixed addresses", help_text="At most one per family. Empty: any that is free.")
    interface = _line("Interface", "In the container. Empty: eth12, or the next that is not taken.", "eth12")
    hostname = _line("Host name", "Its name in the DNS, below that of the service.")
    dns_name_suffix = _line("Suffix", _help(Allocation, "dns_name_suffix"))
    wait_dns = Seconds(
        label="Wait for its names",
        help_text=_help(Allocation, "wait_dns") + " Here nobody waits: the API does with ?wait=, manage.py "
        "service with --wait.",
    )
    comment = _line("Comment")

    class Meta:
        model = Allocation
        fields: tuple[str, ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = Network.switched_on().exclude(type=Type.LOOPBACK).values_list("name", flat=True)
        self._offer("network", names)
        if not self.instance.pk:
            self._offer("node", Node.objects.values_list("name", flat=True))
            self.initial.setdefault("resource", "ip#0")
            return
        for name in ("service", "resource", "node"):
            del self.fields[name]
        self.initial.update({name: getattr(self.instance, name) for name in self.fields if name != "version"})
        self.initial["network"] = self.instance.network.name

    def _offer(self, field: str, names: Any) -> None:
        self.fields[field].choices = [(name, name) for name in names]  # type: ignore[attr-defined]

    def given(self) -> dict[str, Any]:
        """What a change of it takes."""
        left_out = ("version", "service", "resource", "node")
        return {name: value for name, value in self.cleaned_data.items() if name not in left_out}

    def ask(self) -> Ask:
        data = self.cleaned_data
        return Ask(data["service"], data["resource"], data["node"], self.given())


class ReserveForm(Refusable, forms.Form):
    """Addresses to be kept; which can be is for ``networks.reservations`` to say."""

    SHOWN_AT = {"address": "addresses"}

    addresses = Words(label="Addresses", help_text="These, with blanks between. Empty: any that are free.")
    count = Number(label="How many", help_text="When none is named.", initial=1)
    node = Name(label="Node", required=False, help_text="In whose part they lie.")
    family = forms.TypedChoiceField(
        label="Family",
        required=False,
        coerce=int,
        empty_value=0,  # type: ignore[arg-type]
        choices=[("", "IPv4 if the network has it"), (4, "IPv4"), (6, "IPv6")],
    )
    service = _line("For service", "The service gets them when it asks for them by name.", "prod/svc/web")
    hostname = _line("Host name", placeholder="nas")
    comment = _line("Comment", "What they are for.", "printers of the first floor")

    def __init__(self, *args: Any, network: Network, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.label_suffix = ""
        names = [(name, name) for name in network.scope().values_list("name", flat=True)]
        any_node = [("", "any, in turn")] if network.is_segmented else []
        self.fields["node"].choices = any_node + names  # type: ignore[attr-defined]
        if len(network.cidrs) < 2:
            del self.fields["family"]

    def wishes(self) -> list[Wish]:
        """One for each address that is named, else one for as many as are wanted."""
        data = {
            name: value for name, value in self.cleaned_data.items() if name not in ("addresses", "count")
        }
        named, count = self.cleaned_data["addresses"], self.cleaned_data["count"]
        count = 1 if count is None else count
        if not named:
            return [Wish(count=count, **data)]
        count = 1 if count == len(named) else count
        return [Wish(address=address, count=count, **data) for address in named]

    def clean_addresses(self) -> list[IPAddress]:
        try:
            return [wishes.address(text, "addresses") for text in self.cleaned_data["addresses"]]
        except Problem as problem:
            [fault] = problem.faults
            raise ValidationError(f"{fault.value}: {fault.why}. {fault.remedy}") from None


class ClusterForm(VerbForm):
    name = _line("Name", "Also the zone of the cluster's DNS names.")
    dns = Words(label="DNS servers", help_text=_help(Cluster, "dns"))
    allowed_networks = Words(label="Allowed networks", help_text=_help(Cluster, "allowed_networks"))
    cni_plugins = _line("Directory of the CNI plugins")
    cni_config = _line("Directory of the CNI files")
    look_interval = Number(label="Look interval", help_text=_help(Cluster, "look_interval"))
    probe_interval = Number(label="Probe interval", help_text=_help(Cluster, "probe_interval"))
    confirm_seconds = Number(label="Time to confirm", help_text=_help(Cluster, "confirm_seconds"))
    lease_grace = Number(label="Grace of lost leases", help_text=_help(Cluster, "lease_grace"))

    class Meta:
        model = Cluster
        fields: tuple[str, ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.update({name: getattr(self.instance, name) for name in self.fields if name != "version"})

    def given(self) -> dict[str, Any]:
        """Keyword arguments of the cluster's verb."""
        return {
            name: value
            for name, value in self.cleaned_data.items()
            if name != "version" and value is not None
        }


class GoingForm(forms.Form):
    """What goes: on the version that was read; with force also from under those who use it."""

    version = forms.IntegerField(required=False, widget=forms.HiddenInput)
    force = forms.BooleanField(required=False)


class ExplainForm(Refusable, forms.Form):
    """The two ends of a packet's way; what they mean is for ``networks.ends`` to say."""

    source = _line("From", placeholder="10.11.0.7, n1, root/svc/web")
    destination = _line("To", placeholder="10.11.4.9, n2, 192.0.2.50")
    network = _line("Network", placeholder="of a node's bridge")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.label_suffix = ""
