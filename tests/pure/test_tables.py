"""From one listing of a table to another: by what differs, new sets ahead of the rules that ask them."""

import pytest

from workers.kernel import tables

SETS = (
    "\tset ranges4 {\n\t\ttype ipv4_addr\n\t\tflags interval\n"
    "\t\telements = { 10.11.0.0/16,\n\t\t\t     224.0.0.0/4 }\n\t}\n\n"
)
EMPTY = "\tset peers6 {\n\t\ttype ipv6_addr\n\t}\n\n"
NAT = (
    "\tchain postrouting {\n\t\ttype nat hook postrouting priority srcnat; policy accept;\n"
    '\t\tip saddr 10.11.0.0/22 ip daddr != @ranges4 masquerade comment "backend1"\n\t}\n\n'
)
PLAIN = "\tchain mapped {\n\t\ttcp dport { 80, 81 } accept\n\t}\n"


def listing(*blocks: str) -> str:
    return "table inet t {\n" + "".join(blocks) + "}\n"


NOW = listing(SETS, EMPTY, NAT, PLAIN)


def between(present: str, wanted: str) -> list[str]:
    return tables.transactions("t", tables.parse(present), tables.parse(wanted))


def test_nothing_is_done_for_what_is_alike() -> None:
    assert between(NOW, NOW) == []


def test_the_order_of_what_is_in_a_table_makes_no_difference() -> None:
    other = listing(PLAIN, EMPTY, NAT, SETS)
    assert tables.alike(NOW, other)
    assert between(NOW, other) == []


@pytest.mark.parametrize("block", [SETS, EMPTY, NAT, PLAIN])
def test_a_block_more_is_another_table(block: str) -> None:
    assert not tables.alike(NOW, NOW.replace(block, ""))


def test_of_a_set_only_the_elements_that_differ_are_touched() -> None:
    wanted = NOW.replace("10.11.0.0/16", "10.12.0.0/16, 10.14.0.0/16")
    assert between(NOW, wanted) == [
        "delete element inet t ranges4 { 10.11.0.0/16 }\n"
        "add element inet t ranges4 { 10.12.0.0/16, 10.14.0.0/16 }\n"
    ]


def test_a_chain_that_differs_is_filled_anew_and_the_others_stay() -> None:
    wanted = NOW.replace("{ 80, 81 }", "443")
    assert between(NOW, wanted) == [
        "flush chain inet t mapped\ntable inet t {\n\tchain mapped {\n\t\ttcp dport 443 accept\n\t}\n}\n"
    ]


def test_sets_are_there_before_the_rules_that_ask_them() -> None:
    first, second = between("", NOW)
    assert "chain" not in first
    assert "elements = { 10.11.0.0/16, 224.0.0.0/4 }" in first
    assert "\tset" not in second
    assert NAT.strip() in second
    assert PLAIN.strip() in second


def test_what_is_too_much_goes_rules_before_the_sets_they_ask() -> None:
    assert between(NOW, listing(EMPTY, PLAIN)) == [
        "flush chain inet t postrouting\ndelete chain inet t postrouting\ndelete set inet t ranges4\n"
    ]


@pytest.mark.parametrize(
    "present",
    [
        pytest.param(NOW.replace("policy accept", "policy drop"), id="another policy"),
        pytest.param(NOW.replace("\t\tflags interval\n", ""), id="a set of another kind"),
        pytest.param(NOW.replace("t {\n", "t {\n\tflags dormant\n\n", 1), id="a table that sleeps"),
        pytest.param(NOW.replace("t {\n", "t {\n\tcounter c {\n\t}\n\n", 1), id="an object of another kind"),
        pytest.param(
            NOW.replace("\t\ttype nat", '\t\tcomment "mine"\n\t\ttype nat'), id="a chain with a comment"
        ),
        pytest.param(NOW.replace("224.0.0.0/4", "224.0.0.0/4, *"), id="an element for all others"),
        pytest.param(
            NOW.replace("224.0.0.0/4", '224.0.0.0/4 comment "a, b"'), id="an element with a comment"
        ),
        pytest.param(NOW.replace("224.0.0.0/4", '"eth0,1"'), id="an element with a comma"),
        pytest.param(NOW.replace("224.0.0.0/4", "224.0.0.0/4 timeout 1h"), id="an element that ends"),
    ],
)
def test_what_cannot_be_changed_is_made_anew_as_a_whole(present: str) -> None:
    assert not tables.alike(present, NOW)
    (commands,) = between(present, NOW)
    assert commands.startswith("table inet t\ndelete table inet t\ntable inet t {\n")
    assert tables.alike(commands.partition("delete table inet t\n")[2], NOW)


@pytest.mark.parametrize(
    "text",
    [
        "10.12.0.0/16",
        "10.0.0.1-10.0.0.9",
        "fd10::/48",
        "::-::ffff",
        '"obr_b.7@x"',
        "tcp . 80 : fd10::2 . 8080",
    ],
)
def test_elements_as_we_write_them_are_no_reason_for_that(text: str) -> None:
    (commands,) = between(NOW.replace("224.0.0.0/4", f"224.0.0.0/4, {text}"), NOW)
    assert f"delete element inet t ranges4 {{ {text} }}\n" == commands


def test_rules_come_behind_what_they_ask_and_go_before_it() -> None:
    more = NOW.replace("10.11.0.0/16", "10.11.0.0/16, 10.12.0.0/16").replace("{ 80, 81 }", "443")
    added, rules = between(NOW, more)
    assert added == "add element inet t ranges4 { 10.12.0.0/16 }\n"
    assert "443" in rules
    rules, deleted = between(more, NOW)
    assert "{ 80, 81 }" in rules
    assert deleted == "delete element inet t ranges4 { 10.12.0.0/16 }\n"


def test_a_table_with_other_elements_is_the_same_but_for_them() -> None:
    held = tables.parse(NOW).holding(frozenset({("peers6", "fd10::1"), ("ranges4", "10.0.0.0/8")}))
    wanted = NOW.replace("10.11.0.0/16,\n\t\t\t     224.0.0.0/4", "10.0.0.0/8")
    wanted = wanted.replace("ipv6_addr\n", "ipv6_addr\n\t\telements = { fd10::1 }\n")
    assert held == tables.parse(wanted)
    assert tables.parse(str(held)) == held
