"""What plugins are called with, and where namespaces are looked for: tables."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from workers.attaching import calls, runtimes
from workers.attaching.entry import Entry
from workers.attaching.places import Container, File, Own, UnfitNetns, own_name, place
from workers.holdings import Attachment, Port
from workers.kernel import ports, tables
from workers.kernel.ports import Mapped

PORTMAP = {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}
BRIDGE = {
    "type": "bridge",
    "bridge": "obr_backend1",
    "ipam": {"type": "host-local", "subnet": "10.11.0.0/22"},
}
RESULT = json.dumps(
    {
        "cniVersion": "1.0.0",
        "interfaces": [
            {"name": "obr_backend1", "mac": "0a:58:0a:0b:00:01"},
            {"name": "veth1", "mac": "AA:00:00:00:00:01"},
            {"name": "eth12", "mac": "AA:00:00:00:00:02", "sandbox": "/proc/1/fd/3"},
        ],
        "ips": [{"address": "fd10::5/64", "interface": 2}, {"address": "10.11.0.5/22", "interface": 2}],
    }
)


def an_attachment(**values: Any) -> Attachment:
    defaults: dict[str, Any] = {
        "id": f"{1:032x}",
        "network": "backend1",
        "service": "root/svc/web",
        "resource": "ip#0",
        "netns": "",
        "interface": "eth12",
    }
    return Attachment(**{**defaults, **values})


def an_entry(
    attachment: Attachment | None = None, body: dict[str, Any] | None = None, **values: Any
) -> Entry:
    held = attachment or an_attachment()
    body = body or {"cniVersion": "1.0.0", "name": held.network, "plugins": [BRIDGE, PORTMAP]}
    defaults: dict[str, Any] = {"plugins": "/cni", "netns": "/run/netns/web", "title": "web", "inode": 1}
    return Entry(held, json.dumps(body), **{**defaults, **values})


def test_host_ports_that_our_own_table_maps_are_no_business_of_the_plugins() -> None:
    entry = an_entry(an_attachment(expose=(Port(80, "tcp", 8001),)))
    assert [call.program for call in calls.calls("ADD", entry, "/x")] == ["bridge"]


def test_a_check_leaves_the_host_ports_out() -> None:
    entry = an_entry(an_attachment(expose=(Port(80, "tcp", 8001),)), by_plugins=True, result=RESULT)
    assert [call.program for call in calls.calls("CHECK", entry, "/x")] == ["bridge"]
    assert calls.can_check(entry)


@pytest.mark.parametrize("body", [{"cniVersion": "0.3.1"}, {"cniVersion": "1.0.0", "disableCheck": True}])
def test_a_list_without_check_is_not_checked(body: dict[str, Any]) -> None:
    entry = an_entry(body={"name": "n", "plugins": [BRIDGE], **body}, result=RESULT)
    assert not calls.can_check(entry)


def test_only_capabilities_that_a_plugin_has_are_in_its_runtime_configuration() -> None:
    body = {
        "cniVersion": "1.0.0",
        "name": "n",
        "plugins": [{**BRIDGE, "capabilities": {"ips": True}}, PORTMAP],
    }
    held = an_attachment(expose=(Port(80, "tcp", 8001),))
    first, second = (
        call.body
        for call in calls.calls("ADD", an_entry(held, body, by_plugins=True, asked=("10.11.0.9",)), "/x")
    )
    assert first["runtimeConfig"] == {"ips": ["10.11.0.9"]}
    assert "capabilities" not in first
    assert list(second["runtimeConfig"]) == ["portMappings"]


def test_an_address_is_asked_for_by_an_argument_where_there_is_no_capability() -> None:
    entry = an_entry(asked=("10.11.0.9",), asked_mac="aa:00:00:00:00:02")
    (call,) = calls.calls("ADD", entry, "/x")
    assert call.body["args"] == {"cni": {"ips": ["10.11.0.9"], "mac": "aa:00:00:00:00:02"}}


def test_del_is_handed_the_result_where_the_version_knows_that() -> None:
    assert calls.final_result("DEL", an_entry(result=RESULT), "/x") == RESULT
    old = an_entry(body={"cniVersion": "0.3.0", "name": "n", "plugins": [BRIDGE]}, result=RESULT)
    assert calls.final_result("DEL", old, "/x") == ""
    assert calls.final_result("ADD", an_entry(result=RESULT), "/x") == ""


def test_an_entry_reads_its_result() -> None:
    entry = an_entry(result=RESULT)
    assert [str(one) for one in entry.addresses] == ["10.11.0.5/22", "fd10::5/64"]
    assert (entry.mac, entry.ends, entry.bridge) == ("aa:00:00:00:00:02", ("veth1",), "obr_backend1")
    assert replace(entry, result="").addresses == ()


NAMED = Path("/run/netns")


@pytest.mark.parametrize(
    ("netns", "service", "expected"),
    [
        ("", "root/svc/web", Own(NAMED / "root..svc..web")),
        ("blue", "root/svc/web", File(NAMED / "blue")),
        ("4242", "root/svc/web", File(Path("/proc/4242/ns/net"))),
        ("/run/x/y", "root/svc/web", File(Path("/run/x/y"))),
        ("docker:web", "root/svc/web", Container(("docker",), ("web",))),
        ("lxc:0", "root/svc/web", Container(("lxc",), ("0",))),
        (
            "container#0",
            "root/svc/web",
            Container(("docker", "podman", "lxc"), ("web.container.0", "root..web.container.0", "0")),
        ),
        (
            "container#0",
            "prod/svc/web",
            Container(("docker", "podman", "lxc"), ("prod..web.container.0", "0")),
        ),
        (
            "container#front",
            "prod/svc/web",
            Container(("docker", "podman", "lxc"), ("front", "prod..web.container.front")),
        ),
    ],
)
def test_a_namespace_is_looked_for_where_its_text_says(
    netns: str, service: str, expected: Container | File | Own
) -> None:
    assert place(netns, service, NAMED) == expected


@pytest.mark.parametrize("netns", ["docker:--help", "container#", "container#a/b", "../etc", "-x", "docker:"])
def test_a_text_that_names_no_namespace_is_refused(netns: str) -> None:
    with pytest.raises(UnfitNetns, match="netns="):
        place(netns, "root/svc/web", NAMED)


def test_the_own_namespace_of_a_service_always_has_a_file_name() -> None:
    long, odd = own_name("root/svc/" + "x" * 300), own_name("root/svc/a b")
    assert len(long) < 255
    assert odd.startswith("root..svc..a_b-")
    assert own_name("root/svc/a_b") != odd


@pytest.mark.parametrize(
    ("status", "output", "errors", "expected"),
    json.loads((Path(__file__).parents[1] / "recorded" / "runtimes.json").read_text()),
)
def test_what_the_runtimes_say_is_understood(
    status: int, output: str, errors: str, expected: list[Any]
) -> None:
    """Recorded from podman 4.3.1, docker 20.10.24 and lxc 5.0.2 of Debian 12."""
    pid, words = runtimes.judged(status, output, errors)
    assert (pid, words != "") == tuple(expected)


def test_of_the_table_of_host_ports_the_elements_are_known() -> None:
    one = Mapped("tcp", 8001, 80, an_entry(result=RESULT).addresses[0], "obr_backend1")
    listing = (
        "table inet t_ports {\n\tmap dnat4 {\n\t\ttype inet_proto . inet_service : ipv4_addr . inet_service\n"
        "\t\telements = { tcp . 8001 : 10.11.0.5 . 80,\n\t\t\t     udp . 53 : 10.11.0.6 . 5353 }\n\t}\n"
        '\tset guarded {\n\t\ttype ifname\n\t\telements = { "obr_backend1" }\n\t}\n}\n'
    )
    found = tables.parse(listing)
    assert found.elements == {
        ("dnat4", "tcp . 8001 : 10.11.0.5 . 80"),
        ("dnat4", "udp . 53 : 10.11.0.6 . 5353"),
        ("guarded", '"obr_backend1"'),
    }
    assert ports.guarded(found.elements) == {"obr_backend1"}
    assert ports.guarded(frozenset({("guarded", '"lo" comment "x'), ("guarded", '"all/rp_filter"')})) == {
        "lo"
    }
    assert tables.elements("t_ports", found.elements, ports.names(ports.elements([one]))) == (
        "delete element inet t_ports dnat4 { udp . 53 : 10.11.0.6 . 5353 }\n"
        "add element inet t_ports near4 { 10.11.0.0/22 . 10.11.0.5 }\n"
    )
