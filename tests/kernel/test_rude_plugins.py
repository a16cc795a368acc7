"""Plugins that do not keep to their specification: what they say is refused, and what they made is undone."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lab.namespaces import Namespace
from tests.kernel import attaching
from tests.kernel.attaching import (
    NETWORK,
    Rude,
    a_keeper,
    a_program,
    addresses,
    an_attacher,
    attachment,
    becomes,
    dies_while_a_plugin_runs,
    held,
    leases,
    remains,
    symlink,
    veths,
)
from tests.kernel.node import Node
from workers import holdings
from workers.attaching import chain

PASSES = "exec python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin)[\"prevResult\"]))'"
"""What a good plugin at the end of a list may do: answer what the one before did."""
STUBBORN = "test $CNI_COMMAND = DEL && test -e {} && echo not now >&2 && exit 1; exec /usr/lib/cni/bridge"
"""Does not detach while that file is there."""
TAKES_ITS_TIME = """
test $CNI_COMMAND = ADD && ! test -e {0} || exec /usr/lib/cni/host-local
: >{0}; sleep 0.4; printf '%s\\r\\n%s' $CNI_CONTAINERID $CNI_IFNAME >{0}
echo '{{"cniVersion": "1.0.0", "ips": [{{"address": "10.10.10.9/24", "gateway": "10.10.10.1"}}]}}'
"""
"""As ``host-local``, for that address, with a pause where it has none."""


@pytest.mark.parametrize(
    "answer",
    [
        "garbage",
        "",
        "[]",
        "null",
        '{"ips": [{"address": "everywhere"}]}',
        '{"interfaces": [{"mac": 1}]}',
        pytest.param('{"a": ' * 20_000, id="nested"),
        pytest.param('{"a": ' * 2_000 + "1" + "}" * 2_000, id="whole and nested"),
        pytest.param('{"ips": [{"address": "%s"}]}' % ("9" * 50_000), id="long"),
        '{"interfaces": [{"name": "eth12", "sandbox": "x", "mac": "\\u0000"}]}',
        '{"interfaces": [{"name": "eth12", "sandbox": "x", "mac": "\\ud800"}]}',
    ],
)
def test_an_answer_that_is_no_result_is_a_failure_that_is_undone(
    rude: Rude, inside: Namespace, answer: str
) -> None:
    node = rude(f"test $CNI_COMMAND != ADD || printf %s '{answer}'")
    with an_attacher(node, NETWORK) as attacher:
        outcome = attacher.settle(attachment(inside.path), None, False)
    assert outcome.entry is None
    assert outcome.standing
    assert (outcome.standing.state, outcome.standing.addresses) == ("failed", ())
    assert "rude ADD: answered what is no result" in outcome.standing.why
    assert len(outcome.standing.why) < 3 * chain.LAST
    assert (leases(node), veths(node), remains(node)["journal"]) == ({}, [], [])


def test_what_a_plugin_logs_is_no_part_of_its_answer(rude: Rude, inside: Namespace) -> None:
    """It may write to its standard error whatever it likes (CNI specification 1.0.0, section 2)."""
    node = rude(f"echo deprecated >&2; test $CNI_COMMAND != ADD || {PASSES}")
    with an_attacher(node, NETWORK) as attacher:
        outcome = attacher.settle(attachment(inside.path), None, False)
    assert outcome.standing
    assert outcome.standing.state == "attached"
    assert addresses(inside) == ["10.10.10.2/24"]


def test_the_last_words_of_one_that_crashes_are_told(rude: Rude, inside: Namespace) -> None:
    node = rude("echo panic: nil map >&2; exit 2")
    with an_attacher(node, NETWORK) as attacher:
        standing = attacher.settle(attachment(inside.path), None, False).standing
    assert standing
    assert "rude ADD: panic: nil map" in standing.why


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            b'{"code": 1, "msg": "half \\u0000 done", "details": "\\ud800 why"}',
            "half \ufffd done: \ufffd why",
        ),
        (b"half \0 done\n\x1b[31m why", "half \ufffd done \ufffd[31m why"),
        pytest.param(b'{"msg": "' + b"so" * 100_000 + b'", "details": "why"}', "soso: why", id="long"),
        pytest.param(b'{"msg": ' * 100_000 + b"why", '{"msg": why', id="nested"),
    ],
)
def test_whatever_one_plugin_says_the_node_is_heard(
    rude: Rude, inside: Namespace, tmp_path: Path, words: bytes, told: str
) -> None:
    """The control plane takes a whole statement, or none of it."""
    (tmp_path / "words").write_bytes(words)
    node = rude(f"cat {tmp_path / 'words'}; exit 1")
    held(node, one := attachment(inside.path))
    with a_keeper(node, NETWORK) as keeper:
        why = becomes(keeper, one, "failed").why
        said = keeper.statement()
    assert said
    assert holdings.parse_statement(holdings.dump(said)) == said
    assert why.startswith("rude ADD: ")
    assert why.endswith(told)
    assert len(why) < 3 * chain.LAST


def test_words_that_nobody_can_read_keep_no_other_plugin_from_detaching(
    rude: Rude, inside: Namespace, tmp_path: Path
) -> None:
    (tmp_path / "words").write_bytes(b"[" * 100_000)
    node = rude(f"test $CNI_COMMAND != DEL || exec cat {tmp_path / 'words'} /none; {PASSES}")
    with an_attacher(node, NETWORK) as attacher:
        entry = attacher.settle(one := attachment(inside.path), None, False).entry
        assert leases(node) == {"10.10.10.2": one.id}
        outcome = attacher.release(one.id, entry, False)
    assert outcome.standing
    assert outcome.standing.why == f"rude DEL: {'[' * chain.LAST}"
    assert (leases(node), addresses(inside)) == ({}, [])


def test_one_rude_plugin_keeps_no_other_attachment_waiting(rude: Rude, inside: Namespace) -> None:
    node = rude(f"""case $CNI_COMMAND$CNI_IFNAME in ADDeth12) echo garbage;; ADD*) {PASSES};; esac""")
    rudely, well = attachment(inside.path), attachment(inside.path, 2, interface="eth13")
    held(node, rudely, well)
    with a_keeper(node, NETWORK) as keeper:
        becomes(keeper, rudely, "failed")
        becomes(keeper, well, "attached")


def test_one_that_cannot_be_detached_is_not_attached_elsewhere(
    rude: Rude, inside: Namespace, tmp_path: Path
) -> None:
    """Its interface would stay where it was, with an address that is somebody else's next."""
    node, refuses = rude(PASSES), tmp_path / "refuses"
    a_program(tmp_path / "plugins" / "bridge", STUBBORN.format(refuses))
    one = attachment(inside.path)
    with an_attacher(node, NETWORK) as attacher, Namespace("c2") as elsewhere:
        before = attacher.settle(one, None, False).entry
        refuses.touch()
        moved = replace(one, netns=elsewhere.path)
        outcome = attacher.settle(moved, before, False)
        assert outcome.entry == before
        assert outcome.standing
        assert outcome.standing.state == "releasing"
        assert "not now; interface eth12 is still in the namespace" in outcome.standing.why
        assert leases(node) == {"10.10.10.2": one.id}
        refuses.unlink()
        attacher.settle(moved, outcome.entry, False)
        assert addresses(inside) == []
        assert addresses(elsewhere) == ["10.10.10.2/24"]


def test_an_address_is_given_back_when_nobody_has_it_any_more(
    rude: Rude, inside: Namespace, tmp_path: Path
) -> None:
    """The path leads to another namespace, while a process still lives in the one before."""
    seen, path = tmp_path / "seen", tmp_path / "container"
    node = rude(f"test $CNI_COMMAND != DEL || ip -o link show type veth > {seen}; {PASSES}")
    symlink(path, inside)
    with an_attacher(node, NETWORK) as attacher, Namespace("c2") as other:
        entry = attacher.settle(attachment(str(path)), None, False).entry
        assert entry
        symlink(path, other)
        attacher.release(entry.attachment.id, entry, False)
    assert "veth" not in seen.read_text().replace("type veth", "")
    assert leases(node) == {}


def test_an_orphan_that_is_just_taking_an_address_is_let_finish(
    node: Node, inside: Namespace, tmp_path: Path
) -> None:
    """What ``host-local`` made, and did not write yet whose it is, no DEL would give back."""
    shutil.copytree("/usr/lib/cni", plugins := tmp_path / "plugins")
    (store := node.settings.cni_store / "local1").mkdir(parents=True)
    a_program(plugins / "host-local", TAKES_ITS_TIME.format(store / "10.10.10.9"))
    node.settings = replace(node.settings, cni_plugins=str(plugins))
    node.converge(attaching.with_directories(node, NETWORK))
    held(node, one := attachment(inside.path))
    assert dies_while_a_plugin_runs(node, NETWORK, lambda attacher: attacher.settle(one, None, False), 0.1)
    assert leases(node) == {"10.10.10.9": ""}
    with a_keeper(node, NETWORK) as keeper:
        becomes(keeper, one, "attached")
    assert list(leases(node).values()) == [one.id]


def test_an_orphan_has_ended_when_its_work_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Much memory makes its end last some milliseconds."""
    monkeypatch.setattr(chain, "ORPHANED", 0.1)
    large = "b = bytearray(b'x') * (200 << 20); print(flush=True); import time; time.sleep(60)"
    environment = {**os.environ, "CNI_CONTAINERID": "f" * 32}
    command = [sys.executable, "-c", large]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as orphan:
        assert orphan.stdout
        orphan.stdout.readline()
        chain.end_orphans({"f" * 32})
        state = Path(f"/proc/{orphan.pid}/stat").read_text().rpartition(")")[2].split()[0]
    assert state == "Z"
