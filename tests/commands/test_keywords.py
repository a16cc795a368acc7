"""The reference's spelling, without a database."""

import pytest

from netadmin.problems import Problem
from networks import keywords
from networks.declaration import EveryNode
from networks.keywords import NETWORK, Keyword

OTHERS = ["cluster.dns", "cni.plugins"]


@pytest.mark.parametrize(
    ("text", "keyword"),
    [
        ("network#backend1.type", Keyword("network#backend1", "type")),
        ("network#backend1.addr@n1", Keyword("network#backend1", "addr", "n1")),
        ("network#a_b-c.network@n-1", Keyword("network#a_b-c", "network", "n-1")),
        ("cluster.dns", Keyword("cluster", "dns")),
        (" cni.plugins ", Keyword("cni", "plugins")),
    ],
)
def test_it_reads_a_keyword(text: str, keyword: Keyword) -> None:
    assert keywords.parse(text, OTHERS) == keyword
    assert str(keyword) == text.strip()


def test_it_takes_everything_after_the_first_equal_sign_as_the_value() -> None:
    keyword, value = keywords.parse_assignment("network#a.comment= x = y ", OTHERS)
    assert (str(keyword), value) == ("network#a.comment", "x = y")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("network#backend1", "is not spelled SECTION.KEYWORD"),
        ("network#backend1.typ", "is no keyword. Did you mean network#backend1.type? Known: "),
        ("network#.type", "is no keyword."),
        ("network#a.tunel@n1", "is no keyword. Did you mean network#a.tunnel?"),
        ("clustr.dns", "is no keyword. Did you mean cluster.dns?"),
        ("network#a.addr@", "has no node after the @. Give network#a.addr@NODE"),
        ("a.b.c", "is not spelled SECTION.KEYWORD"),
    ],
)
def test_it_says_what_is_wrong_with_a_keyword(text: str, why: str) -> None:
    with pytest.raises(Problem) as caught:
        keywords.parse(text, OTHERS)
    assert f"kw={text}: {why}" in str(caught.value)


def test_it_lists_every_keyword_that_is_known() -> None:
    with pytest.raises(Problem) as caught:
        keywords.parse("network#a.x", OTHERS)
    for option in (*NETWORK, "nodes", "subnet@NODE", "addr@NODE", "gateway@NODE", "network@NODE"):
        assert f"network#a.{option}" in str(caught.value)


@pytest.mark.parametrize(
    ("option", "text", "value"),
    [
        ("tables", "main custom1", ["main", "custom1"]),
        ("tables", "main, 100", ["main", "100"]),
        ("public", "true", True),
        ("public", "Yes", True),
        ("public", "false", False),
        ("public", "no", False),
        ("ips_per_node", "2048", 2048),
        ("mtu", "", None),
        ("mtu", "1400", 1400),
        ("network", "10.11.0.0/16,fd12::/48", "10.11.0.0/16 fd12::/48"),
        ("tags", "a b", ["a", "b"]),
    ],
)
def test_it_reads_and_writes_values(option: str, text: str, value: object) -> None:
    one = NETWORK[option]
    assert keywords.read(one, Keyword("network#a", option), text) == value
    assert one.read(one.write(value)) == value


@pytest.mark.parametrize(
    ("option", "text", "remedy"),
    [
        ("public", "maybe", "Give true or false"),
        ("mtu", "1k", "Give a number"),
        ("ips_per_node", "-1", "Give a"),
        ("ips_per_node", "9" * 5000, "Give a"),
    ],
)
def test_it_says_which_value_cannot_be_read(option: str, text: str, remedy: str) -> None:
    with pytest.raises(Problem) as caught:
        keywords.read(NETWORK[option], Keyword("network#a", option), text)
    assert str(caught.value).startswith(f"network#a.{option}={text}: cannot be read. {remedy}")


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("n1 n2", ("n1", "n2")),
        ("n1,n2, n1", ("n1", "n2")),
        ("{clusternodes}", ("n3", "n1")),
        ("n2 {cluster.nodes}", ("n2", "n3", "n1")),
    ],
)
def test_it_expands_a_list_of_nodes_in_cluster_order(text: str, scope: tuple[str, ...]) -> None:
    assert keywords.read_scope(text, ["n3", "n1"]) == scope


@pytest.mark.parametrize("text", ["*", ""])
def test_it_reads_every_node(text: str) -> None:
    assert isinstance(keywords.read_scope(text, ["n1"]), EveryNode)
